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
        self._key = ORDERS[order]
        self._unkey = self._key  # both orders are swaps, their own inverse
        self._heap: list[Key] = []
        self._inboxes: dict[Key, dict[str, Spikes]] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, step: int, stage: int, port: str, spikes: Spikes) -> None:
        """Leave `spikes` at a handler's `port` for `step`; an empty one is a wake-up call."""
        key = self._key(step, stage)
        inbox = self._inboxes.get(key)
        if inbox is None:
            inbox = self._inboxes[key] = {}
            heapq.heappush(self._heap, key)
        inbox[port] = spikes

    def next_stage(self) -> int:
        """The stage of what `pop` would return."""
        return self._unkey(*self._heap[0])[1]

    def pop_stage(self) -> tuple[int, list[tuple[int, dict[str, Spikes]]]]:
        """The earliest stage and all that waits for it, step by step; only of the order "stage"."""
        stage, turns = self.next_stage(), []
        while self._heap and self.next_stage() == stage:
            step, _, inbox = self.pop()
            turns.append((step, inbox))
        return stage, turns

    def pop(self) -> tuple[int, int, dict[str, Spikes]]:
        """The earliest (step, stage, inbox)."""
        key = heapq.heappop(self._heap)
        step, stage = self._unkey(*key)
        return step, stage, self._inboxes.pop(key)
