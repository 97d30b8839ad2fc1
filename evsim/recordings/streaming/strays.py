"""Strays: single events of a stream that are stamped far in the future, held back until another confirms them."""

from __future__ import annotations

import numpy as np

from evsim.recordings.streaming.events import Events

__all__ = ["Strays"]


class Strays:
    """Takes out each event that lies far ahead of all before it and of the one that follows.

    A step ahead of more than `far` is a pause if the next event goes on from there, and a stray if it goes back. Until
    then the event waits, and with it the windows that it would close.

    Parameters
    ----------
    far : int
        Microseconds.

    Attributes
    ----------
    n_strays : int
        How many were dropped.
    """

    def __init__(self, far: int) -> None:
        self.n_strays = 0
        self._far = far
        self._latest: int | None = None
        self._held = Events.none()

    def feed(self, events: Events) -> Events:
        """The events that are believed by now, in the order in which they came."""
        events = Events.joined([self._held, events]) if len(self._held) else events
        self._held = Events.none()
        t = events.t
        if not t.size:
            return events
        ahead = self._steps_ahead(t)
        if not ahead.any():
            self._latest = int(t.max() if self._latest is None else max(t.max(), self._latest))
            return events
        return self._without_strays(events)

    def finish(self) -> Events:
        """The event that nothing followed: nobody can tell, and it is believed."""
        held, self._held = self._held, Events.none()
        return held

    def _steps_ahead(self, t: np.ndarray) -> np.ndarray:
        """Which times are far ahead of all before; of the very first, nobody can tell until the second."""
        before = np.maximum.accumulate(np.concatenate([[t[0] if self._latest is None else self._latest], t]))[:-1]
        ahead = t > before + self._far
        ahead[0] |= self._latest is None
        return ahead

    def _without_strays(self, events: Events) -> Events:
        t = events.t.tolist()
        keep = np.ones(len(t), bool)
        latest = self._latest
        for at, time in enumerate(t):
            if latest is not None and time <= latest + self._far:
                latest = max(latest, time)
            elif at + 1 == len(t):
                keep[at] = False
                self._held = events.where(~keep & (np.arange(len(t)) == at))
            elif t[at + 1] < time - self._far:
                keep[at] = False
                self.n_strays += 1
            else:
                latest = time
        self._latest = latest
        return events.where(keep)
