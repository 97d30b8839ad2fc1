"""N-MNIST and N-Caltech101 .bin: five bytes an event, no header.

Byte 0 is x, byte 1 is y, then 24 bits: the polarity and 23 bits of time in microseconds, high byte first. A row of 240
is no event but a clock tick of 2**13 microseconds for everything after it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.decoding import Columns
from evsim.recordings.options import ReadOptions
from evsim.recordings.wrapping import Unwrap

EVENT_BYTES = 5
CLOCK_ROW = 240
CLOCK_TICK = 2**13
TIME_BITS = 23


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends in .bin: the format has nothing else to be known by."""
    return path.suffix.lower() == ".bin"


def decode(data: np.ndarray) -> RawEvents:
    """Events from the bytes of a recording that is already in memory, uint8 [5 * n]."""
    columns, _ = Decoder("recording", ReadOptions()).decode(data.tobytes())
    return RawEvents(columns.t, columns.x, columns.y, columns.p, Decoder.layout, unit=Decoder.unit)


class Decoder:
    """Records of five bytes and a clock."""

    unit = "us"
    label = None
    sensor = None
    layout = "N-MNIST .bin, 5 bytes an event"

    def __init__(self, path, options: ReadOptions) -> None:
        self._path = path
        self._ticks = 0
        self._unwrap = Unwrap(TIME_BITS)
        self._bytes = 0
        self.notes: list[str] = []

    def decode(self, data: bytes) -> tuple[Columns, int]:
        used = len(data) // EVENT_BYTES * EVENT_BYTES
        self._bytes += used
        x, y, high, middle, low = np.frombuffer(data, np.uint8, used).reshape(-1, EVENT_BYTES).T
        t = (high & 127).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
        clock = y == CLOCK_ROW
        ticks = self._ticks + np.cumsum(clock)
        self._ticks = int(ticks[-1]) if ticks.size else self._ticks
        event = ~clock
        t = self._unwrap(t[event]) + CLOCK_TICK * ticks[event]
        columns = Columns(t, x[event].astype(np.int32), y[event].astype(np.int32), (high >> 7)[event].view(np.int8))
        return columns, used

    def finish(self, rest: bytes) -> Columns:
        if rest:
            size = self._bytes + len(rest)
            raise RecordingError(
                f"{self._path}: truncated or not N-MNIST: {size} bytes is not a multiple of {EVENT_BYTES}"
            )
        self.notes += self._unwrap.notes
        return self.decode(b"")[0]
