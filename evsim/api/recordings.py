"""From whatever a person holds in hand to the steps of a network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.errors import RecordingError
from evsim.loading.zoo import find_recording, recording_for
from evsim.recordings.bare_array import batch_of
from evsim.recordings.check import RawEvents, check
from evsim.recordings.discover import choose
from evsim.recordings.field_names import columns_of, parse_name
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import EventRecording, FrameRecording, ImageRecording, Recording
from evsim.recordings.steps import Steps
from evsim.runs.preparation import Preparation, fit_recording, prepare_input, read_options
from evsim.runs.run import origin_of

__all__ = ["digest_of", "is_path", "recordings_of", "steps_of"]

IN_MEMORY = "array in memory"


def steps_of(
    network: Network, weights: Weights, recording: object, preparation: Preparation
) -> Iterator[tuple[Steps, dict]]:
    """The input of `network` for each recording in `recording`, and where it came from."""
    if recording is None:
        yield _bundled(network, weights, preparation)
        return
    if is_path(recording):
        path = find_recording(os.fspath(recording))
        yield prepare_input(network, weights, path, preparation), origin_of(path.rpartition("::")[0] or path)
        return
    for found in recordings_of(recording, read_options(network, weights, preparation)):
        yield (
            fit_recording(network, weights, found, preparation),
            {"file": found.path or IN_MEMORY, "sha256": digest_of(found)},
        )


def _bundled(network: Network, weights: Weights, preparation: Preparation) -> tuple[Steps, dict]:
    """The recording that is taken where the user names none; a refusal says that it was."""
    path = recording_for(weights.header)
    try:
        return prepare_input(network, weights, path, preparation), origin_of(path)
    except RecordingError as error:
        raise RecordingError(f"{error}; this bundled recording was taken because no --input was given") from None


def is_path(recording: object) -> bool:
    """Whether `recording` names a file."""
    return isinstance(recording, (str, os.PathLike))


def recordings_of(data: object, options: ReadOptions) -> list[Recording]:
    """Recordings from an array, a tensor, columns of events, or a recording that was read before.

    Raises
    ------
    RecordingError
        It is nothing of the kind, or can be read in two ways.
    """
    if isinstance(data, (EventRecording, FrameRecording, ImageRecording)):
        return [data]
    if isinstance(data, Mapping):
        return [check(IN_MEMORY, _columns(data), options)]
    array = _as_array(data)
    found = [check(IN_MEMORY, one, options) for one in batch_of(IN_MEMORY, array, options, "array")]
    found = [replace(one, path="") for one in found]
    if len(found) == 1:
        return found
    if options.index is not None:
        chosen, _ = choose(IN_MEMORY, [str(number) for number in range(len(found))], options.index)
        return [found[int(chosen)]]
    return [
        replace(one, notes=(*one.notes, f"recording {i} of a batch of {len(found)}")) for i, one in enumerate(found)
    ]


def _columns(data: Mapping) -> RawEvents:
    names = columns_of(IN_MEMORY, [str(name) for name in data])
    if names is None:
        raise RecordingError(f"a mapping of {', '.join(map(str, data))}; expected the columns t, x, y and p of events")
    t, x, y, p = (np.asarray(data[names[short]]) for short in "txyp")
    return RawEvents(t, x, y, p, f"columns {', '.join(names.values())}", unit=parse_name(names["t"]).unit)


def _as_array(data: object) -> np.ndarray:
    """Through ``__array__`` or DLPack, so that a tensor of any library is taken without importing it."""
    for release in ("detach", "cpu"):  # a tensor that remembers gradients, or lies on an accelerator
        data = getattr(data, release)() if callable(getattr(data, release, None)) else data
    try:
        array = (
            np.from_dlpack(data) if not hasattr(data, "__array__") and hasattr(data, "__dlpack__") else np.asarray(data)
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecordingError(f"{type(data).__name__} cannot be read as an array ({error})") from None
    if array.dtype.hasobject or (array.dtype.kind not in "biuf" and not array.dtype.names) or array.size == 0:
        raise RecordingError(
            f"{type(data).__name__} of shape {list(array.shape)} and type {array.dtype}: expected a path, events, "
            "frames [T, C, H, W] or an image [C, H, W]"
        )
    return array


def digest_of(recording: Recording) -> str:
    """SHA-256 of what an array holds, so that a run of it can be told from another."""
    digest = hashlib.sha256()
    names = ("t", "x", "y", "p") if isinstance(recording, EventRecording) else ("frames",)
    names = ("image",) if isinstance(recording, ImageRecording) else names
    for name in names:
        values = np.ascontiguousarray(getattr(recording, name))
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
