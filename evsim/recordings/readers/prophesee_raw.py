"""Prophesee .raw: a text header that says which of EVT 2.0, 2.1 and 3.0 follows."""

from __future__ import annotations

from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.decoding import Columns, no_events, read_decoded
from evsim.recordings.evt2 import Evt2, Evt21
from evsim.recordings.evt3 import Evt3
from evsim.recordings.options import ReadOptions
from evsim.recordings.prophesee_header import begins_with_header, evt_version, read_header, sensor_of_header

VERSIONS = {"2.0": Evt2, "2.1": Evt21, "3.0": Evt3}


def recognises(path: Path, head: bytes) -> bool:
    """Whether there is a header that names a version of EVT."""
    if not begins_with_header(head):
        return False
    header = read_header(path, head)
    return header is not None and evt_version(header[0]) is not None


def read(path: Path, options: ReadOptions) -> RawEvents:
    """All events of the file."""
    return read_decoded(path, Decoder(path, options))


class Decoder:
    """Header first, then words of 16, 32 or 64 bits."""

    unit = "us"
    label = None
    layout = "Prophesee EVT"
    sensor: tuple[int, int] | None = None

    def __init__(self, path, options: ReadOptions) -> None:
        self._path = path
        self._words = None
        self.notes: list[str] = []

    def decode(self, data: bytes) -> tuple[Columns, int]:
        start = 0
        if self._words is None:
            header = read_header(self._path, data)
            if header is None:
                return no_events(), 0
            fields, start = header
            self._begin(fields)
        used = (len(data) - start) // self._words.word_bytes * self._words.word_bytes
        return self._words.decode(data[start : start + used]), start + used

    def finish(self, rest: bytes) -> Columns:
        if self._words is None:
            raise RecordingError(f"{self._path}: truncated: it ends inside its header")
        if rest:
            self.notes.append(f"the file ends inside an event: the last {len(rest)} bytes were left out")
        if self._words.early:
            self.notes.append(f"{self._words.early} events before the first time stamp were left out")
        return no_events()

    def _begin(self, fields: dict[str, str]) -> None:
        version = evt_version(fields)
        if version not in VERSIONS:
            raise RecordingError(f"{self._path}: EVT version {version!r}; expected one of {', '.join(VERSIONS)}")
        if fields.get("endianness", "little") != "little":
            raise RecordingError(f"{self._path}: {fields['endianness']} endian; only little-endian files are read")
        self._words = VERSIONS[version]()
        self.layout = f"Prophesee EVT {version}"
        self.sensor = sensor_of_header(fields)
