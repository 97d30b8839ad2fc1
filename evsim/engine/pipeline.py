"""Several steps at once: a step may enter a stage as soon as all steps before have left it.

A handler so sees its steps one after the other, as it must (membranes remember), and never two at once. Every sum is
the one that a single thread takes, so that spikes, counts and logits do not depend on the number of threads. Kernels
release the interpreter's lock; what remains of Python between them is shared among the threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Condition

from evsim.engine.event_queue import EventQueue
from evsim.engine.ledger import OpCounts
from evsim.engine.network import Network
from evsim.engine.spikes import Spikes

__all__ = ["Sent", "Turn", "is_worth_threads", "overlap"]

Sent = tuple[str, int, Spikes, OpCounts | None]
"""What one source sent: its name, the step, the spikes, and what they cost."""

Turn = Callable[[EventQueue], Sent]
"""Handles the earliest inbox of a queue and pushes what comes of it."""


_FEWEST_NEURONS = 500_000
"""Below, a handler is done before a second thread has been woken: two were half as fast as one."""


def is_worth_threads(network: Network) -> bool:
    """Whether the network is large enough to gain from more than one thread."""
    return sum(population.n_neurons for population in network.populations()) >= _FEWEST_NEURONS


def overlap(turn: Turn, queues: Sequence[EventQueue], threads: int) -> list[list[Sent]]:
    """Empty the queues, one for each step, `threads` turns at a time; returns what was sent in each step.

    Parameters
    ----------
    turn : callable
    queues : sequence of EventQueue
        The inboxes of one step each, in the order of the steps.
    threads : int
    """
    schedule = _Schedule(queues)
    sent: list[list[Sent]] = [[] for _ in queues]

    def work() -> None:
        place = schedule.take()
        while place is not None:
            stage = schedule.stages[place]
            try:
                sent[place].append(turn(queues[place]))
            except BaseException:
                schedule.stop()
                raise
            place = schedule.exchange(place, stage)

    with ThreadPoolExecutor(threads, "evsim") as pool:
        done, _ = wait([pool.submit(work) for _ in range(threads)])
    for future in done:
        future.result()
    return sent


class _Schedule:
    """Which step may take its turn next: one whose stage every earlier step has left.

    Parameters
    ----------
    queues : sequence of EventQueue

    Attributes
    ----------
    stages : list of float
        The stage that each step is in, or about to enter; infinite for a step that has ended.
    """

    def __init__(self, queues: Sequence[EventQueue]) -> None:
        self._queues = queues
        self.stages = [_next_stage(queue) for queue in queues]
        self._is_running = [False] * len(queues)
        self._n_left = sum(stage != math.inf for stage in self.stages)
        self._free = self._find_free()
        self._is_stopped = False
        self._moved = Condition()

    def take(self, last_stage: float = -1) -> int | None:
        """Wait for a step that is free to go, and mark it as running; None when all have ended.

        One at `last_stage` comes first, whose weights are still in this thread's cache; then the earliest stage.
        """
        with self._moved:
            return self._take(last_stage)

    def exchange(self, place: int, stage: float) -> int | None:
        """The turn of `place` at `stage` has ended: `take` another."""
        with self._moved:
            self._is_running[place] = False
            self.stages[place] = _next_stage(self._queues[place])
            self._n_left -= self.stages[place] == math.inf
            self._free = self._find_free()
            if len(self._free) > 1 or not self._n_left:
                self._moved.notify_all()
            return self._take(stage)

    def stop(self) -> None:
        """Nobody takes a turn any more."""
        with self._moved:
            self._is_stopped = True
            self._moved.notify_all()

    def _take(self, last_stage: float) -> int | None:
        while not self._free and self._n_left and not self._is_stopped:
            self._moved.wait()
        if self._is_stopped or not self._n_left:
            return None
        place = next((place for place in self._free if self.stages[place] == last_stage), None)
        if place is None:
            place = min(self._free, key=self.stages.__getitem__)
        self._free.remove(place)
        self._is_running[place] = True
        return place

    def _find_free(self) -> list[int]:
        """Steps whose stage all earlier steps have left, and which nobody runs."""
        free, first_taken = [], math.inf
        for place, stage in enumerate(self.stages):
            if stage < first_taken:
                first_taken = stage
                if not self._is_running[place]:
                    free.append(place)
        return free


def _next_stage(queue: EventQueue) -> float:
    return queue.next_stage() if len(queue) else math.inf
