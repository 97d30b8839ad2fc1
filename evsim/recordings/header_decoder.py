"""HeaderDecoder: what the binary formats share, a header first and then records, either of which may be cut in two."""

from __future__ import annotations

from evsim.errors import RecordingError
from evsim.recordings.decoding import Columns, no_events
from evsim.recordings.options import ReadOptions

__all__ = ["HeaderDecoder"]


class HeaderDecoder:
    """A decoder of a header and records; a format says how each is read.

    Class attributes are what holds for every file of the format: `unit`, `label`, and the `record` it may end inside.
    """

    unit: str | None = "us"
    label: int | None = None
    sensor: tuple[int, int] | None = None
    layout = ""
    record = "an event"

    def __init__(self, path, options: ReadOptions) -> None:
        self._path = path
        self._options = options
        self._begun = False
        self.notes: list[str] = []

    def parse_header(self, data: bytes) -> tuple[object, int] | None:
        """What the header says and how long it is; None while `data` does not hold all of it."""
        raise NotImplementedError

    def begin(self, header) -> None:
        """Take in what the header says."""
        raise NotImplementedError

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        """The events of the whole records from `start` on, and where the first unfinished one begins."""
        raise NotImplementedError

    def late_notes(self) -> list[str]:
        """Notes that are complete only at the end of the file."""
        return []

    def decode(self, data: bytes) -> tuple[Columns, int]:
        """See `Decoder`."""
        start = 0
        if not self._begun:
            found = self.parse_header(data)
            if found is None:
                return no_events(), 0
            header, start = found
            self.begin(header)
            self._begun = True
        return self.read_records(data, start)

    def finish(self, rest: bytes) -> Columns:
        """See `Decoder`."""
        if not self._begun:
            raise RecordingError(f"{self._path}: truncated: it ends inside its header")
        if rest:
            self.notes.append(f"the file ends inside {self.record}: the last {len(rest)} bytes were left out")
        self.notes += self.late_notes()
        return no_events()
