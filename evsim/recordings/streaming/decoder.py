"""Bytes to events, block by block, in any format whose reader can decode a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings import readers
from evsim.recordings.check import MICROSECONDS
from evsim.recordings.decoding import Columns
from evsim.recordings.discover import formats_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import refused
from evsim.recordings.streaming.events import Events
from evsim.recordings.text_columns import ORDERS

__all__ = ["StreamDecoder"]

HEAD_BYTES = 4096


class StreamDecoder:
    """Finds out what a stream is by its first bytes, then decodes it; an unfinished event waits for the next block.

    Text without a line of names has the columns t, x, y, p unless `layout` says another order.

    Parameters
    ----------
    name : str
        Of the source: for messages, and the formats that are known by their names.
    layout : str, optional
        The name of a reader, or the order of the columns of text, such as ``xypt``.

    Raises
    ------
    RecordingError
        No such layout.
    """

    def __init__(self, name: str, layout: str | None = None) -> None:
        self.name = name
        self._order = layout if layout in ORDERS else "txyp"
        self._known = {short: module for short, module in formats_of(readers).items() if hasattr(module, "Decoder")}
        if layout not in (None, *ORDERS, *self._known):
            raise RecordingError(f"layout {layout!r} cannot be followed; expected one of {', '.join(self._known)}")
        self._decoder = None
        if layout is not None:
            self._begin("text" if layout in ORDERS else layout)
        self._rest = b""

    @property
    def sensor(self) -> tuple[int, int] | None:
        """Height and width where the stream tells; known once there are events."""
        return self._decoder.sensor if self._decoder else None

    def feed(self, block: bytes) -> Events:
        """The events that are complete by now."""
        self._rest += block
        if not self._decoder and not self._recognise():
            return Events.none()
        with refused(Path(self.name)):
            columns, used = self._decoder.decode(self._rest)
            self._rest = self._rest[used:]
            return self._events(columns)

    def finish(self) -> Events:
        """What the end of the stream makes complete."""
        if not self._decoder and not self._recognise(is_whole=True):
            found = f"starts with {self._rest[:8].hex(' ')}" if self._rest else "is empty (0 bytes)"
            raise RecordingError(f"{self.name}: {found}; known: {', '.join(self._known)}")
        with refused(Path(self.name)):
            columns, used = self._decoder.decode(self._rest)
            events = [self._events(columns), self._events(self._decoder.finish(self._rest[used:]))]
        self._rest = b""
        return Events.joined(events)

    def _recognise(self, is_whole: bool = False) -> bool:
        """Decide once there is a whole line or a few kilobytes; headers of several lines may need more."""
        head = self._rest[:HEAD_BYTES]
        is_whole = is_whole or len(head) == HEAD_BYTES
        if not head or (b"\n" not in head and not is_whole):
            return False
        for short, reader in self._known.items():
            if reader.recognises(Path(self.name), head):
                self._begin(short)
                return True
        if is_whole:
            raise RecordingError(f"{self.name}: starts with {head[:8].hex(' ')}; known: {', '.join(self._known)}")
        return False

    def _begin(self, short: str) -> None:
        options = ReadOptions(layout=self._order if short == "text" else None)
        self._decoder = self._known[short].Decoder(Path(self.name), options)

    def _events(self, columns: Columns) -> Events:
        t = np.asarray(columns.t)
        scale = MICROSECONDS[self._decoder.unit or "us"]
        if t.dtype.kind == "f":
            scaled = t * scale
            if not np.array_equal(np.rint(scaled), scaled):
                raise RecordingError(f"{self.name}: time stamps with fractions; expected whole microseconds")
            return Events(scaled.astype(np.int64), columns.x, columns.y, columns.p)
        return Events(t.astype(np.int64) * scale, columns.x, columns.y, columns.p)
