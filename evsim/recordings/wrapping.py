"""Time stamps of few bits: counting how often they wrapped."""

from __future__ import annotations

import numpy as np

__all__ = ["Unwrap", "fill_forward", "lost_highs"]


class Unwrap:
    """Adds ``2**bits`` to a counter each time it starts anew; a small step back is jitter and stays one.

    Remembers the last value from one call to the next.
    """

    def __init__(self, bits: int) -> None:
        self._period = 1 << bits
        self._last: int | None = None
        self._lap = 0
        self._bits = bits

    @property
    def notes(self) -> list[str]:
        """That the counter wrapped, if it did."""
        times = "once" if self._lap == 1 else f"{self._lap} times"
        return [f"the {self._bits}-bit counter of the time wrapped {times}"] if self._lap > 0 else []

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """`values` int64 [n], each below ``2**bits``, as one long count."""
        if not values.size:
            return values
        last = int(values[0]) if self._last is None else self._last
        steps = np.diff(values, prepend=last)
        half = self._period // 2
        laps = self._lap + np.cumsum((steps < -half).astype(np.int64) - (steps > half))
        self._last, self._lap = int(values[-1]), int(laps[-1])
        return values + self._period * laps


def lost_highs(n: int, period: int) -> list[str]:
    """What is said of a low time that started anew `n` times without a word of the high time."""
    times = "once" if n == 1 else f"{n} times"
    return [f"the low time started anew {times} without a word of high time; {period} us were counted each time"] * (
        n > 0
    )


def fill_forward(values: np.ndarray, at: np.ndarray, n: int, before: int) -> np.ndarray:
    """int64 [n] that holds `before` up to place ``at[0]``, then ``values[0]``, and so on."""
    which = np.zeros(n, np.int64)
    which[at] = 1
    return np.concatenate([[before], values])[np.cumsum(which)]
