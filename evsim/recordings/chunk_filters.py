"""Undoing the filters of an HDF5 chunk, every one to a known size.

A chunk that a filter of the library unpacks to less than its shape leaves the rest of the array as it is found in
memory: the values of such a recording would be chance; and some plug-ins crash. So chunks are unpacked here, by the
libraries of the codecs or in Python. Blosc alone is left to its plug-in, which checks each block; the size it starts
with is compared first. Any other filter is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.recordings.bitshuffle import unpack_bitshuffle
from evsim.recordings.lzf import unpack_lzf

__all__ = ["BLOSC", "FILTERS", "Filter", "blosc_bytes", "can_unpack", "filters_of", "unfilter"]

SLACK = 64
"""Bytes that check sums add between filters."""

SHUFFLE, BLOSC = 2, 32001
FILTERS = {
    1: "deflate", 2: "shuffle", 3: "Fletcher-32", 4: "szip", 5: "n-bit", 6: "scale-offset", 307: "bzip2", 32000: "LZF",
    32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ",
    32018: "FCIDECOMP", 32019: "JPEG", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip
"""By the numbers registered with the HDF Group."""

Filter = tuple[int, tuple[int, ...]]
"""A filter's number and its parameters."""


def filters_of(node) -> list[Filter]:
    """The filters that the chunks of a dataset went through, in the order of writing."""
    pipeline = node.id.get_create_plist()
    found = (pipeline.get_filter(place) for place in range(pipeline.get_nfilters()))
    return [(number, tuple(values)) for number, _, values, *_ in found]


def can_unpack(filters: Sequence[Filter]) -> bool:
    """Whether each of them is undone here."""
    return all(number in _UNDO for number, _ in filters)


def unfilter(data: bytes, filters: Sequence[Filter], skipped: int, wanted: int) -> bytes:
    """The bytes of a chunk, hardly more than `wanted`; bit k of `skipped` says that filter k was left out for it.

    Raises
    ------
    ValueError
        When it is damaged.
    ImportError
        When a codec's library is not installed.
    """
    for place in reversed(range(len(filters))):
        if not skipped >> place & 1:
            number, values = filters[place]
            data = _UNDO[number](data, values, wanted + SLACK)
    return data


def blosc_bytes(data: bytes) -> int:
    """How many bytes a Blosc chunk says it unpacks to; -1 when it says that it is longer than it is."""
    nbytes, _, cbytes = struct.unpack_from("<III", data, 4) if len(data) >= 16 else (0, 0, 1)
    return nbytes if cbytes == len(data) else -1


def _inflate(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, limit)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not stream.eof:
        raise ValueError("deflated data is cut short or too long")
    return plain


def _unshuffle(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    size = values[0] if values else 0
    if size < 1:
        raise ValueError(f"shuffled numbers of {size} bytes")
    whole = len(data) // size * size
    numbers = np.frombuffer(data, np.uint8, whole).reshape(size, -1)
    return numbers.T.tobytes() + data[whole:]


def _check_sum(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    """Fletcher-32 over 16-bit words, high byte first; kept behind the data, low byte first."""
    if len(data) < 4 or _fletcher32(np.frombuffer(data, np.uint8, len(data) - 4)) != int.from_bytes(
        data[-4:], "little"
    ):
        raise ValueError("the check sum does not fit")
    return data[:-4]


@kernel
def _fletcher32(data):
    first, second = np.int64(0), np.int64(0)
    for at in range(0, data.size, 2):
        low = np.int64(data[at + 1]) if at + 1 < data.size else np.int64(0)
        first += np.int64(data[at]) << 8 | low
        first = (first & 0xFFFF) + (first >> 16)
        second += first
        second = (second & 0xFFFF) + (second >> 16)
    return second << 16 | first


def _lzf(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    return unpack_lzf(data, limit)


def _lz4(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    """A size of 64 bits, a block size of 32, then blocks behind their packed sizes, high byte first."""
    if len(data) < 12:
        raise ValueError("an LZ4 chunk without its header")
    size, block_bytes = struct.unpack_from(">QI", data)
    if size > limit or block_bytes < 1:
        raise ValueError(f"an LZ4 chunk of {size} bytes in blocks of {block_bytes}")
    plain, at, left = [], 12, size
    while left:
        n = min(block_bytes, left)
        packed = int.from_bytes(data[at : at + 4], "big")
        block = data[at + 4 : at + 4 + packed]
        if len(block) != packed or len(data) < at + 4:
            raise ValueError("an LZ4 block is cut short")
        plain.append(block if packed == n else _lz4_block(block, n))
        at, left = at + 4 + packed, left - n
    return b"".join(plain)


def _lz4_block(data: bytes, n_bytes: int) -> bytes:
    import lz4.block

    try:
        return lz4.block.decompress(data, uncompressed_size=n_bytes)
    except (lz4.block.LZ4BlockError, MemoryError) as error:
        raise ValueError(str(error)) from None


def _zstandard(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= limit:
            raise ValueError(f"a Zstandard frame that claims {size} bytes")
        return zstandard.ZstdDecompressor(max_window_size=2**27).decompress(data)
    except (zstandard.ZstdError, MemoryError) as error:
        raise ValueError(str(error)) from None


def _bitshuffle(data: bytes, values: tuple[int, ...], limit: int) -> bytes:
    """Parameters: two of the version, size of a number, numbers in a block, codec (0 none, 2 LZ4, 3 Zstandard)."""
    version = (*values, 0, 0, 0, 0, 0)
    codecs: dict[int, Callable | None] = {0: None, 2: _lz4_block, 3: lambda block, n: _zstandard(block, (), n)}
    if version[4] not in codecs:
        raise ValueError(f"Bitshuffle with codec {version[4]}")
    return unpack_bitshuffle(data, version[2], version[3], codecs[version[4]], limit)


_UNDO: dict[int, Callable[[bytes, tuple[int, ...], int], bytes]] = {
    1: _inflate,
    SHUFFLE: _unshuffle,
    3: _check_sum,
    32000: _lzf,
    32004: _lz4,
    32008: _bitshuffle,
    32015: _zstandard,
}
