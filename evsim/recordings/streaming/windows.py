"""Windows of time over arriving events: tumbling when the hop is the length, sliding when it is shorter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evsim.errors import RecordingError
from evsim.recordings.streaming.events import Events

__all__ = ["MAX_EVENTS", "Window", "Windows"]

MAX_EVENTS = 2**22
MAX_TIME = 2**61


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The events with t_begin <= t < t_end; the last one of a stream is not complete."""

    t_begin: int
    t_end: int
    events: Events
    is_complete: bool = True


class Windows:
    """Window k begins `k * hop` after the first event. It closes when an event at or behind its end arrives.

    A window without events is not made, only counted. An event that comes after its windows were closed is late:
    it is dropped and counted.

    Parameters
    ----------
    length, hop : int
        Microseconds, ``0 < hop <= length``.
    """

    def __init__(self, length: int, hop: int) -> None:
        if not 0 < hop <= length:
            raise RecordingError(
                f"a window of {length} us every {hop} us: expected a hop above zero, not above the window"
            )
        self.length, self.hop = length, hop
        self.n_silent = self.n_late = 0
        self._begin: int | None = None
        self._parts: list[Events] = []
        self._n_kept = 0

    def feed(self, events: Events) -> Iterator[Window]:
        """The windows that these events close; take them all before feeding more."""
        if not len(events):
            return
        first, latest = int(events.t[0]), int(events.t.max())
        if max(abs(latest), abs(int(events.t.min()))) > MAX_TIME:
            raise RecordingError(f"a time stamp of {latest} us is out of range")
        if self._begin is None:
            self._begin = first
        self._keep(events)
        while latest >= self._begin + self.length:
            yield from self._close()

    def finish(self) -> Iterator[Window]:
        """What has begun but not ended."""
        events = self._kept()
        if len(events):
            yield Window(self._begin, self._begin + self.length, events, is_complete=False)
        self._parts.clear()

    def _keep(self, events: Events) -> None:
        in_time = events.t >= self._begin
        if not in_time.all():
            self.n_late += int((~in_time).sum())
            events = events.where(in_time)
        self._parts.append(events)
        self._n_kept += len(events)
        if self._n_kept > MAX_EVENTS:
            raise RecordingError(
                f"more than {MAX_EVENTS:,} events in a window of {self.length / 1000:g} ms; take a shorter one"
            )

    def _kept(self) -> Events:
        return Events.joined(self._parts) if self._parts else Events.none()

    def _close(self) -> Iterator[Window]:
        """Give the window away, keep what the next one may need, and jump over silence."""
        events, begin, end = self._kept(), self._begin, self._begin + self.length
        inside = events.t < end
        if inside.any():
            yield Window(begin, end, events.where(inside))
        else:
            self.n_silent += 1
        rest = events.where(events.t >= begin + self.hop)
        self._parts, self._n_kept = [rest], len(rest)
        # The event that closed this window is in the rest; whole hops before it reaches a window are silent.
        n_silent = max(0, (int(rest.t.min()) - begin - self.hop - self.length) // self.hop + 1)
        self.n_silent += n_silent
        self._begin = begin + self.hop * (1 + n_silent)
