"""Event files as streams of bytes: a decoder a format, fed block by block, so that no file need fit in memory.

A decoder keeps what a format makes it remember between blocks (the high bits of the time, the row) and is fed by a
whole file, by a file that still grows, or by standard input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents

__all__ = [
    "Columns",
    "Decoder",
    "check_density",
    "decode_stream",
    "describe",
    "join",
    "no_events",
    "read_decoded",
    "read_stream",
]

BLOCK_BYTES = 2**18
# 4.5 GB of columns; longer files are for `iter_events`.
MAX_EVENTS = 2**28
EVENT_BYTES = 17
"""What an event takes in memory: t int64, x and y int32, p int8."""

ALLOWANCE = 2**26
MOST_GROWTH = 256
"""The densest format, vectors of EVT 3.0, holds six events a byte, which are 102 bytes in memory."""


class Columns(NamedTuple):
    """Some events in the order of the file: t int64 (or float64) [n], x and y int32 [n], p int8 [n]."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray


class Decoder(Protocol):
    """What turns bytes into events; `layout` and `sensor` are final as soon as an event has been returned.

    Attributes
    ----------
    layout : str
        What was found, in words.
    sensor : (int, int) or None
        Height and width, where the file says so.
    unit : str or None
        Unit of the time stamps; None where the format does not fix it.
    label : int or None
    notes : list of str
        Complete after the last block.
    """

    layout: str
    sensor: tuple[int, int] | None
    unit: str | None
    label: int | None
    notes: list[str]

    def decode(self, data: bytes) -> tuple[Columns, int]:
        """The whole events at the start of `data` and how many bytes they took; the rest comes again, with more."""
        ...

    def finish(self, rest: bytes) -> Columns:
        """What the last bytes of the stream, which were no whole event until now, still hold."""
        ...


def no_events() -> Columns:
    """Columns without a row."""
    return Columns(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))


def decode_stream(stream: BinaryIO, decoder: Decoder, block_bytes: int = BLOCK_BYTES) -> Iterator[Columns]:
    """Events as they come out of a stream, in pieces of no particular size; what a pipe has is not held back."""
    read = getattr(stream, "read1", stream.read)
    rest = b""
    while block := read(block_bytes):
        rest += block
        columns, used = decoder.decode(rest)
        rest = rest[used:]
        if columns.t.size:
            yield columns
    columns = decoder.finish(rest)
    if columns.t.size:
        yield columns


def read_decoded(path, decoder: Decoder) -> RawEvents:
    """All events of a file, see `read_stream`."""
    with open(path, "rb") as stream:
        return read_stream(path, stream, decoder)


def read_stream(path, stream: BinaryIO, decoder: Decoder) -> RawEvents:
    """All events of a stream; `path` is for messages.

    Raises
    ------
    RecordingError
        When there are more than fit in memory.
    """
    gathered = Gathered()
    for columns in decode_stream(stream, decoder):
        gathered.add(columns)
        if gathered.n > MAX_EVENTS:
            raise RecordingError(f"{path}: holds more than {MAX_EVENTS} events; read it in pieces with iter_events")
        check_density(path, gathered.n, stream.tell())
    return describe(decoder, gathered.columns())


def check_density(path, n_events: int, n_bytes: int) -> None:
    """Refuse more events than so many bytes of a file can hold: packed zeros claim gigabytes of them.

    Raises
    ------
    RecordingError
        When the columns would take hundreds of times the memory of the file.
    """
    if n_events * EVENT_BYTES > ALLOWANCE + MOST_GROWTH * n_bytes:
        raise RecordingError(f"{path}: claims {n_events} events in {n_bytes} bytes, more than a recording can hold")


class Gathered:
    """Columns that grow where they are: a long file takes a quarter more memory than its events, not twice as much."""

    GROWTH = 1.25

    def __init__(self) -> None:
        self.n = 0
        self._columns = list(no_events())

    def add(self, columns: Columns) -> None:
        """Append some events."""
        end = self.n + columns.t.size
        if not self.n:
            self._columns = [np.empty(0, column.dtype) for column in columns]
        if end > self._columns[0].size:
            self._resize(int(end * self.GROWTH))
        for whole, column in zip(self._columns, columns, strict=True):
            whole[self.n : end] = column
        self.n = end

    def columns(self) -> Columns:
        """All events; nothing can be added any more."""
        self._resize(self.n)
        return Columns(*self._columns)

    def _resize(self, n: int) -> None:
        for column in self._columns:
            column.resize(n, refcheck=False)  # nobody else has seen these arrays


def describe(decoder: Decoder, columns: Columns) -> RawEvents:
    """Events with what their decoder knows of them."""
    notes = tuple(decoder.notes)
    order = getattr(decoder, "order", None)
    return RawEvents(*columns, decoder.layout, decoder.sensor, decoder.label, decoder.unit, notes, order)


def join(pieces: list[Columns]) -> Columns:
    """One Columns out of several; the pieces are given up on the way, so that no column is held twice for long."""
    if not pieces:
        return no_events()
    if len(pieces) == 1:
        return pieces[0]
    columns = [list(column) for column in zip(*pieces, strict=True)]
    pieces.clear()
    return Columns(*(np.concatenate(columns.pop(0)) for _ in range(4)))
