"""Windows of time over arriving events: tumbling when the hop is the length, sliding when it is shorter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evsim.errors import RecordingError
from evsim.recordings.streaming.events import Events
from evsim.recordings.streaming.strays import Strays

__all__ = ["MAX_EVENTS", "Window", "Windows"]

MAX_EVENTS = 2**22
MAX_TIME = 2**61
FAR_WINDOWS = 4
MOST_LATE = 100_000
"""Late events in a row, none of which comes in time any more."""


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
    it is dropped and counted. An event more than four windows ahead of all others closes windows once a second one
    confirms it; else it is a stray (see `Strays`).

    Parameters
    ----------
    length, hop : int
        Microseconds, ``0 < hop <= length``.

    Raises
    ------
    RecordingError
        When the clock of the stream stepped back for good, so that all events are late.
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
        self._n_kept = self._n_late_in_a_row = 0
        self._strays = Strays(FAR_WINDOWS * length)

    @property
    def n_strays(self) -> int:
        """Single events far in the future, which were dropped."""
        return self._strays.n_strays

    def feed(self, events: Events) -> Iterator[Window]:
        """The windows that these events close; take them all before feeding more."""
        if len(events) and max(abs(int(events.t.max())), abs(int(events.t.min()))) > MAX_TIME:
            raise RecordingError(f"a time stamp of {int(events.t.max())} us is out of range")
        yield from self._take(self._strays.feed(events))

    def _take(self, events: Events) -> Iterator[Window]:
        if not len(events):
            return
        first, latest = int(events.t[0]), int(events.t.max())
        if self._begin is None:
            self._begin = first
        self._keep(events)
        while latest >= self._begin + self.length:
            yield from self._close()

    def finish(self) -> Iterator[Window]:
        """What has begun but not ended."""
        yield from self._take(self._strays.finish())
        events = self._kept()
        if len(events):
            yield Window(self._begin, self._begin + self.length, events, is_complete=False)
        self._parts.clear()

    def _keep(self, events: Events) -> None:
        in_time = events.t >= self._begin
        if not in_time.all():
            self.n_late += int((~in_time).sum())
            self._n_late_in_a_row = 0 if in_time.any() else self._n_late_in_a_row + len(events)
            if self._n_late_in_a_row > MOST_LATE:
                raise RecordingError(
                    f"the last {self._n_late_in_a_row:,} events are late: the clock of the stream stepped back from "
                    f"{self._begin} us to {int(events.t[-1])} us"
                )
            events = events.where(in_time)
        else:
            self._n_late_in_a_row = 0
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
