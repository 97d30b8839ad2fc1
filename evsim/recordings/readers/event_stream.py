"""Event Stream .es, version 2, of DVS events: one byte of time and polarity, then x and y of two bytes each.

Its rows count from the bottom; they are turned so that row 0 is the top one, as in every other recording here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.errors import RecordingError
from evsim.recordings.decoding import Columns
from evsim.recordings.header_decoder import HeaderDecoder
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


class Decoder(HeaderDecoder):
    """The header of twenty bytes, then events of one or five."""

    layout = "Event Stream"

    def __init__(self, path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._t = np.int64(0)

    def parse_header(self, data: bytes):
        return (data[:HEADER_BYTES], HEADER_BYTES) if len(data) >= HEADER_BYTES else None

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        found = np.frombuffer(data, np.uint8)[start:]
        size = found.size // EVENT_BYTES
        t, p = np.empty(size + 1, np.int64), np.empty(size + 1, np.int8)
        x, y = np.empty((2, size + 1), np.int32)
        n, used, self._t = _decode_bytes(found, self._t, t, x, y, p)
        return Columns(t[:n], x[:n], self.sensor[0] - 1 - y[:n], p[:n]), start + used

    def begin(self, data: bytes) -> None:
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
