"""ECF, the codec of Prophesee's HDF5 files (filter 0x8ECF), decoded here: no plug-in has to be installed.

A chunk of up to 65,535 events, all numbers little-endian:

* 32 bits: the number of events times 4, plus 2 if rows, columns and polarities are packed together, plus 1 if columns
  and polarities are;
* the first time, 64 bits, then bytes of (high half, low half): a high half of 15 adds the low halves that follow one
  another, lowest first, as one long step; any other adds itself and repeats the time so many times as the low half says
  (15: as the next 16 bits say);
* rows and (unless packed) polarities as runs: 11 bits of row and 5 of length, 1 bit of polarity and 7 of length, where
  the greatest length means that 16 bits with the length follow;
* columns as 11 bits and a mask of the five pixels to the right; or packed, four events in three words: 12 bits of
  column and polarity in 16-bit words, or 24 bits of row, column and polarity in 32-bit words.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel

__all__ = ["EVENT", "FILTER", "MAX_EVENTS", "decode_ecf"]

FILTER = 0x8ECF
MAX_EVENTS = 65_535
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
HEADER_BYTES = 12
ALL_PACKED, COLUMNS_PACKED = 2, 1


def decode_ecf(data: bytes) -> np.ndarray:
    """The events of a chunk, of dtype `EVENT`.

    Raises
    ------
    ValueError
        When the chunk is cut short or its runs do not add up.
    """
    bytes_ = np.frombuffer(data, np.uint8)
    if bytes_.size < HEADER_BYTES:
        raise ValueError(f"an ECF chunk of {bytes_.size} bytes")
    info = int.from_bytes(data[:4], "little")
    n = info >> 2
    # The shortest form of an event is a share of long runs and of a mask of six columns.
    if n > min(MAX_EVENTS, 6 * bytes_.size):
        raise ValueError(f"an ECF chunk of {bytes_.size} bytes that claims {n} events")
    t, y, x, p = np.zeros(n, np.int64), np.zeros(n, np.uint16), np.zeros(n, np.uint16), np.zeros(n, np.int16)
    start = np.int64(int.from_bytes(data[4:12], "little", signed=True))
    at = _decode_times(bytes_, HEADER_BYTES, start, t)
    if info & ALL_PACKED:
        at = _unpack_all(bytes_, at, y, x, p)
    else:
        at = _decode_rows(bytes_, at, y)
        if info & COLUMNS_PACKED:
            at = _unpack_columns(bytes_, at, x, p)
        else:
            at = _decode_columns(bytes_, at, x)
            at = _decode_polarities(bytes_, at, p)
    if at < 0:
        raise ValueError(f"damaged ECF chunk of {n} events")
    events = np.empty(n, EVENT)
    events["x"], events["y"], events["p"], events["t"] = x, y, p, t
    return events


# Each kernel starts at byte `at` and returns where it stopped; -1 means that bytes were missing or a run was too long.


@kernel
def _decode_times(data, at, now, t):
    n, shift = 0, 0
    step = np.int64(0)
    while n < t.size:
        if at >= data.size:
            return -1
        high, low = data[at] >> 4, np.int64(data[at] & 15)
        at += 1
        if high == 15:
            if shift > 60:
                return -1
            step |= low << shift
            shift += 4
            continue
        now += step + high
        step, shift = np.int64(0), 0
        if low == 15:
            if at + 2 > data.size:
                return -1
            low = np.int64(data[at]) | np.int64(data[at + 1]) << 8
            at += 2
        if n + low > t.size:
            return -1
        t[n : n + low] = now
        n += low
    return at


@kernel
def _decode_rows(data, at, y):
    n = 0
    while 0 <= at and n < y.size:
        if at + 2 > data.size:
            return -1
        word = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        at += 2
        count = word & 31
        if count == 31:
            if at + 2 > data.size:
                return -1
            count = np.int64(data[at]) | np.int64(data[at + 1]) << 8
            at += 2
        if n + count > y.size:
            return -1
        y[n : n + count] = word >> 5
        n += count
    return at


@kernel
def _decode_columns(data, at, x):
    n = 0
    while 0 <= at and n < x.size:
        if at + 2 > data.size:
            return -1
        word = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        at += 2
        x[n] = word >> 5
        n += 1
        for right in range(1, 6):
            # The mask of the last word may name pixels beyond the last event.
            if word >> (5 - right) & 1 and n < x.size:
                x[n] = (word >> 5) + right
                n += 1
    return at


@kernel
def _decode_polarities(data, at, p):
    n = 0
    while 0 <= at and n < p.size:
        if at >= data.size:
            return -1
        sign, count = data[at] >> 7, np.int64(data[at] & 127)
        at += 1
        if count == 127:
            if at + 2 > data.size:
                return -1
            count = np.int64(data[at]) | np.int64(data[at + 1]) << 8
            at += 2
        if n + count > p.size:
            return -1
        p[n : n + count] = sign
        n += count
    return at


@kernel
def _unpack_columns(data, at, x, p):
    for n in range(0, x.size, 4):
        if at < 0 or at + 6 > data.size:
            return -1
        a = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        b = np.int64(data[at + 2]) | np.int64(data[at + 3]) << 8
        c = np.int64(data[at + 4]) | np.int64(data[at + 5]) << 8
        at += 6
        four = (a >> 4, a & 15 | b >> 8 << 4, b & 255 | c >> 12 << 8, c & 4095)
        for place in range(min(4, x.size - n)):
            x[n + place], p[n + place] = four[place] >> 1, four[place] & 1
    return at


@kernel
def _unpack_all(data, at, y, x, p):
    for n in range(0, x.size, 4):
        if at < 0 or at + 12 > data.size:
            return -1
        a, b, c = np.int64(0), np.int64(0), np.int64(0)
        for byte in range(4):
            a |= np.int64(data[at + byte]) << 8 * byte
            b |= np.int64(data[at + 4 + byte]) << 8 * byte
            c |= np.int64(data[at + 8 + byte]) << 8 * byte
        at += 12
        four = (a >> 8, a & 255 | b >> 16 << 8, b & 65535 | c >> 24 << 16, c & 16777215)
        for place in range(min(4, x.size - n)):
            y[n + place] = four[place] >> 12 & 2047
            x[n + place] = four[place] >> 1 & 2047
            p[n + place] = four[place] & 1
    return at
