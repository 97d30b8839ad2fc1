"""Bitshuffle (filter 32008): the bits of a block of numbers, sorted by their place in a number, then LZ4 or Zstandard.

A chunk starts with its size (64 bits) and the size of a block (32 bits), high byte first; each block follows behind
its packed size of 32 bits. Blocks hold a multiple of eight numbers; up to seven numbers that are left over follow
as they are.
"""

from __future__ import annotations

import struct

import numpy as np

__all__ = ["unpack_bitshuffle"]

HEADER = struct.Struct(">QI")
SIZE = struct.Struct(">I")
GROUP = 8
TARGET_BYTES, LEAST_BLOCK = 8192, 128


def unpack_bitshuffle(data: bytes, item_bytes: int, block_items: int, unpack_block, limit: int) -> bytes:
    """The bytes of a chunk.

    Parameters
    ----------
    item_bytes : int
        Of a number.
    block_items : int
        Numbers in a block of a chunk that is not packed; 0 for Bitshuffle's own choice.
    unpack_block : callable or None
        ``unpack_block(packed, n_bytes)`` undoes LZ4 or Zstandard; None where the bits are only shuffled.

    Raises
    ------
    ValueError
        When it is cut short or does not add up.
    """
    if item_bytes < 1:
        raise ValueError(f"numbers of {item_bytes} bytes")
    if unpack_block is None:
        n_bytes, at = len(data), 0
        size = block_items or max(TARGET_BYTES // item_bytes // GROUP * GROUP, LEAST_BLOCK)
    else:
        n_bytes, block_bytes = HEADER.unpack_from(data) if len(data) >= HEADER.size else (limit + 1, 0)
        size, at = block_bytes // item_bytes, HEADER.size
    if n_bytes > limit or n_bytes % item_bytes or size < GROUP or size % GROUP:
        raise ValueError(f"a chunk of {n_bytes} bytes in blocks of {size} numbers")
    plain, left = [], n_bytes // item_bytes
    while left >= GROUP:
        n = min(size, left // GROUP * GROUP)
        block, at = _block(data, at, n * item_bytes, unpack_block)
        plain.append(_in_order(block, n, item_bytes))
        left -= n
    rest = data[at:]
    if len(rest) != left * item_bytes:
        raise ValueError(f"{len(rest)} bytes where {left * item_bytes} are left over")
    return b"".join([*plain, rest])


def _block(data: bytes, at: int, n_bytes: int, unpack_block) -> tuple[bytes, int]:
    if unpack_block is None:
        end = at + n_bytes
        block = data[at:end]
    else:
        if at + SIZE.size > len(data):
            raise ValueError("a block is missing")
        end = at + SIZE.size + SIZE.unpack_from(data, at)[0]
        if end > len(data):
            raise ValueError("a block is cut short")
        block = unpack_block(data[at + SIZE.size : end], n_bytes)
    if len(block) != n_bytes:
        raise ValueError(f"a block of {len(block)} bytes; expected {n_bytes}")
    return block, end


def _in_order(block: bytes, n: int, item_bytes: int) -> bytes:
    """Row 8 j + k of a block holds bit k of byte j of every number."""
    bits = np.unpackbits(np.frombuffer(block, np.uint8).reshape(item_bytes * 8, n // 8), axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes()
