"""Reading chunked HDF5 datasets of unknown origin: each chunk is there, and unpacks to exactly its shape."""

from __future__ import annotations

from itertools import product

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.chunk_filters import BLOSC, FILTERS, SHUFFLE, blosc_bytes, can_unpack, filters_of, unfilter
from evsim.recordings.discover import one_line

__all__ = ["chunk_bytes", "read_chunks", "require_safe_filters"]

ADVICE = "store it again with gzip, LZF, LZ4, Zstandard, Bitshuffle or Blosc"
MOST_PACKED = 4096
"""Bytes that a packed chunk may be longer than twice its plain form."""


def require_safe_filters(file, name: str, node) -> None:
    """Refuse filters whose damage could not be noticed."""
    filters = filters_of(node)
    numbers = [number for number, _ in filters]
    if can_unpack(filters) or numbers in ([BLOSC], [SHUFFLE, BLOSC]):
        return
    odd = next((number for number in numbers if not can_unpack([(number, ())])), numbers[-1])
    known = f"{FILTERS[odd]} (filter {odd})" if odd in FILTERS else f"filter {odd}"
    raise RecordingError(
        f"{file.filename}: {name!r} is packed with {known}, whose damage cannot be told from data; {ADVICE}"
    )


def read_chunks(file, name: str, node, part: slice | None) -> np.ndarray:
    """The rows of a chunked dataset.

    Raises
    ------
    RecordingError
        Names the chunk that is missing or damaged.
    """
    filters = filters_of(node)
    first, stop = (part.start, min(part.stop, len(node))) if part else (0, len(node))
    rows = np.empty((max(0, stop - first), *node.shape[1:]), node.dtype)
    known = _known_chunks(node)
    for at in _corners(node, first, stop):
        data = chunk_bytes(file, name, node, at, known, filters)
        if data is None:
            continue
        chunk = np.frombuffer(data, node.dtype).reshape(node.chunks)
        low = max(at[0], first)
        inside = tuple(slice(0, side - start) for side, start in zip(node.shape[1:], at[1:], strict=True))
        kept = chunk[(slice(low - at[0], stop - at[0]), *inside)]
        place = tuple(slice(start, start + n) for start, n in zip(at[1:], kept.shape[1:], strict=True))
        rows[(slice(low - first, low - first + len(kept)), *place)] = kept
    # Blosc's plug-in checks the rest, and numbers of unusual form are for the library to turn into usual ones.
    if rows.size and (not can_unpack(filters) or not _is_plain(node)):
        return node[()] if part is None else node[part]
    return rows


def chunk_bytes(file, name: str, node, at: tuple[int, ...], known: dict | None = None, filters=None) -> bytes | None:
    """A chunk unpacked, or None where only its size could be checked."""
    known = _known_chunks(node) if known is None else known
    filters = filters_of(node) if filters is None else filters
    wanted = int(np.prod(node.chunks, dtype=object)) * node.id.get_type().get_size()
    where = f"{file.filename}: {name!r} has a damaged chunk at {list(at)}"
    if known.get(at, -1) < 0 or known[at] > 2 * wanted + MOST_PACKED:
        raise RecordingError(f"{where}{f' of {known[at]} packed bytes' if at in known else ': it is missing'}")
    skipped, data = node.id.read_direct_chunk(at)
    plain = None
    try:
        if can_unpack(filters):
            plain = unfilter(data, filters, skipped, wanted)
    except ValueError as error:
        raise RecordingError(f"{where}, which cannot be unpacked ({one_line(error)})") from error
    except ImportError as error:
        raise RecordingError(
            f"{file.filename}: {name!r} needs the package {error.name}: pip install 'evsim[formats]'"
        ) from None
    found = len(plain) if plain is not None else blosc_bytes(data) if skipped == 0 else -1
    if found != wanted:
        raise RecordingError(f"{where} of {found} bytes; expected {wanted}")
    return plain


def _known_chunks(node) -> dict[tuple[int, ...], int]:
    """The packed size of each chunk that the file has, by where it starts."""
    found: dict[tuple[int, ...], int] = {}
    if node.size:
        node.id.chunk_iter(lambda info: found.__setitem__(tuple(info.chunk_offset), int(info.size)))
    return found


def _corners(node, first: int, stop: int):
    """Where the chunks start that hold some of the rows."""
    sides = [range(0, side, chunk) for side, chunk in zip(node.shape, node.chunks, strict=True)]
    sides[0] = range(first // node.chunks[0] * node.chunks[0], stop, node.chunks[0])
    return product(*sides)


def _is_plain(node) -> bool:
    """Whether the bytes in the file are the array: no numbers of fewer bits than their bytes, or the like."""
    import h5py

    return node.id.get_type() == h5py.h5t.py_create(node.dtype, logical=True)
