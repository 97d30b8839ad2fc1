"""Bytes to events, block by block, in any format whose reader can decode a stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings import readers
from evsim.recordings.clock import Clock
from evsim.recordings.column_order import is_order
from evsim.recordings.decoding import Columns
from evsim.recordings.discover import formats_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import check_layout, refused
from evsim.recordings.streaming.events import Events

__all__ = ["StreamDecoder"]

HEAD_BYTES = 4096
TEXT_ORDER = "infer txyp"
"""Text without names: t, x, y, p wherever the first values allow it, for a stream cannot wait for more of them."""


class StreamDecoder:
    """Finds out what a stream is by its first bytes, then decodes it; an unfinished event waits for the next block.

    Text without a line of names has the columns t, x, y, p unless its values forbid it, or `layout` says another order.

    Parameters
    ----------
    name : str
        Of the source: for messages, and the formats that are known by their names.
    layout : str, optional
        The name of a reader, or the order of the columns of text, such as ``xypt``.
    options : ReadOptions, optional
        What else is known: `unit`, and a `layout` in place of the other.

    Raises
    ------
    RecordingError
        No such layout.
    """

    def __init__(self, name: str, layout: str | None = None, options: ReadOptions | None = None) -> None:
        self.name = name
        options = options or ReadOptions()
        self._options = options if layout is None else replace(options, layout=layout)
        self._clock = Clock(name, self._options.unit)
        self._known = {short: module for short, module in formats_of(readers).items() if hasattr(module, "Decoder")}
        layout = self._options.layout
        words = [word for module in self._known.values() for word in getattr(module, "LAYOUTS", ())]
        if layout not in (None, *self._known, *words) and not is_order(layout):
            raise RecordingError(
                f"{name}: layout {layout!r} cannot be followed; expected one of {', '.join((*self._known, *words))} or "
                "an order of columns such as txyp (--layout)"
            )
        self._decoder = None
        if layout in self._known or is_order(layout):
            self._begin("text" if is_order(layout) else layout)
        self._rest = b""

    @property
    def sensor(self) -> tuple[int, int] | None:
        """Height and width where the stream tells; known once there are events."""
        return self._decoder.sensor if self._decoder else None

    @property
    def notes(self) -> list[str]:
        """What was found and assumed so far."""
        return [*(self._decoder.notes if self._decoder else ()), *self._clock.notes]

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
                check_layout(self.name, reader, self._options.layout)
                self._begin(short)
                return True
        if is_whole:
            raise RecordingError(f"{self.name}: starts with {head[:8].hex(' ')}; known: {', '.join(self._known)}")
        return False

    def _begin(self, short: str) -> None:
        options = self._options
        if short == "text" and not is_order(options.layout):
            options = replace(options, layout=TEXT_ORDER)
        self._decoder = self._known[short].Decoder(Path(self.name), options)

    def _events(self, columns: Columns) -> Events:
        return Events(self._clock.read(columns.t, self._decoder.unit), columns.x, columns.y, columns.p)
