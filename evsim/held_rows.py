"""HeldRows: what a still image made of a current, kept for the steps that bring the same image again."""

from __future__ import annotations

import numpy as np

from evsim.current import CurrentRows
from evsim.ledger import OpCounts
from evsim.spikes import Spikes

__all__ = ["HeldRows"]


class HeldRows:
    """rows(cause) is computed once: the same `Spikes` object again is the same input, and its rows are copied.

    Only for the first writer of a current, which finds its rows empty.
    """

    def __init__(self) -> None:
        self._cause: Spikes | None = None
        self._rows: CurrentRows | None = None

    def keep(self, cause: Spikes, rows: CurrentRows) -> None:
        """Remember a copy of what `cause` made."""
        self._cause, self._rows = cause, CurrentRows(rows.value.copy(), rows.touched.copy())

    def replay(self, cause: Spikes | None, target: CurrentRows) -> OpCounts | None:
        """Copy the kept rows into `target` where `cause` made them; None where it did not."""
        if cause is None or cause is not self._cause:
            return None
        np.copyto(target.value, self._rows.value)
        np.copyto(target.touched, self._rows.touched)
        words = int(np.count_nonzero(self._rows.touched)) * target.value.shape[1]
        return OpCounts(state_reads=words, state_writes=words)

    def forget(self) -> None:
        """Drop what was kept."""
        self._cause = self._rows = None
