"""HeldRows: what a still image made of a current, kept for the steps that bring the same image again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evsim.engine.current import Current, CurrentRows
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes

__all__ = ["HeldRows"]


class HeldRows:
    """rows(cause) is computed once: the same `Spikes` object again is the same input, and has the same rows.

    Only for the first writer of a current, which finds its rows empty. Where nobody else writes, every step has the
    kept rows themselves, to be read only; else each step has a copy, which costs a load and a store a word.
    """

    def __init__(self, current: Current, writer: str) -> None:
        self._current, self._writer = current, writer
        self._cause: Spikes | None = None
        self._rows: CurrentRows | None = None

    def write(self, step: int, cause: Spikes, make: Callable[[CurrentRows], OpCounts]) -> OpCounts:
        """Have the rows of `step` hold what `cause` makes; ``make(rows)`` writes empty rows and counts."""
        counts = OpCounts()
        is_new = cause is not self._cause
        if is_new:
            self._cause, self._rows = cause, self._current.new_rows(self._current.n_places)
            counts = make(self._rows)
        if self._current.writers == [self._writer]:
            self._current.lend(step, self._rows)
            return counts
        target = self._current.rows(step)
        np.copyto(target.value, self._rows.value)
        np.copyto(target.touched, self._rows.touched)
        words = 0 if is_new else int(np.count_nonzero(self._rows.touched)) * target.value.shape[1]
        return counts + OpCounts(state_reads=words, state_writes=words)

    def forget(self) -> None:
        """Drop what was kept."""
        self._cause = self._rows = None
