"""Prophesee .raw: a text header that says which of EVT 2.0, 2.1 and 3.0 follows."""

from __future__ import annotations

from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings.decoding import Columns
from evsim.recordings.evt2 import Evt2, Evt21
from evsim.recordings.evt3 import Evt3
from evsim.recordings.header_decoder import HeaderDecoder
from evsim.recordings.options import ReadOptions
from evsim.recordings.prophesee_header import (
    begins_with_header,
    evt_version,
    first_time_of_header,
    read_header,
    sensor_of_header,
)  # fmt: skip

VERSIONS = {"2.0": Evt2, "2.1": Evt21, "3.0": Evt3}


def recognises(path: Path, head: bytes) -> bool:
    """Whether there is a header that names a version of EVT."""
    if not begins_with_header(head):
        return False
    header = read_header(path, head)
    return header is not None and evt_version(header[0]) is not None


class Decoder(HeaderDecoder):
    """Header first, then words of 16, 32 or 64 bits."""

    layout = "Prophesee EVT"

    def __init__(self, path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._words = None
        self._first_time = 0

    def parse_header(self, data: bytes):
        return read_header(self._path, data)

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        used = (len(data) - start) // self._words.word_bytes * self._words.word_bytes
        columns = self._words.decode(data[start : start + used])
        return columns._replace(t=columns.t + self._first_time), start + used

    def late_notes(self) -> list[str]:
        early = self._words.early
        said = [f"{early} events before the first time stamp were left out"] if early else []
        return said + self._words.notes

    def begin(self, fields: dict[str, str]) -> None:
        version = evt_version(fields)
        if version not in VERSIONS:
            raise RecordingError(f"{self._path}: EVT version {version!r}; expected one of {', '.join(VERSIONS)}")
        if fields.get("endianness", "little") != "little":
            raise RecordingError(f"{self._path}: {fields['endianness']} endian; only little-endian files are read")
        self._words = VERSIONS[version]()
        self.layout = f"Prophesee EVT {version}"
        self.sensor = sensor_of_header(fields)
        self._first_time = first_time_of_header(self._path, fields, self.notes)
