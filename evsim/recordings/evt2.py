"""EVT 2.0 (32-bit words, one event each) and EVT 2.1 (64-bit words, up to 32 neighbours of one polarity).

The four top bits say what a word is: 0 and 1 are events of that polarity, 8 sets the high 28 bits of the time for the
events after it. Triggers and everything else are passed over. Bits from the top: type 4, low time 6, x 11, y 11, and
in EVT 2.1 then a mask of 32 whose bit k is the pixel x + k. Some cameras send the upper half of a 64-bit word first.
"""

from __future__ import annotations

import numpy as np

from evsim.recordings.decoding import Columns
from evsim.recordings.wrapping import Unwrap, fill_forward, lost_highs

__all__ = ["Evt2", "Evt21"]

TIME_HIGH = 8
LOW_BITS = 6


class Evt2:
    """32-bit words; what passes from one block to the next is the high part of the time."""

    word_bytes = 4

    def __init__(self) -> None:
        self._unwrap = Unwrap(28)
        self._high = -1
        self._low = self._lap = self._lost = 0
        self.early = 0

    @property
    def notes(self) -> list[str]:
        """How often the high time wrapped, and laps of the low time that no high time announced."""
        return self._unwrap.notes + lost_highs(self._lost, 1 << LOW_BITS)

    def decode(self, data: bytes) -> Columns:
        """The events of whole words."""
        words = np.frombuffer(data, "<u4")
        kept, t = self._events(words)
        return _columns(t, words[kept])

    def _events(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which words are events that have a time, and their times."""
        kind = words >> 28
        at = np.flatnonzero(kind == TIME_HIGH)
        highs = fill_forward(self._unwrap((words[at] & 0x0FFFFFFF).astype(np.int64)), at, words.size, self._high)
        self._high = int(highs[-1]) if words.size else self._high
        event = kind <= 1
        kept = np.flatnonzero(event & (highs >= 0))
        self.early += int(np.count_nonzero(event)) - kept.size
        low = ((words[kept] >> 22) & 0x3F).astype(np.int64)
        laps = self._laps(low, np.cumsum(kind == TIME_HIGH)[kept])
        if at.size and (not kept.size or kept[-1] < at[-1]):
            self._low = self._lap = 0
        return kept, (highs[kept] + laps) << LOW_BITS | low

    def _laps(self, low: np.ndarray, n_highs: np.ndarray) -> np.ndarray:
        """How often the low time started anew since the last word of high time, at each event."""
        if not low.size:
            return low
        is_first = np.diff(n_highs, prepend=0) > 0
        anew = (np.diff(low, prepend=self._low) < -(1 << LOW_BITS - 1)) & ~is_first
        laps = self._lap + np.cumsum(anew)
        laps = np.where(n_highs > 0, laps - np.maximum.accumulate(np.where(is_first, laps, 0)), laps)
        self._lost += int(np.count_nonzero(anew))
        self._low, self._lap = int(low[-1]), int(laps[-1])
        return laps


class Evt21(Evt2):
    """64-bit words: their upper half is an EVT 2.0 word, their lower half the mask."""

    word_bytes = 8

    def __init__(self) -> None:
        super().__init__()
        self._upper: int | None = None

    def decode(self, data: bytes) -> Columns:
        """The events of whole words."""
        halves = np.frombuffer(data, "<u4").reshape(-1, 2)
        self._upper = _upper_half(halves) if self._upper is None else self._upper
        # Until a time word has shown which half is which, no event has a time either.
        upper = 1 if self._upper is None else self._upper
        mask, words = halves[:, 1 - upper], halves[:, upper]
        kept, t = self._events(words)
        bits = np.unpackbits(np.ascontiguousarray(mask[kept]).view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        row, pixel = np.nonzero(bits)
        group = _columns(t, words[kept])
        return Columns(group.t[row], group.x[row] + pixel.astype(np.int32), group.y[row], group.p[row])


def _upper_half(halves: np.ndarray) -> int | None:
    """Which half is the upper one: told by the first time word, whose lower half is empty."""
    time = (halves >> 28 == TIME_HIGH) & (halves[:, ::-1] == 0)
    found = np.flatnonzero(time.any(axis=1))
    return int(time[found[0], 1]) if found.size else None


def _columns(t: np.ndarray, words: np.ndarray) -> Columns:
    x, y = ((words >> 11) & 0x7FF).astype(np.int32), (words & 0x7FF).astype(np.int32)
    return Columns(t, x, y, (words >> 28).astype(np.int8))
