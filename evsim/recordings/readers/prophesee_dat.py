"""Prophesee .dat: a text header, two bytes (type and size of an event), then eight bytes an event.

The second 32-bit word holds, from the bottom, x 14 bits, y 14 bits, polarity 4 bits; in files of version 0 and 1 (the
first ATIS cameras) x 9 bits, y 8 bits, polarity 1 bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.decoding import Columns
from evsim.recordings.header_decoder import HeaderDecoder
from evsim.recordings.options import ReadOptions
from evsim.recordings.prophesee_header import (
    begins_with_header,
    evt_version,
    first_time_of_header,
    read_header,
    sensor_of_header,
)  # fmt: skip
from evsim.recordings.wrapping import Unwrap

EVENT_BYTES = 8
EVENT_TYPES = (0x00, 0x0C)
OLD, NEW = ((0, 9), (9, 8), (17, 1)), ((0, 14), (14, 14), (28, 4))


def recognises(path: Path, head: bytes) -> bool:
    """Whether a header is followed by the type and size of such events."""
    header = read_header(path, head) if begins_with_header(head) else None
    if header is None or evt_version(header[0]) is not None:
        return False
    kind = head[header[1] : header[1] + 2]
    return len(kind) == 2 and kind[0] in EVENT_TYPES and kind[1] == EVENT_BYTES


class Decoder(HeaderDecoder):
    """Header, type and size, then records."""

    layout = "Prophesee DAT"

    def __init__(self, path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._bits = None
        self._first_time = 0
        self._unwrap = Unwrap(32)

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        used = (len(data) - start) // EVENT_BYTES * EVENT_BYTES
        records = np.frombuffer(data, "<u4", used // 4, start).reshape(-1, 2)
        t = self._unwrap(records[:, 0].astype(np.int64)) + self._first_time
        x, y, p = (records[:, 1] >> np.uint32(shift) & np.uint32((1 << bits) - 1) for shift, bits in self._bits)
        return Columns(t, x.astype(np.int32), y.astype(np.int32), p.astype(np.int8)), start + used

    def late_notes(self) -> list[str]:
        return self._unwrap.notes

    def parse_header(self, data: bytes):
        header = read_header(self._path, data)
        if header is None or len(data) < header[1] + 2:
            return None
        fields, start = header
        return (fields, *data[start : start + 2]), start + 2

    def begin(self, header: tuple[dict[str, str], int, int]) -> None:
        fields, kind, size = header
        if kind not in EVENT_TYPES or size != EVENT_BYTES:
            raise RecordingError(f"{self._path}: DAT events of type {kind} and {size} bytes; expected 0 or 12, and 8")
        version = fields.get("version", "2")
        self._bits = OLD if version in ("0", "1") else NEW
        self.sensor = sensor_of_header(fields)
        self._first_time = first_time_of_header(self._path, fields, self.notes)
        self.layout = f"Prophesee DAT version {version}"
