"""NumPy .npy: records or (N, 4) rows of events, frames [T, C, H, W], or an image."""

from __future__ import annotations

from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings.arrays import frames_of, image_of, rows_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_npy import MAGIC, read_npy


def recognises(path: Path, head: bytes) -> bool:
    """Whether the NumPy signature is there."""
    return head.startswith(MAGIC)


def read(path: Path, options: ReadOptions):
    """The recording in the array, by its rank: 1 or 2 events, 3 an image, 4 or 5 frames."""
    with open(path, "rb") as stream:
        array = read_npy(path, stream, path.stat().st_size)
    what = "npy array"
    if array.dtype.names or (array.ndim == 2 and options.layout not in ("image", "chw", "hwc")):
        return rows_of(path, array, options, what)
    if array.ndim in (4, 5):
        return frames_of(path, array, options, what)
    if array.ndim in (2, 3) and options.layout != "events":
        return image_of(path, array, options, what)
    raise RecordingError(f"{path}: {what} of shape {list(array.shape)}; expected events, frames or an image")
