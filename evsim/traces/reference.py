"""Reference: spikes of the official model, from a file, to compare a run with."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from evsim.checkpoints.bounded_zip import BoundedZip
from evsim.checkpoints.refusal import Refused
from evsim.errors import RecordingError, TraceError
from evsim.files import check_readable
from evsim.handlers.neurons import Population
from evsim.recordings.discover import one_line
from evsim.recordings.recording import FrameRecording, ImageRecording, Recording
from evsim.recordings.safe_npy import read_npy

__all__ = ["Reference", "arrange", "read_reference"]

_PACKED = ("spk64/", "spk/")
_WHOLE = "ispk/"
_LARGEST_RATIO = 300
"""Frames of events pack a hundredfold."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What the official model did on some inputs.

    Parameters
    ----------
    inputs : array [n_samples, ...]
        Images [n, channels, height, width] or frames [n, n_steps, channels, height, width].
    spikes : dict of str to integer array [n_steps, n_samples, ...]
        By module name, axes as in the official tensors; 0 and 1, or payloads. May cover the first samples only. In a
        file of one sample, its axis may be missing.
    logits : float array [n_samples, n_classes]
    file : str, optional
        Where it was read, for messages.
    """

    inputs: np.ndarray
    spikes: dict[str, np.ndarray]
    logits: np.ndarray
    file: str = "the reference"

    def recordings(self) -> Iterator[Recording]:
        """The inputs, one recording a sample."""
        for sample in self.inputs:
            if sample.ndim == 3:
                yield ImageRecording(np.asarray(sample, np.float32), "reference image")
            else:
                yield FrameRecording(np.asarray(sample, np.float32), "reference frames")


def read_reference(path: str | os.PathLike) -> Reference:
    """Read a reference ``.npz``: ``input`` or ``frames``, ``logits_f32`` (or ``_f64``), and packed spikes.

    ``spk/<module>`` or ``spk64/<module>`` is ``numpy.packbits`` of spikes [n_steps, n_samples, ...] in C order;
    their shapes stand in ``shape/<module>`` or in the JSON text ``meta_json`` (``lif``: steps first;
    ``spike_shapes``: samples first). ``ispk/<module>`` holds whole numbers [n_steps, n_samples, ...] as they are.

    Raises
    ------
    TraceError
        Missing, no npz, without these entries, or entries that are not as they should be.
    """
    try:
        entries = _entries(path)
        shapes, sample_first = _shapes(path, entries)
        spikes = {name: _unpack(path, name, packed, shapes) for name, packed in _packed_entries(entries).items()}
        spikes |= _whole_entries(path, entries)
        if sample_first:
            spikes = {name: np.swapaxes(array, 0, 1) for name, array in spikes.items()}
        inputs = entries["input"] if "input" in entries else entries["frames"]
        logits = entries["logits_f32"] if "logits_f32" in entries else entries["logits_f64"]
    except KeyError as error:
        raise TraceError(f"{path}: no entry {error} in this reference file") from None
    if logits.ndim == 3:  # a TET network returns its logits step by step
        logits = logits.mean(axis=0)
    return _checked(path, Reference(inputs, spikes, logits, os.fspath(path)))


def _entries(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Every array of the archive, together no larger than a file of its size may hold."""
    check_readable(path, TraceError)
    try:
        with open(path, "rb") as file:
            archive = BoundedZip(file, os.path.getsize(path), _LARGEST_RATIO)
            found = {}
            for member in archive.names():
                name, data = member.removesuffix(".npy"), archive.read(member)
                found[name] = read_npy(path, io.BytesIO(data), len(data), name)
            return found
    except (OSError, Refused, RecordingError) as error:
        text = str(error).removeprefix(f"{path}: ")
        raise TraceError(f"{path}: not a readable reference .npz ({text})") from None


def _checked(path: str | os.PathLike, found: Reference) -> Reference:
    """Sizes and types that belong together."""
    inputs, logits = found.inputs, found.logits
    n = len(inputs) if inputs.ndim in (4, 5) else 0
    if not n or not inputs.size or inputs.dtype.kind not in "biuf":
        raise TraceError(
            f"{path}: input of shape {inputs.shape} and type {inputs.dtype}; expected numbers [n, channels, height, "
            "width] or [n, n_steps, channels, height, width]"
        )
    if logits.ndim != 2 or logits.dtype.kind != "f" or len(logits) != n or not logits.size:
        raise TraceError(f"{path}: logits of shape {logits.shape} and type {logits.dtype}; expected [{n}, n_classes]")
    if not np.isfinite(logits).all() or not np.isfinite(inputs).all():
        raise TraceError(f"{path}: an input or logit is not finite")
    spikes = {name: _with_samples(array, n) for name, array in found.spikes.items()}
    for name, array in spikes.items():
        if array.ndim < 3 or not array.size or array.shape[1] > n:
            raise TraceError(f"{path}: spikes of {name} have shape {array.shape}; expected [n_steps, up to {n}, ...]")
    return replace(found, spikes=spikes)


def _with_samples(spikes: np.ndarray, n_samples: int) -> np.ndarray:
    """Official code may call neurons on steps and batch as one axis (QKFormer): of one sample, that is the steps."""
    is_bare = n_samples == 1 and spikes.ndim == 3 and spikes.shape[1] > 1  # steps, channels, tokens
    return spikes[:, None] if is_bare else spikes


def arrange(spikes: np.ndarray, population: Population) -> np.ndarray:
    """[n_steps, ...] in the official order of axes as [n_steps, n_neurons] in the population's own.

    Raises
    ------
    TraceError
        The sizes do not fit the population.
    """
    sizes = dict(zip(population.axes.split(","), population.shape, strict=True))
    axes = population.reference_axes.replace("token", "row,col").split(",")
    n_steps, places = spikes.shape[0], population.reference_places
    if spikes.size != n_steps * population.n_neurons or (places is None and len(axes) != len(sizes)):
        raise TraceError(f"{population.name}: reference of shape {spikes.shape[1:]}, expected {population.shape}")
    if places is not None:
        return spikes.reshape(n_steps, -1)[:, places]
    order = [axes.index(axis) + 1 for axis in population.axes.split(",")]
    return spikes.reshape(n_steps, *(sizes[axis] for axis in axes)).transpose(0, *order).reshape(n_steps, -1)


def _packed_entries(entries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): entry
        for prefix in _PACKED
        for name, entry in entries.items()
        if name.startswith(prefix)
    }


def _whole_entries(path, entries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Spikes that are more than one, of neurons that send payloads."""
    found = {name.removeprefix(_WHOLE): entry for name, entry in entries.items() if name.startswith(_WHOLE)}
    for name, array in found.items():
        if array.dtype.kind not in "iu":
            raise TraceError(f"{path}: {_WHOLE}{name} is of type {array.dtype}; expected whole numbers")
    return found


def _shapes(path, entries: Mapping[str, np.ndarray]) -> tuple[dict[str, tuple[int, ...]], bool]:
    """Shapes by module, and whether samples (not steps) come first."""
    try:
        shapes = {n.removeprefix("shape/"): _sizes(e.tolist()) for n, e in entries.items() if n.startswith("shape/")}
        meta = json.loads(_text(entries["meta_json"])) if "meta_json" in entries else {}
        shapes |= {name: _sizes(neurons["shape"]) for name, neurons in meta.get("lif", {}).items()}
        sample_first = meta.get("spike_shapes", {})
        return shapes | {name: _sizes(shape) for name, shape in sample_first.items()}, bool(sample_first)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise TraceError(f"{path}: its shapes cannot be read ({one_line(error)})") from None


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(size) is int and 1 <= size < 2**40 for size in values):
        raise ValueError(f"{values!r:.60} is no list of sizes")
    return tuple(values)


def _text(entry: np.ndarray) -> str:
    return entry.tobytes().decode() if entry.dtype == np.uint8 else str(entry)


def _unpack(path, name: str, packed: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    if name not in shapes:
        raise TraceError(f"{path}: spikes of {name} without a shape")
    n_bits = math.prod(shapes[name])
    if packed.dtype != np.uint8 or packed.size != (n_bits + 7) // 8:
        raise TraceError(f"{path}: {name}: {packed.size} bytes of packed spikes do not fit shape {shapes[name]}")
    return np.unpackbits(packed, count=n_bits).reshape(shapes[name])
