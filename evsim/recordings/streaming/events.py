"""Events: a handful of events on their way from a decoder to a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Events"]


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Columns of equal length: t int64 (microseconds); x, y and p as they came, to be checked with their window."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    def __len__(self) -> int:
        return self.t.size

    def where(self, mask: np.ndarray) -> Events:
        """The events at which `mask` is true."""
        return Events(self.t[mask], self.x[mask], self.y[mask], self.p[mask])

    @staticmethod
    def none() -> Events:
        """No event at all."""
        return Events(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))

    @staticmethod
    def joined(parts: list[Events]) -> Events:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in "txyp"))
