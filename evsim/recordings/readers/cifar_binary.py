"""CIFAR-10 and CIFAR-100, "binary version": a label (two in CIFAR-100: coarse, fine), then 32x32 pixels a colour."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import image_of
from evsim.recordings.discover import choose
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import ImageRecording

PIXELS = 3 * 32 * 32
# The files have no signature, only these names and sizes.
NAMES = {1: re.compile(r"(data_batch_\d|test_batch)\.bin"), 2: re.compile(r"(train|test)\.bin")}


def recognises(path: Path, head: bytes) -> bool:
    """Whether name and size are those of CIFAR."""
    return _n_labels(path) is not None


def _n_labels(path: Path) -> int | None:
    size = path.stat().st_size
    return next((n for n, name in NAMES.items() if name.fullmatch(path.name) and size % (PIXELS + n) == 0), None)


def read(path: Path, options: ReadOptions) -> ImageRecording:
    """One image of the file."""
    n_labels = _n_labels(path)
    if n_labels is None:
        raise RecordingError(f"{path}: {path.stat().st_size} bytes are no CIFAR images of that name")
    record = PIXELS + n_labels
    key, notes = choose(path, range(path.stat().st_size // record), options.index)
    with open(path, "rb") as file:
        file.seek(int(key) * record)
        data = np.frombuffer(file.read(record), np.uint8)
    image = data[n_labels:].reshape(3, 32, 32)
    what = f"CIFAR-{10 if n_labels == 1 else 100} binary, image {key}"
    found = image_of(path, image, replace(options, layout="chw"), what, data[n_labels - 1])
    return ImageRecording(found.image, found.layout, found.label, (*notes, *found.notes))
