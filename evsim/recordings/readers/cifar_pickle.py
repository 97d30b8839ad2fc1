"""CIFAR-10 and CIFAR-100, "python version": pickles, which are never unpickled here.

A pickle is a program. This one is only listed, instruction by instruction, without running any: the pixels are its one
string of whole images, the labels the small numbers after the word `labels` (`fine_labels` in CIFAR-100).
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.discover import one_line
from evsim.recordings.image_sets import image_of_set
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import ImageRecording

PIXELS = 3 * 32 * 32
KEYS = (b"batch_label", b"filenames", b"fine_labels", b"coarse_labels", b"data")
LABELS = ("labels", "fine_labels")
MAX_BYTES = 2**28


def recognises(path: Path, head: bytes) -> bool:
    """Whether a pickle starts with a dictionary that has one of CIFAR's keys."""
    return head[:1] == b"\x80" and b"}" in head[2:14] and any(key in head[:48] for key in KEYS)


def read(path: Path, options: ReadOptions) -> ImageRecording:
    """One image of the file."""
    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(f"{path}: a pickle of more than {MAX_BYTES} bytes is no CIFAR batch")
    images, labels = _listed(path, path.read_bytes())
    plain = replace(options, layout="chw")
    return image_of_set(path, images.reshape(-1, 3, 32, 32), labels, plain, "CIFAR python batch")


def _listed(path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels, found among the instructions."""
    images, labels, key = None, {name: [] for name in LABELS}, None
    try:
        for opcode, value, _ in pickletools.genops(io.BytesIO(data)):
            if isinstance(value, (str, bytes)) and len(value) and len(value) % PIXELS == 0:
                images = value.encode("latin-1") if isinstance(value, str) else value
            elif isinstance(value, (str, bytes)):
                key = value.decode("latin-1") if isinstance(value, bytes) else value
            elif key in LABELS and opcode.name in ("BININT1", "BININT", "BININT2", "INT"):
                labels[key].append(value)
    except (ValueError, UnicodeError, IndexError, OverflowError) as error:
        raise RecordingError(f"{path}: damaged or truncated pickle ({one_line(error)})") from error
    if images is None:
        raise RecordingError(f"{path}: a pickle without 32x32 images; evsim reads no other pickles")
    pixels = np.frombuffer(images, np.uint8)
    n = pixels.size // PIXELS
    return pixels, np.array(next((values for values in labels.values() if len(values) == n), []))
