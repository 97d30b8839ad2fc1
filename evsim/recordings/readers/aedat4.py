"""AEDAT 4 (DV): a flatbuffer header with an XML description, then compressed packets of several streams.

A packet is a stream number, a size, and a flatbuffer of 16-byte events. Only streams of events ("EVTS") are read;
frames, inertial measurements and triggers are passed over.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.aedat_header import aedat_version
from evsim.recordings.decoding import Columns, join
from evsim.recordings.discover import choose
from evsim.recordings.dv_description import event_streams
from evsim.recordings.flatbuffer import Flatbuffer
from evsim.recordings.header_decoder import HeaderDecoder
from evsim.recordings.options import ReadOptions
from evsim.recordings.packing import unpack_lz4, unpack_zstd

SIGNATURE = b"#!AER-DAT4.0\r\n"
UNPACK = {0: None, 1: unpack_lz4, 2: unpack_lz4, 3: unpack_zstd, 4: unpack_zstd}
PACKET = struct.Struct("<ii")
MAX_HEADER_BYTES = 2**22
MAX_PACKET_BYTES = 2**26
EVENT = np.dtype({"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12],
                  "itemsize": 16})  # fmt: skip

HOLDS_MANY = True


def recognises(path: Path, head: bytes) -> bool:
    """Whether the signature of version 4 is there."""
    return aedat_version(head) == b"4.0"


class Decoder(HeaderDecoder):
    """Header, then packets, each unpacked when it is whole."""

    layout = "AEDAT 4"
    record = "a packet"

    def __init__(self, path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._stream: int | None = None
        self._unpack = None
        self._table = -1  # where the packets end, once a writer has closed the file
        self._at = 0

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        pieces, at = [], start
        while (end := self._packet_end(data, at)) is not None:
            stream, size = PACKET.unpack_from(data, at)
            if stream == self._stream:
                pieces.append(self._events(data[end - size : end]))
            at = end
        if 0 <= self._table <= self._at + at:
            at = len(data)  # only the table of contents is left
        self._at += at
        return join(pieces), at

    def parse_header(self, data: bytes):
        start = len(SIGNATURE)
        if len(data) < start + 4:
            return None
        (size,) = struct.unpack_from("<I", data, start)
        if size > MAX_HEADER_BYTES:
            raise RecordingError(f"{self._path}: damaged: a header of {size} bytes")
        end = start + 4 + size
        return (data[start:end], end) if len(data) >= end else None

    def begin(self, data: bytes) -> None:
        header = Flatbuffer(self._path, data, b"IOHE")
        compression, table = header.field(0), header.field(1)
        method = header.number("<i", compression) if compression is not None else 0
        if method not in UNPACK:
            raise RecordingError(f"{self._path}: unknown compression {method}; expected one of {list(UNPACK)}")
        self._unpack = UNPACK[method]
        self._table = header.number("<q", table) if table is not None else -1
        text, length = header.vector(2, 1)
        self._choose(event_streams(self._path, data[text : text + length]))

    def _choose(self, streams: dict[int, tuple[int, int] | None]) -> None:
        if not streams:
            raise RecordingError(f"{self._path}: AEDAT 4 without a stream of events")
        key, notes = choose(self._path, [str(number) for number in streams], self._options.index)
        self._stream = int(key)
        self.sensor = streams[self._stream]
        self.layout = f"AEDAT 4, event stream {self._stream}"
        self.notes.extend(note.replace("recording", "event stream") for note in notes)

    def _packet_end(self, data: bytes, at: int) -> int | None:
        if 0 <= self._table <= self._at + at or at + PACKET.size > len(data):
            return None
        stream, size = PACKET.unpack_from(data, at)
        if stream < 0 or not 0 <= size <= MAX_PACKET_BYTES:
            raise RecordingError(f"{self._path}: damaged: a packet of {size} bytes of stream {stream}")
        end = at + PACKET.size + size
        return end if end <= len(data) else None

    def _events(self, packed: bytes) -> Columns:
        plain = self._unpack(self._path, packed, MAX_PACKET_BYTES) if self._unpack else packed
        start, count = Flatbuffer(self._path, plain, b"EVTS").vector(0, EVENT.itemsize)
        events = np.frombuffer(plain, EVENT, count, start)
        x, y = events["x"].astype(np.int32), events["y"].astype(np.int32)
        return Columns(events["t"].astype(np.int64), x, y, (events["p"] != 0).astype(np.int8))
