"""IDX, the format of MNIST: sizes, then 8-bit pixels; plain or gzip. Labels come from the file of labels beside it."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import image_of
from evsim.recordings.discover import choose, one_line
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import ImageRecording

GZIP = b"\x1f\x8b"
IMAGES, LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"
MAX_IMAGE_BYTES = 2**24
STEP = 2**20


def recognises(path: Path, head: bytes) -> bool:
    """Whether this is a list of 8-bit images (or of labels, to say what is wrong), packed or not."""
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(31).decompress(head, 16)
        except zlib.error:
            return False
    return head[:4] in (IMAGES, LABELS)


def read(path: Path, options: ReadOptions) -> ImageRecording:
    """One image of the file; only as much is unpacked as comes before it."""
    with _open(path) as stream:
        n, height, width = _sizes(path, stream)
        key, notes = choose(path, range(n), options.index)
        _skip(path, stream, int(key) * height * width)
        image = np.frombuffer(_take(path, stream, height * width), np.uint8).reshape(height, width)
    found = image_of(path, image, replace(options, layout=None), f"IDX, image {key}")
    return ImageRecording(found.image, found.layout, _label(path, int(key), n), (*notes, *found.notes))


def _open(path: Path) -> BinaryIO:
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    return gzip.open(path, "rb") if packed else open(path, "rb")


def _take(path, stream: BinaryIO, n: int) -> bytes:
    try:
        data = stream.read(n)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingError(f"{path}: damaged gzip data ({one_line(error)})") from error
    if len(data) != n:
        raise RecordingError(f"{path}: truncated: {len(data)} bytes where {n} are expected")
    return data


def _skip(path, stream: BinaryIO, n: int) -> None:
    while n > 0:
        n -= len(_take(path, stream, min(n, STEP)))


def _sizes(path, stream: BinaryIO) -> tuple[int, int, int]:
    if _take(path, stream, 4) != IMAGES:
        raise RecordingError(f"{path}: an IDX file of labels; expected the file of images beside it")
    n, height, width = (int(size) for size in np.frombuffer(_take(path, stream, 12), ">u4"))
    if not 1 <= height * width <= MAX_IMAGE_BYTES:
        raise RecordingError(f"{path}: IDX images of {height}x{width}")
    return n, height, width


def _label(path: Path, number: int, n: int) -> int | None:
    """From train-labels-idx1-ubyte beside train-images-idx3-ubyte, where both hold as many."""
    name = re.sub(r"images([-.])idx3", r"labels\1idx1", path.name)
    beside = path.with_name(name)
    if name == path.name or not beside.is_file():
        return None
    with _open(beside) as stream:
        kind, count = _take(beside, stream, 4), int.from_bytes(_take(beside, stream, 4), "big")
        if kind != LABELS or count != n:
            raise RecordingError(f"{beside}: holds {count} values and no label for each of {n} images")
        _skip(beside, stream, number)
        return _take(beside, stream, 1)[0]
