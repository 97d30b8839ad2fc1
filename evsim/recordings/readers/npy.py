"""NumPy .npy: records or (N, 4) rows of events, frames [T, C, H, W], or an image."""

from __future__ import annotations

from pathlib import Path

from evsim.recordings.bare_array import recording_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_npy import MAGIC, read_npy

LAYOUTS = ("events", "frames", "image", "chw", "hwc")
TAKES_ORDER = True


def recognises(path: Path, head: bytes) -> bool:
    """Whether the NumPy signature is there."""
    return head.startswith(MAGIC)


def read(path: Path, options: ReadOptions):
    """The recording in the array, by its fields or its axes."""
    with open(path, "rb") as stream:
        array = read_npy(path, stream, path.stat().st_size)
    return recording_of(path, array, options, "npy array")
