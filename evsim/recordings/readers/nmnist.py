"""N-MNIST and N-Caltech101 .bin: five bytes an event, no header.

Byte 0 is x, byte 1 is y, then 24 bits: the polarity and 23 bits of time in microseconds, high byte first. A row of 240
is no event but a clock tick of 2**13 microseconds for everything after it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.options import ReadOptions

EVENT_BYTES = 5
CLOCK_ROW = 240
CLOCK_TICK = 2**13


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends in .bin: the format has nothing else to be known by."""
    return path.suffix.lower() == ".bin"


def read(path: Path, options: ReadOptions) -> RawEvents:
    """All events of one recording."""
    size = path.stat().st_size
    if size % EVENT_BYTES:
        raise RecordingError(f"{path}: truncated or not N-MNIST: {size} bytes is not a multiple of {EVENT_BYTES}")
    return decode(np.fromfile(path, np.uint8))


def decode(data: np.ndarray) -> RawEvents:
    """Events from the bytes of a recording, uint8 [5 * n]."""
    x, y, high, middle, low = data.reshape(-1, EVENT_BYTES).T
    t = (high & 127).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    clock = y == CLOCK_ROW
    t += CLOCK_TICK * np.cumsum(clock)
    event = ~clock
    return RawEvents(t[event], x[event], y[event], (high >> 7)[event], "N-MNIST .bin, 5 bytes an event", unit="us")
