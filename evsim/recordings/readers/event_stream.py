"""Event Stream .es, version 2, of DVS events: one byte of time and polarity, then x and y of two bytes each.

Its rows count from the bottom; they are turned so that row 0 is the top one, as in every other recording here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.decoding import Columns, no_events, read_decoded
from evsim.recordings.options import ReadOptions

MAGIC = b"Event Stream"
HEADER_BYTES = 20
EVENT_BYTES = 5
DVS = 1
KINDS = {0: "generic", 1: "DVS", 2: "ATIS", 3: "display", 4: "colour"}
RESET, OVERFLOW, OVERFLOW_TIME = 0xFE, 0xFF, 127


def recognises(path: Path, head: bytes) -> bool:
    """Whether the signature is there."""
    return head.startswith(MAGIC)


def read(path: Path, options: ReadOptions) -> RawEvents:
    """All events of the file."""
    return read_decoded(path, Decoder(path, options))


class Decoder:
    """The header of twenty bytes, then events of one or five."""

    unit = "us"
    label = None
    sensor: tuple[int, int] | None = None
    layout = "Event Stream"

    def __init__(self, path, options: ReadOptions) -> None:
        self._path = path
        self._t = np.int64(0)
        self.notes: list[str] = []

    def decode(self, data: bytes) -> tuple[Columns, int]:
        start = 0
        if self.sensor is None:
            if len(data) < HEADER_BYTES:
                return no_events(), 0
            self._begin(data)
            start = HEADER_BYTES
        found = np.frombuffer(data, np.uint8)[start:]
        size = found.size // EVENT_BYTES
        t, p = np.empty(size + 1, np.int64), np.empty(size + 1, np.int8)
        x, y = np.empty((2, size + 1), np.int32)
        n, used, self._t = _decode_bytes(found, self._t, t, x, y, p)
        height, width = self.sensor
        if n and not (int(x[:n].max()) < width and int(y[:n].max()) < height):
            raise RecordingError(f"{self._path}: an event lies outside the sensor of {height}x{width} it names")
        return Columns(t[:n], x[:n], height - 1 - y[:n], p[:n]), start + used

    def finish(self, rest: bytes) -> Columns:
        if self.sensor is None:
            raise RecordingError(f"{self._path}: truncated: {len(rest)} bytes are no whole header")
        if rest:
            self.notes.append(f"the file ends inside an event: the last {len(rest)} bytes were left out")
        return no_events()

    def _begin(self, data: bytes) -> None:
        version = ".".join(str(part) for part in data[12:15])
        if data[12] != 2:
            raise RecordingError(f"{self._path}: Event Stream version {version}; expected 2")
        if data[15] != DVS:
            kind = KINDS.get(data[15], "unknown")
            raise RecordingError(f"{self._path}: Event Stream of {kind} events (type {data[15]}); expected DVS (1)")
        width, height = (int(side) for side in np.frombuffer(data, "<u2", 2, 16))
        if not width or not height:
            raise RecordingError(f"{self._path}: Event Stream of a sensor of {height}x{width}")
        self.sensor = (height, width)
        self.layout = f"Event Stream {version}, DVS events"


@kernel
def _decode_bytes(data, now, t, x, y, p):
    n, at = 0, 0
    while at < data.size:
        first = data[at]
        if first == OVERFLOW:
            now += OVERFLOW_TIME
            at += 1
        elif first == RESET:
            at += 1
        elif at + 5 > data.size:
            break
        else:
            now += np.int64(first >> 1)
            t[n], p[n] = now, first & 1
            x[n] = np.int32(data[at + 1]) | np.int32(data[at + 2]) << 8
            y[n] = np.int32(data[at + 3]) | np.int32(data[at + 4]) << 8
            n += 1
            at += 5
    return n, at, now
