"""Checking the heaps of an HDF5 file before the library reads text from them.

Text of variable length lies in heaps ("GCOL"), lists of objects that the library walks by their sizes. In a damaged
heap an object of size 0 keeps it walking for ever, so every heap is walked here first.
"""

from __future__ import annotations

import mmap
import struct

from evsim.errors import RecordingError

__all__ = ["check_heaps"]

SIGNATURE = b"GCOL\x01\0\0\0"
HEADER_BYTES = 16
OBJECT = struct.Struct("<HH4xQ")


def check_heaps(filename: str) -> None:
    """Refuse a file one of whose heaps does not add up.

    Raises
    ------
    RecordingError
        When an object has no size or leaves its heap.
    """
    with open(filename, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(SIGNATURE)
        while at >= 0:
            _check_heap(filename, data, at)
            at = data.find(SIGNATURE, at + 1)


def _check_heap(filename: str, data, start: int) -> None:
    (size,) = struct.unpack_from("<Q", data[start : start + HEADER_BYTES].ljust(HEADER_BYTES, b"\0"), 8)
    if size > len(data) - start:
        return  # the library refuses such a heap itself, and compressed data may look like the start of one
    at = HEADER_BYTES
    while at + OBJECT.size <= size:
        number, _, length = OBJECT.unpack_from(data, start + at)
        # Object 0 is the free space; its size counts its own header.
        step = length if number == 0 else OBJECT.size + (length + 7) // 8 * 8
        if step < OBJECT.size or at + step > size:
            raise RecordingError(f"{filename}: damaged: the heap at byte {start} has an object of {length} bytes")
        at += step
