"""Text: one event a line, separated by commas, semicolons, tabs or spaces, with or without a line of names.

Without names the order of the columns is found from the first lines (time never runs backwards, polarity has two
values), and refused when two orders are possible.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.decoding import Columns, no_events, read_decoded
from evsim.recordings.discover import one_line
from evsim.recordings.options import ReadOptions
from evsim.recordings.text_columns import TextColumns, find_columns

SNIFF_LINES = 1000
VALUE = re.compile(rb"^[^#\n]*[^#\s]", re.MULTILINE)
MAX_LINE_BYTES = 2**16
# Above this a float64 no longer holds every whole number.
MAX_EXACT = 2.0**53


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first lines are rows of at least four numbers, or name the four columns."""
    if any(byte < 9 or 13 < byte < 32 for byte in head):
        return False
    lines = head.split(b"\n")
    try:
        return find_columns(path, lines[:-1] or lines, "txyp") is not None
    except RecordingError:
        return True  # rows of numbers after all; reading them says what is wrong


def read(path: Path, options: ReadOptions) -> RawEvents:
    """All events of the file."""
    return read_decoded(path, Decoder(path, options))


class Decoder:
    """Whole lines, a block at a time."""

    unit = None
    label = None
    sensor = None
    layout = "text"

    def __init__(self, path, options: ReadOptions) -> None:
        self._path = path
        self._wanted = options.layout
        self._columns: TextColumns | None = None
        self._line = 0
        self._signs = set()
        self.notes: list[str] = []

    def decode(self, data: bytes) -> tuple[Columns, int]:
        end = data.rfind(b"\n") + 1
        if len(data) - end > MAX_LINE_BYTES:
            raise RecordingError(f"{self._path}: line {self._line + 1} is longer than {MAX_LINE_BYTES} bytes")
        return self._lines(data[:end]), end

    def finish(self, rest: bytes) -> Columns:
        columns = self._lines(rest + b"\n") if rest.strip() else no_events()
        if self._columns is None:
            raise RecordingError(f"{self._path}: holds no events (text)")
        return columns

    def _lines(self, text: bytes) -> Columns:
        skip = 0
        if self._columns is None and text.strip():
            self._columns = find_columns(self._path, text.split(b"\n", SNIFF_LINES)[:SNIFF_LINES], self._wanted)
            if self._columns is None:
                return self._none_yet(text)
            skip = self._columns.first_line
            self._say()
        columns = self._numbers(text, skip) if text.strip() else no_events()
        self._line += text.count(b"\n")
        return columns

    def _none_yet(self, text: bytes) -> Columns:
        """Only comments so far is fine; anything else is no text of events."""
        if any(line.strip() and line.lstrip()[:1] not in (b"#", b"%") for line in text.split(b"\n", SNIFF_LINES)):
            raise RecordingError(f"{self._path}: text without four columns t, x, y and p")
        self._line += text.count(b"\n")
        return no_events()

    def _say(self) -> None:
        self.layout = f"text, {self._columns.how}"
        if self._columns.inferred:
            self.notes.append("the order of the columns was inferred from the values")

    def _numbers(self, text: bytes, skip: int) -> Columns:
        for sign in (b",", b";", b"\t"):
            text = text.replace(sign, b" ")
        text = text.replace(b"True", b"1").replace(b"False", b"0").replace(b"%", b"#")
        lines = text.split(b"\n", skip)[skip] if skip else text
        if not VALUE.search(lines):
            return no_events()
        try:
            rows = np.loadtxt(io.BytesIO(lines), ndmin=2, usecols=self._columns.places, encoding="latin-1")
        except (ValueError, IndexError) as error:
            raise RecordingError(
                f"{self._path}: after line {self._line + skip}: not a row of numbers ({one_line(error)})"
            ) from error
        return self._checked(*rows.T)

    def _checked(self, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> Columns:
        if not np.all(np.abs(t) < MAX_EXACT):
            raise RecordingError(f"{self._path}: after line {self._line}: a time stamp is out of range")
        # check.py judges the values, but sees one block at a time when a long file is read in pieces.
        self._signs |= {float(value) for value in np.unique(p)[:8]}
        if {-1.0, 0.0} <= self._signs:
            raise RecordingError(f"{self._path}: polarities -1 and 0 in one file; expected 0 and 1, or -1 and 1")
        return Columns(t, x, y, p)
