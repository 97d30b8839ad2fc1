"""Any file evsim knows, in a few lines of text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields, replace

from evsim.cli.weights_text import describe_weights
from evsim.errors import EvsimError, RecordingError
from evsim.loading.file_kind import is_checkpoint, is_weights
from evsim.plain_text import plain
from evsim.recordings.entries import require_file
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import split_index

__all__ = ["describe_file", "is_recording"]


def describe_file(path: str, reading: ReadOptions | None = None, index: str | None = None) -> Iterator[str]:
    """What the file is and what it holds, one fact a line.

    Parameters
    ----------
    path : str
        ``file.h5::12`` is recording 12 of a file that holds many.
    reading : ReadOptions, optional
        For a recording, what the user knows better than the file.
    index : str, optional
        Which recording of a file that holds several.

    Raises
    ------
    EvsimError
        Nothing evsim knows; the message says what was found.
    """
    file = str(split_index(path)[0])
    require_file(file)
    for recognises, describe in _KINDS:
        if recognises(file):
            return describe(file)
    return _describe_recording(path, replace(reading or ReadOptions(), index=index))


def is_recording(path: str) -> bool:
    """Whether a file is neither weights, checkpoint nor trace; one that is not there may be anything."""
    file = str(split_index(path)[0])
    return not os.path.isfile(file) or not any(recognises(file) for recognises, _ in _KINDS)


def _is_trace(path: str) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "format" in file.attrs and file.id.links.exists(b"spikes")
    except (OSError, RuntimeError, KeyError, ValueError):  # damaged: said by whoever reads it
        return False


def _describe_trace(path: str) -> Iterator[str]:
    from evsim.traces.trace import read_trace

    trace = read_trace(path)
    known = trace.provenance
    mode = ", asynchronous" if trace.is_asynchronous else ""
    yield f"evsim trace of {trace.n_steps} steps{mode}, network family {known.get('network', 'unknown')}"
    yield f"weights {(known.get('weights') or {}).get('file')}, input {(known.get('input') or {}).get('file')}"
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

    weights = read_weights(path)
    yield "evsim weights file"
    yield from describe_weights(weights)


def _describe_checkpoint(path: str) -> Iterator[str]:
    from evsim import networks
    from evsim.checkpoints.checkpoint import read_checkpoint
    from evsim.loading.common_prefix import strip_common_prefix

    checkpoint = read_checkpoint(path)
    tensors, stripped = strip_common_prefix(path, checkpoint.tensors, networks.is_known)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    yield f"training checkpoint: {checkpoint.wrapper}, SHA-256 {checkpoint.sha256}"
    yield f"tensors: {len(shapes)} with {sum(tensor.size for tensor in tensors.values()):,} values"
    yield from (f"note: {note}" for note in (*checkpoint.notes, *stripped))
    try:
        module = networks.recognise(path, shapes)
    except EvsimError as error:
        yield f"not importable: {error}"
        return
    yield f"recognised: {module.TITLE}, family {module.FAMILY}"
    told = {name: value for name, value in sorted(checkpoint.args.items()) if isinstance(value, (int, float, str))}
    if told:
        yield "stored arguments: " + ", ".join(plain(f"{name} {value}") for name, value in told.items())


def _describe_recording(path: str, reading: ReadOptions) -> Iterator[str]:
    from evsim.recordings.description import describe
    from evsim.recordings.read import read_recording

    try:
        reading = replace(reading, normalise=reading.normalise or "raw")
        told = {entry.name: getattr(reading, entry.name) for entry in fields(reading)}
        recording = read_recording(path, **told)
    except RecordingError as error:
        raise EvsimError(f"{error}; neither weights, checkpoint nor trace") from None
    yield from describe(recording)


def _is_nir(path: str) -> bool:
    from evsim.graph.nir.hdf5 import is_nir

    return is_nir(path)


def _describe_nir(path: str) -> Iterator[str]:
    from evsim.loading.nir_graph import describe_nir

    return describe_nir(path)


_KINDS = (
    (is_weights, _describe_weights),
    (_is_trace, _describe_trace),
    (_is_nir, _describe_nir),
    (is_checkpoint, _describe_checkpoint),
)
