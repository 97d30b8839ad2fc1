"""Bytes to events, piece by piece: what a block leaves unfinished waits for the next one."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import columns_of
from evsim.recordings.readers.nmnist import CLOCK_ROW, CLOCK_TICK, EVENT_BYTES, decode
from evsim.streaming.events import Events

__all__ = ["DECODERS", "CsvDecoder", "NmnistDecoder"]

LONGEST_LINE = 4096


class CsvDecoder:
    """Lines of t, x, y, p in whole numbers (t in microseconds), separated by commas or blanks.

    A first line of names may put the columns into another order; lines that begin with # are comments.

    Parameters
    ----------
    name : str
        Of the source, for messages.
    """

    sensor = None
    """The format does not tell."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rest = b""
        self._n_lines = 0
        self._order: list[int] | None = None

    def feed(self, block: bytes) -> Events:
        """The events whose lines are complete."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise RecordingError(f"{self.name}: line {self._n_lines + len(lines) + 1} has no end; expected t,x,y,p")
        return self._events(lines)

    def finish(self) -> Events:
        """The last line, which need not end in a line break."""
        lines, self._rest = [self._rest], b""
        return self._events(lines)

    def _events(self, lines: list[bytes]) -> Events:
        first_line, self._n_lines = self._n_lines + 1, self._n_lines + len(lines)
        rows = [line.replace(b",", b" ").split() for line in lines]
        if self._order is None:
            self._order = self._take_header(rows)
        kept = [row for row in rows if row and not row[0].startswith(b"#")]
        if not kept:
            return Events.none()
        try:
            numbers = np.array(kept).astype(np.int64)
            t, x, y, p = (numbers[:, place] for place in self._order or range(4))
            return Events(t.copy(), _whole(x, np.int32), _whole(y, np.int32), _whole(p, np.int8))
        except (ValueError, OverflowError, IndexError, TypeError):
            raise RecordingError(self._complaint(rows, lines, first_line)) from None

    def _take_header(self, rows: list[list[bytes]]) -> list[int] | None:
        """The places of t, x, y, p where the first line names the columns; None before any line."""
        row = next((row for row in rows if row and not row[0].startswith(b"#")), None)
        if row is None:
            return None
        names = [word.decode("ascii", "replace").strip('"').lower() for word in row]
        found = columns_of(names)
        if found is None:
            return list(range(4))
        row.clear()
        return [names.index(found[name]) for name in "txyp"]

    def _complaint(self, rows: list[list[bytes]], lines: list[bytes], first_line: int) -> str:
        n_columns = max(self._order or [3]) + 1
        for number, row in enumerate(rows):
            if row and not row[0].startswith(b"#") and not (len(row) >= n_columns and all(map(_is_whole, row))):
                shown = lines[number][:60].decode("ascii", "replace").strip()
                return f"{self.name}: line {first_line + number} is {shown!r}; expected whole numbers t,x,y,p"
        return f"{self.name}: lines {first_line} to {self._n_lines} differ in their columns or hold too large numbers"


class NmnistDecoder:
    """Five bytes an event, as in N-MNIST; the clock overflows of all blocks so far count.

    Parameters
    ----------
    name : str
    """

    sensor = (34, 34)

    def __init__(self, name: str) -> None:
        self.name = name
        self._rest = b""
        self._clock = 0

    def feed(self, block: bytes) -> Events:
        """The events whose five bytes are complete."""
        data = self._rest + block
        n_whole = len(data) // EVENT_BYTES * EVENT_BYTES
        self._rest = data[n_whole:]
        rows = np.frombuffer(data, np.uint8, n_whole)
        raw = decode(rows)
        events = Events(raw.t + self._clock, raw.x.astype(np.int32), raw.y.astype(np.int32), raw.p.astype(np.int8))
        self._clock += CLOCK_TICK * int(np.count_nonzero(rows[1::EVENT_BYTES] == CLOCK_ROW))
        return events

    def finish(self) -> Events:
        """Nothing more; an event that stops half-way is an error."""
        if self._rest:
            raise RecordingError(f"{self.name}: ends in the middle of an event of {EVENT_BYTES} bytes")
        return Events.none()


DECODERS = {"csv": CsvDecoder, "nmnist": NmnistDecoder}


def _whole(column: np.ndarray, dtype: type) -> np.ndarray:
    """The column in a smaller type, where it fits."""
    limits = np.iinfo(dtype)
    if column.min() < limits.min or column.max() > limits.max:
        raise OverflowError
    return column.astype(dtype)


def _is_whole(word: bytes) -> bool:
    return word.removeprefix(b"-").isdigit()
