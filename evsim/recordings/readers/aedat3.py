"""AEDAT 3.1 (cAER), the format of DVS128 Gesture: a text header, then packets of events of one type each.

A packet starts with 28 bytes: type, source, size of an event, where its time is, how often the time overflowed, and how
many events it could hold, holds, and holds valid ones. Only polarity events (type 1) are read. A label file of DVS128
Gesture beside the recording cuts it into its gestures.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.aedat_header import aedat_version, read_header_lines
from evsim.recordings.decoding import Columns, join, no_events
from evsim.recordings.discover import only_one
from evsim.recordings.gesture_labels import WHOLE, Trial, gesture_trial
from evsim.recordings.header_decoder import HeaderDecoder
from evsim.recordings.options import ReadOptions

HEADER_END = b"#!END-HEADER"
PACKET = struct.Struct("<hhiiiiii")
POLARITY, POLARITY_BYTES = 1, 8
MAX_PACKET_BYTES = 2**26
SENSORS = {
    "DVS128": (128, 128),
    "DAVIS128": (128, 128),
    "DAVIS208": (192, 208),
    "DAVIS240": (180, 240),
    "DAVIS346": (260, 346),
    "DAVIS640": (480, 640),
}

HOLDS_MANY = True


def recognises(path: Path, head: bytes) -> bool:
    """Whether the signature of version 3.1 is there."""
    return aedat_version(head) == b"3.1"


class Decoder(HeaderDecoder):
    """Header, then packets, each decoded when it is whole."""

    layout = "AEDAT 3.1"
    record = "a packet"

    def __init__(self, path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._invalid = 0
        self._trial: Trial | None = gesture_trial(Path(path), options.index)
        if self._trial:
            self.label, self.notes = self._trial.label, list(self._trial.notes)
        elif options.index != WHOLE:
            only_one(path, options.index)

    def parse_header(self, data: bytes):
        return read_header_lines(self._path, data, HEADER_END)

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        pieces, at = [], start
        while (end := self._packet_end(data, at)) is not None:
            pieces.append(self._packet(data, at))
            at = end
        return join(pieces), at

    def late_notes(self) -> list[str]:
        return [f"{self._invalid} events marked invalid were left out"] if self._invalid else []

    def begin(self, lines: list[str]) -> None:
        kind = next((line.partition(":")[2].strip() for line in lines if line.startswith("Format")), "RAW")
        if kind != "RAW":
            raise RecordingError(f"{self._path}: AEDAT 3.1 in format {kind!r}; expected RAW")
        source = next((line.partition(":")[2].strip() for line in lines if line.startswith("Source")), "")
        self.sensor = next((size for name, size in SENSORS.items() if source.upper().startswith(name)), None)
        self.layout = f"AEDAT 3.1, {source or 'unnamed camera'}"

    def _packet_end(self, data: bytes, at: int) -> int | None:
        if at + PACKET.size > len(data):
            return None
        kind, _, size, _, _, capacity, number, _ = PACKET.unpack_from(data, at)
        n_bytes = size * capacity
        if kind < 0 or size < 0 or not 0 <= number <= capacity or n_bytes > MAX_PACKET_BYTES:
            raise RecordingError(f"{self._path}: damaged: a packet of {number} of {capacity} events of {size} bytes")
        end = at + PACKET.size + n_bytes
        return end if end <= len(data) else None

    def _packet(self, data: bytes, at: int) -> Columns:
        kind, _, size, _, overflow, _, number, _ = PACKET.unpack_from(data, at)
        if kind != POLARITY:
            return no_events()
        if size != POLARITY_BYTES or overflow < 0:
            raise RecordingError(f"{self._path}: damaged: polarity events of {size} bytes, {overflow} overflows")
        pairs = np.frombuffer(data, "<u4", 2 * number, at + PACKET.size).reshape(-1, 2)
        valid = (pairs[:, 0] & 1) == 1
        self._invalid += number - int(np.count_nonzero(valid))
        t = pairs[:, 1].astype(np.int64) + (overflow << 31)
        if self._trial is not None:
            valid &= (t >= self._trial.begin) & (t < self._trial.end)
        address = pairs[valid, 0]
        x, y = (address >> 17).astype(np.int32), (address >> 2 & 0x7FFF).astype(np.int32)
        return Columns(t[valid], x, y, (address >> 1 & 1).astype(np.int8))
