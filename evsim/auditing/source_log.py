"""SourceLog: what each source of a network sent, step by step, as sums; an observer for `simulate`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.engine.spikes import Spikes

__all__ = ["MANY_VALUES", "Operand", "SourceLog"]

MANY_VALUES = 3
"""Distinct values that are worth remembering: conventions only ask whether there are more than two."""


@dataclass(frozen=True, eq=False)
class Operand:
    """The spikes that one source sent during a run.

    Parameters
    ----------
    source : str
    size : int
        Places: the number of values a dense copy of one step would have.
    events : int64 [n_steps]
        Nonzero values.
    value_sum : float64 [n_steps]
        Sum of the payloads; equals `events` for binary spikes.
    values : tuple of float
        Distinct nonzero values met, in rising order; the first three at most.
    is_real : bool
        Payloads were float: real values, not spikes.
    by_head : int64 [n_steps, n_heads] or None
        Events of each attention head, where the source feeds an attention.
    """

    source: str
    size: int
    events: np.ndarray
    value_sum: np.ndarray
    values: tuple[float, ...]
    is_real: bool = False
    by_head: np.ndarray | None = None

    @property
    def n_steps(self) -> int:
        return self.events.size

    @property
    def density(self) -> float:
        """Nonzero values per place and step."""
        return self._per_place(self.events.sum())

    @property
    def mean_value(self) -> float:
        """Sum of values per place and step: the firing rate as `x.mean()` gives it."""
        return self._per_place(self.value_sum.sum())

    @property
    def has_values(self) -> bool:
        """Whether the values are known, and not only how many there are."""
        return bool(np.isfinite(self.value_sum).all())

    @property
    def is_binary(self) -> bool:
        """Nothing but zeros and ones."""
        return all(value == 1 for value in self.values)

    @property
    def n_distinct(self) -> int:
        """Distinct values of the dense copy, zero included; three stands for three or more."""
        return len(self.values) + bool(self.events.sum() < self.size * self.n_steps)

    def _per_place(self, amount: float) -> float:
        return float(amount) / (self.size * self.n_steps) if self.size and self.n_steps else 0.0


class SourceLog:
    """Sums of what every source sent; of the sources that feed an attention also the events of each head.

    Parameters
    ----------
    heads : mapping of str to (int, int)
        Heads and channels of a head, of the sources to split by head.
    keep : set of str
        Sources whose spikes are kept whole.
    """

    def __init__(self, heads=(), keep=()) -> None:
        self._heads = dict(heads)
        self._keep = set(keep)
        self._rows: dict[str, dict[int, tuple[int, float, np.ndarray | None]]] = {}
        self._values: dict[str, tuple[float, ...]] = {}
        self._is_real: set[str] = set()
        self._kept: dict[tuple[str, int], Spikes] = {}

    def show(self, name: str, step: int, spikes: Spikes) -> None:
        """Called by the simulator after each handler."""
        if not len(spikes):
            return
        by_head = self._count_heads(name, spikes.address) if name in self._heads else None
        self._rows.setdefault(name, {})[step] = (len(spikes), self._sum(name, spikes), by_head)
        if name in self._keep:
            self._kept[name, step] = spikes

    def spikes(self, name: str, step: int) -> Spikes:
        """What a kept source sent at `step`."""
        return self._kept.get((name, step), Spikes.none())

    def operand(self, name: str, size: int, n_steps: int) -> Operand:
        """All that `name` sent."""
        rows = self._rows.get(name, {})
        events, value_sum = np.zeros(n_steps, np.int64), np.zeros(n_steps)
        by_head = np.zeros((n_steps, self._heads[name][0]), np.int64) if name in self._heads else None
        for step, (count, total, heads) in rows.items():
            events[step], value_sum[step] = count, total
            if by_head is not None:
                by_head[step] = heads
        values = self._values.get(name, (1.0,) if rows else ())
        return Operand(name, size, events, value_sum, values, name in self._is_real, by_head)

    def _sum(self, name: str, spikes: Spikes) -> float:
        if spikes.payload is None:
            values = np.ones(1)
            total = float(len(spikes))
        else:
            values = np.unique(spikes.payload)[:MANY_VALUES]
            total = float(spikes.payload.sum(dtype=np.float64))
            if spikes.payload.dtype == np.float32:
                self._is_real.add(name)
        known = self._values.get(name, ())
        if len(known) < MANY_VALUES:
            self._values[name] = tuple(sorted({*known, *values.tolist()})[:MANY_VALUES])
        return total

    def _count_heads(self, name: str, address: np.ndarray) -> np.ndarray:
        n_heads, head_channels = self._heads[name]
        return np.bincount(address % (n_heads * head_channels) // head_channels, minlength=n_heads)
