"""Variable-length rows of numbers, read from their heap in plain Python.

HDF5 trusts the length and the address of such a row: a damaged file makes the library ask for gigabytes or crash. The
heap ("GCOL") is a simple list of objects, so it is walked here instead, every step inside the file.
"""

from __future__ import annotations

import os
import struct

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.safe_chunks import chunk_bytes, require_safe_filters
from evsim.recordings.safe_hdf5 import check_size, dataset

__all__ = ["read_vlen_row"]

# How a row is stored: its length, the address of its heap, its number in the heap.
DESCRIPTOR = struct.Struct("<IQI")
HEAP_HEADER = struct.Struct("<4sB3xQ")
OBJECT_HEADER = struct.Struct("<HH4xQ")


def read_vlen_row(file, name: str, row: int) -> np.ndarray:
    """One row of a dataset [n] whose rows are numbers of variable length."""
    import h5py

    node = dataset(file, name)
    base = h5py.check_vlen_dtype(node.dtype)
    if node.ndim != 1 or not isinstance(base, np.dtype) or base.kind not in "iuf":
        raise RecordingError(f"{file.filename}: {name!r} must hold variable-length rows of numbers, found {node.dtype}")
    check_size(file, name, node)
    if file.id.get_create_plist().get_sizes() != (8, 8) or not 0 <= row < len(node):
        raise RecordingError(f"{file.filename}: row {row} of {name!r} cannot be found")
    length, address, number = DESCRIPTOR.unpack(_descriptor(file, name, node, row))
    data = _heap_object(file, address, number) if length else b""
    if len(data) < length * base.itemsize:
        raise RecordingError(f"{file.filename}: row {row} of {name!r} claims {length} values but has {len(data)} bytes")
    return np.frombuffer(data, base, length)


def _descriptor(file, name: str, node, row: int) -> bytes:
    if node.chunks is None:
        with open(node.file.filename, "rb") as stream:
            stream.seek((node.id.get_offset() or 0) + DESCRIPTOR.size * row)
            return stream.read(DESCRIPTOR.size)
    require_safe_filters(file, name, node)
    first = row // node.chunks[0] * node.chunks[0]
    at = DESCRIPTOR.size * (row - first)
    data = chunk_bytes(file, name, node, (first,))
    if data is None:
        raise RecordingError(f"{file.filename}: {name!r} packs variable-length rows with Blosc, which no writer does")
    return data[at : at + DESCRIPTOR.size]


def _heap_object(file, address: int, number: int) -> bytes:
    damaged = RecordingError(f"{file.filename}: damaged: there is no object {number} in a heap at {address}")
    start = address + file.userblock_size
    with open(file.filename, "rb") as stream:
        left = os.fstat(stream.fileno()).st_size - start
        if left < HEAP_HEADER.size:
            raise damaged
        stream.seek(start)
        signature, _, size = HEAP_HEADER.unpack(stream.read(HEAP_HEADER.size))
        if signature != b"GCOL" or size > left:
            raise damaged
        heap = stream.read(size - HEAP_HEADER.size)
    at = 0
    while at + OBJECT_HEADER.size <= len(heap):
        found, _, length = OBJECT_HEADER.unpack_from(heap, at)
        at += OBJECT_HEADER.size
        if found == number:
            return heap[at : at + length]
        at += (length + 7) // 8 * 8
    raise damaged
