"""EventQueue: which handler is due next, and the spikes that wait for it."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from evsim.engine.spikes import Spikes

__all__ = ["ORDERS", "EventQueue"]

Key = tuple[int, int]

ORDERS: dict[str, Callable[[int, int], Key]] = {
    "step": lambda step, stage: (step, stage),
    "stage": lambda step, stage: (stage, step),
}


class EventQueue:
    """A total order over pending deliveries: earliest key first, ties merged in push order.

    Everything that waits for one handler at one step is one inbox, so a handler runs once a step however
    many sources reach it.

    Parameters
    ----------
    order : {"step", "stage"}
        "step" sorts by (step, stage): streaming, a step runs through the whole network before the next.
        "stage" sorts by (stage, step): a handler runs all its steps in a row and its weights stay in cache.
        A feed-forward network gives the same spikes in both.
    """

    def __init__(self, order: str = "step") -> None:
        self._is_by_stage = ORDERS[order](0, 1) == (1, 0)
        self._heap: list[int] = []
        self._waiting: dict[int, dict[int, dict[str, Spikes]]] = {}  # by the first part of the key, then the second

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __bool__(self) -> bool:
        return bool(self._heap)

    def push(self, step: int, stage: int, port: str, spikes: Spikes) -> None:
        """Leave `spikes` at a handler's `port` for `step`; an empty one is a wake-up call."""
        first, second = (stage, step) if self._is_by_stage else (step, stage)
        waiting = self._waiting.get(first)
        if waiting is None:
            waiting = self._waiting[first] = {}
            heapq.heappush(self._heap, first)
        inbox = waiting.get(second)
        if inbox is None:
            waiting[second] = {port: spikes}
        else:
            inbox[port] = spikes

    def next_stage(self) -> int:
        """The stage of what `pop` would return."""
        first = self._heap[0]
        return first if self._is_by_stage else min(self._waiting[first])

    def pop_stage(self) -> tuple[int, list[tuple[int, dict[str, Spikes]]]]:
        """The earliest stage and all that waits for it, step by step; only of the order "stage"."""
        stage = heapq.heappop(self._heap)
        return stage, sorted(self._waiting.pop(stage).items())

    def pop(self) -> tuple[int, int, dict[str, Spikes]]:
        """The earliest (step, stage, inbox)."""
        first = self._heap[0]
        waiting = self._waiting[first]
        second = min(waiting)
        inbox = waiting.pop(second)
        if not waiting:
            del self._waiting[heapq.heappop(self._heap)]
        step, stage = (second, first) if self._is_by_stage else (first, second)
        return step, stage, inbox
