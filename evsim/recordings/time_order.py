"""TimeOrder: small disorder is jitter and is sorted; a clock that steps back far is another thing, and is refused."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["TimeOrder"]

JITTER = 10_000
"""Microseconds that some events of any recording may be late."""

SHARE = 50
"""Events may be late by this part of the recording's duration."""

FEW = 50
"""So many steps back, or a twentieth of the events, by less than `JITTER` are jitter however short the recording."""


class TimeOrder:
    """Watches the times of a recording as the file has them, in one piece or several.

    With steps back of more than jitter, rows are in no order of time at all when steps back are many, and the clock
    started anew when they are few. Sorting is right for the first if the column really is the time; it is never right
    for the second: it lays one stretch of the recording over another.
    """

    def __init__(self, path) -> None:
        self._path = path
        self._n = self._n_back = self._depth = self._deepest = 0
        self._low = self._high = self._last = 0

    def watch(self, t: np.ndarray) -> None:
        """Take note of some times, int64 [n]."""
        if not t.size:
            return
        if not self._n:
            self._low = self._high = self._last = int(t[0])
        if int(t[0]) < self._last or np.any(t[1:] < t[:-1]):
            self._n_back += int(t[0] < self._last) + int(np.count_nonzero(t[1:] < t[:-1]))
            highest = np.maximum.accumulate(np.concatenate([[self._high], t]))[1:]
            depth = highest - t
            worst = int(np.argmax(depth))
            if int(depth[worst]) > self._depth:
                self._depth, self._deepest = int(depth[worst]), self._n + worst
        self._low, self._high = min(self._low, int(t.min())), max(self._high, int(t.max()))
        self._last = int(t[-1])
        self._n += t.size

    def judge(self, is_vouched_for: bool, layout: str) -> None:
        """Refuse disorder that is no jitter.

        Parameters
        ----------
        is_vouched_for : bool
            The user said what the columns are, so rows in another order than that of time are only to be sorted.
        layout : str
            What the user may say to vouch for them.

        Raises
        ------
        RecordingError
            With the event at which the time is furthest behind.
        """
        some = self._n // 20
        is_short = self._depth <= JITTER and self._n_back <= max(FEW, some)
        if is_short or self._depth <= (self._high - self._low) // SHARE:
            return
        where = f"{self._path}: at event {self._deepest} the time is {self._depth:,} us behind"
        if self._n_back <= max(2, some):
            raise RecordingError(
                f"{where}: a clock that started anew, or several recordings in one; evsim sorts only jitter "
                "(sort the file by time if its order means nothing)"
            )
        if not is_vouched_for:
            raise RecordingError(
                f"{where} and {self._n_back:,} of {self._n:,} events step back: not in order of time; if "
                f"the columns are right, say --layout {layout} to have them sorted"
            )
