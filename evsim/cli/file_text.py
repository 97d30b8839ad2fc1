"""Any file evsim knows, in a few lines of text."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator

from evsim.cli.weights_text import describe_weights
from evsim.errors import EvsimError, RecordingError

__all__ = ["describe_file"]


def describe_file(path: str) -> Iterator[str]:
    """What the file is and what it holds, one fact a line.

    Raises
    ------
    EvsimError
        Nothing evsim knows; the message says what was found.
    """
    if not os.path.isfile(path):
        raise EvsimError(f"{path}: {'is a folder' if os.path.isdir(path) else 'no such file'}; expected a file")
    return next(describe for recognises, describe in _KINDS if recognises(path))(path)


def _is_trace(path: str) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "format" in file.attrs and "spikes" in file
    except OSError:
        return False


def _is_weights(path: str) -> bool:
    return "evsim_header.json" in _members(path)


def _is_checkpoint(path: str) -> bool:
    """A torch zip holds data.pkl; a legacy pickle and safetensors are told by how they begin."""
    if any(name.endswith("/data.pkl") for name in _members(path)):
        return True
    with open(path, "rb") as file:
        head = file.read(16)
    return head[:1] == b"\x80" or head[8:9] == b"{"


def _members(path: str) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _describe_trace(path: str) -> Iterator[str]:
    from evsim.traces.trace import read_trace

    trace = read_trace(path)
    known = trace.provenance
    yield f"evsim trace of {trace.n_steps} steps, network family {known.get('network', 'unknown')}"
    yield f"weights {known.get('weights', {}).get('file')}, input {known.get('input', {}).get('file')}"
    yield "logits " + "  ".join(f"{value:.4f}" for value in trace.logits)
    for name, layer in trace.layers.items():
        size = "x".join(map(str, layer.shape))
        places = trace.n_steps * _product(layer.shape)
        yield f"{name}: {size} ({layer.axes}), {layer.step.size:,} events, {100 * layer.step.size / places:.2f} %"


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _describe_weights(path: str) -> Iterator[str]:
    from evsim.checkpoints.weights import read_weights

    yield "evsim weights file"
    yield from describe_weights(read_weights(path))


def _describe_checkpoint(path: str) -> Iterator[str]:
    from evsim import networks
    from evsim.checkpoints.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    yield f"training checkpoint: {checkpoint.wrapper}, SHA-256 {checkpoint.sha256}"
    yield f"tensors: {len(shapes)} with {sum(tensor.size for tensor in checkpoint.tensors.values()):,} values"
    yield from (f"note: {note}" for note in checkpoint.notes)
    try:
        module = networks.recognise(path, shapes)
    except EvsimError as error:
        yield f"not importable: {error}"
        return
    yield f"recognised: {module.TITLE}, family {module.FAMILY}"
    told = {name: value for name, value in sorted(checkpoint.args.items()) if isinstance(value, (int, float, str))}
    if told:
        yield "stored arguments: " + ", ".join(f"{name} {value}" for name, value in told.items())


def _describe_recording(path: str) -> Iterator[str]:
    from evsim.recordings.description import describe
    from evsim.recordings.read import read_recording

    try:
        recording = read_recording(path, normalise="raw")
    except RecordingError as error:
        raise EvsimError(f"{error}; neither weights, checkpoint nor trace") from None
    yield from describe(recording)


_KINDS = (
    (_is_weights, _describe_weights),
    (_is_trace, _describe_trace),
    (_is_checkpoint, _describe_checkpoint),
    (lambda path: True, _describe_recording),
)
