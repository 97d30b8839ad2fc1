"""LZF, h5py's own codec (filter 32000): runs of plain bytes and references to what came before."""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel

__all__ = ["unpack_lzf"]


def unpack_lzf(data: bytes, limit: int) -> bytes:
    """The bytes of a chunk.

    A control byte below 32 is followed by so many plain bytes and one more; any other holds three bits of length and,
    with the byte after it (or after the next, which adds to a length of 7), thirteen of distance.

    Raises
    ------
    ValueError
        When it is cut short, refers to what is not there, or unpacks to more than `limit` bytes.
    """
    plain = np.empty(limit, np.uint8)
    n = _unpack(np.frombuffer(data, np.uint8), plain)
    if n < 0:
        raise ValueError(f"a damaged LZF block, or one of more than {limit} bytes")
    return plain[:n].tobytes()


@kernel
def _unpack(data, plain):
    at, n = 0, 0
    while at < data.size:
        control = np.int64(data[at])
        at += 1
        if control < 32:
            length = control + 1
            if at + length > data.size or n + length > plain.size:
                return -1
            plain[n : n + length] = data[at : at + length]
            at += length
            n += length
            continue
        length = control >> 5
        if length == 7:
            if at >= data.size:
                return -1
            length += np.int64(data[at])
            at += 1
        if at >= data.size:
            return -1
        start = n - ((control & 31) << 8) - np.int64(data[at]) - 1
        at += 1
        if start < 0 or n + length + 2 > plain.size:
            return -1
        for place in range(length + 2):
            plain[n + place] = plain[start + place]
        n += length + 2
    return n
