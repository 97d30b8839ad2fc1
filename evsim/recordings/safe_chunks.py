"""Checking how much a compressed HDF5 chunk unpacks to, before the library unpacks it.

A chunk that unpacks to less than its shape leaves the rest of the array as it finds it in memory: the values of such a
recording would be chance. Each of these filters writes the unpacked size in front of its data. The plug-in for
Zstandard also goes on after an error, so its chunks are unpacked once for proof.
"""

from __future__ import annotations

from itertools import product

from evsim.errors import RecordingError

__all__ = ["check_chunks"]


def check_chunks(file, name: str, node, part: slice | None, filters: list[int]) -> None:
    """Refuse a dataset when one of the chunks to be read says that it holds another number of bytes than its shape.

    Raises
    ------
    RecordingError
        Names the chunk.
    """
    place = next((place for place, number in enumerate(filters) if number in SIZES), None)
    if place is None:
        return
    wanted = node.dtype.itemsize
    for side in node.chunks:
        wanted *= side
    for at in _corners(node, part):
        if node.id.get_chunk_info_by_coord(at).byte_offset is None:
            continue
        skipped, data = node.id.read_direct_chunk(at)
        found = len(data) if skipped >> place & 1 else SIZES[filters[place]](data, wanted)
        if found != wanted:
            size = f" of {found} bytes; expected {wanted}" if found >= 0 else ", which cannot be unpacked"
            raise RecordingError(f"{file.filename}: {name!r} has a damaged chunk at {list(at)}{size}")


def _corners(node, part: slice | None):
    """Where the chunks start that hold some of the rows."""
    first, stop = (part.start, min(part.stop, len(node))) if part else (0, len(node))
    sides = [range(0, side, chunk) for side, chunk in zip(node.shape, node.chunks, strict=True)]
    sides[0] = range(first // node.chunks[0] * node.chunks[0], stop, node.chunks[0])
    return product(*sides)


def _blosc(data: bytes, wanted: int) -> int:
    return int.from_bytes(data[4:8], "little")


def _lz4(data: bytes, wanted: int) -> int:
    return int.from_bytes(data[:8], "big")


def _zstandard(data: bytes, wanted: int) -> int:
    """The size a frame says; -1 when it cannot be unpacked."""
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
        return len(zstandard.ZstdDecompressor().decompress(data)) if size == wanted else size
    except zstandard.ZstdError:
        return -1


# By the number of the filter: Blosc, LZ4, Zstandard.
SIZES = {32001: _blosc, 32004: _lz4, 32015: _zstandard}
