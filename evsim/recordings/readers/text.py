"""Text: one event a line, separated by commas, semicolons, tabs or spaces, with or without a line of names.

Without names the order of the columns is found from the values, and refused when two orders are possible.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.clock import MAX_TIME, UNITS
from evsim.recordings.column_order import AmbiguousColumns
from evsim.recordings.decoding import Columns, no_events
from evsim.recordings.discover import one_line
from evsim.recordings.options import ReadOptions
from evsim.recordings.text_columns import TextColumns, find_columns
from evsim.recordings.text_header import is_comment, separator_of

TAKES_ORDER = True
BOM = b"\xef\xbb\xbf"
SNIFF_LINES = 1000
SNIFF_BYTES = 2**22
VALUE = re.compile(rb"^[^#\n]*[^#\s]", re.MULTILINE)
MAX_LINE_BYTES = 2**16
TRUTH = re.compile(rb"\b(true|false)\b", re.IGNORECASE)


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first lines are rows of at least four numbers, or name the four columns."""
    head = head.removeprefix(BOM)
    if any(byte < 9 or 13 < byte < 32 for byte in head):
        return False
    lines = head.split(b"\n")
    try:
        return find_columns(path, lines[:-1] or lines, None) is not None
    except RecordingError:
        return True  # rows of numbers after all; reading them says what is wrong


class Decoder:
    """Whole lines, a block at a time."""

    label = None
    unit: str | None = None
    sensor: tuple[int, int] | None = None
    layout = "text"
    order: str | None = None

    def __init__(self, path, options: ReadOptions) -> None:
        self._path = path
        self._wanted = options.layout
        self._told_unit = options.unit
        self._columns: TextColumns | None = None
        self._line = self._tried = 0
        self._separator: bytes | None = None
        self._has_rows = False
        self.notes: list[str] = []

    def decode(self, data: bytes) -> tuple[Columns, int]:
        end = data.rfind(b"\n") + 1
        if len(data) - end > MAX_LINE_BYTES:
            raise RecordingError(f"{self._path}: line {self._line + 1} is longer than {MAX_LINE_BYTES} bytes")
        is_enough = len(data) >= SNIFF_BYTES
        if self._columns is None and not self._find(data[:end], is_enough):
            if is_enough:
                raise RecordingError(f"{self._path}: no events in the first {end} bytes (text)")
            return no_events(), 0
        return self._lines(data[:end]), end

    def finish(self, rest: bytes) -> Columns:
        text = rest + b"\n"
        if self._columns is None and not self._find(text, True):
            raise RecordingError(f"{self._path}: holds no events (text)")
        return self._lines(text) if rest.strip() else no_events()

    def _find(self, text: bytes, is_enough: bool) -> bool:
        """Settle the columns; False while more lines may settle them, which are waited for."""
        if len(text) < 2 * self._tried and not is_enough:
            return False
        self._tried = len(text)
        lines = text.removeprefix(BOM).split(b"\n")
        try:
            self._columns = self._columns_of(lines)
        except AmbiguousColumns:
            if is_enough:
                raise
            return False
        if self._columns is None:
            # Only comments so far is fine; anything else is no text of events.
            if any(not is_comment(line) for line in lines):
                raise RecordingError(f"{self._path}: text without four columns t, x, y and p")
            return False
        self._say()
        return True

    def _columns_of(self, lines: list[bytes]) -> TextColumns | None:
        """From the first lines, or where they leave it open, from all there are."""
        try:
            return find_columns(self._path, lines[:SNIFF_LINES], self._wanted)
        except AmbiguousColumns:
            return find_columns(self._path, lines, self._wanted)

    def _say(self) -> None:
        found = self._columns
        self.layout, self.unit, self.sensor, self.order = f"text, {found.how}", found.unit, found.sensor, found.order
        self.notes += found.notes
        if found.first_time:
            self.notes.append(f"t0 {found.first_time} us was added to the time stamps")

    def _lines(self, text: bytes) -> Columns:
        skip = 0 if self._line else self._columns.first_line
        text = text if self._line else text.removeprefix(BOM)
        lines = text.split(b"\n", skip)[skip] if skip else text
        columns = self._numbers(lines.replace(b"%", b"#"), self._line + skip)
        self._line += text.count(b"\n")
        return columns

    def _numbers(self, text: bytes, before: int) -> Columns:
        if not VALUE.search(text):
            return no_events()
        if not self._has_rows:
            self._has_rows = True
            self._separator = separator_of(next(line for line in text.split(b"\n") if not is_comment(line)))
        self._count_fields(text, before)
        if any(word in text for word in (b"rue", b"RUE", b"alse", b"ALSE")):
            text = TRUTH.sub(lambda found: b"1" if found.group()[:1] in b"tT" else b"0", text)
        separator = self._separator
        form = {"delimiter": None if separator is None else separator.decode(), "quotechar": '"'}
        try:
            rows = np.loadtxt(io.BytesIO(text), ndmin=2, usecols=self._columns.places, encoding="latin-1", **form)
        except (ValueError, IndexError) as error:
            raise RecordingError(
                f"{self._path}: after line {before}: not a row of numbers ({one_line(error)})"
            ) from error
        t, x, y, p = rows.T
        if not np.all(np.abs(t) < MAX_TIME):
            raise RecordingError(f"{self._path}: after line {before}: a time stamp is out of range")
        if self._columns.first_time:
            t = t + self._columns.first_time / UNITS[self._told_unit or self.unit or "us"]
        return Columns(t, x, y, p)

    def _count_fields(self, text: bytes, before: int) -> None:
        """Refuse a row with more or fewer fields than the first one, or than the header has names."""
        letters = np.frombuffer(text, np.uint8)
        line = np.cumsum(letters == 10) - (letters == 10)
        separator = self._separator
        if separator is None:
            blank = (letters == 32) | ((letters >= 9) & (letters <= 13))
            starts = ~blank & np.concatenate([[True], blank[:-1]])
            counts = np.bincount(line[starts], minlength=line[-1] + 1)
        else:
            counts = np.bincount(line[letters == separator[0]], minlength=line[-1] + 1) + 1
        odd = np.flatnonzero(counts != self._columns.n_fields)
        if not odd.size:
            return
        lines = text.split(b"\n")
        for number in odd[odd < len(lines)]:
            row = lines[number].partition(b"#")[0]
            n = row.count(separator) + 1 if separator else len(row.split())
            if row.strip() and n != self._columns.n_fields:
                raise RecordingError(
                    f"{self._path}: line {before + number + 1} is {row[:60]!r} after line {before + number}; expected "
                    f"{self._columns.n_fields} fields, found {n}"
                )
