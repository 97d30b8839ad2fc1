"""Several steps at once: a step may enter a stage as soon as all steps before have left it.

A handler so sees its steps one after the other, as it must (membranes remember), and never two at once. Every sum is
the one that a single thread takes, so that spikes, counts and logits do not depend on the number of threads. Kernels
release the interpreter's lock; what remains of Python between them is shared among the threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition

from evsim.ledger import OpCounts
from evsim.network import Network
from evsim.spikes import Spikes

__all__ = ["Enter", "Sent", "is_worth_threads", "overlap"]

Sent = tuple[str, int, Spikes, OpCounts | None]
"""What one source sent: its name, the step, the spikes, and what they cost."""

Enter = Callable[[int, int], None]
"""Called with (step, stage) before a handler runs."""


_FEWEST_NEURONS = 500_000
"""Below, a handler is done before a second thread has been woken: two were half as fast as one."""


def is_worth_threads(network: Network) -> bool:
    """Whether the network is large enough to gain from more than one thread."""
    return sum(population.n_neurons for population in network.populations()) >= _FEWEST_NEURONS


def overlap(play: Callable, network: Network, steps: Sequence[tuple[int, Spikes]], threads: int) -> Iterator[Sent]:
    """Play each step on a thread of its own, `threads` at a time; yields what they sent, step by step.

    Parameters
    ----------
    play : callable
        ``play(network, steps, enter=enter)`` yields what the given steps send, in order of stages.
    network : Network
    steps : sequence of (int, Spikes)
    threads : int
    """
    turnstile = _Turnstile()

    def play_step(step: int, spikes: Spikes) -> list[Sent]:
        try:
            return list(play(network, [(step, spikes)], enter=turnstile.enter))
        finally:
            turnstile.leave(step)

    with ThreadPoolExecutor(threads, "evsim") as pool:
        for future in [pool.submit(play_step, step, spikes) for step, spikes in steps]:
            yield from future.result()


class _Turnstile:
    """Which stage each step is in. A step that passes over stages in silence has not seen the steps before it there."""

    def __init__(self) -> None:
        self._stage_of: dict[int, float] = {}
        self._first = 0  # every step before this one has ended
        self._moved = Condition()

    def enter(self, step: int, stage: int) -> None:
        """Wait until all steps before are beyond `stage`, then enter it."""
        with self._moved:
            self._stage_of[step] = stage  # it has left every stage before this one
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._is_free(step, stage))

    def leave(self, step: int) -> None:
        """The step has ended."""
        with self._moved:
            self._stage_of[step] = math.inf
            while self._stage_of.get(self._first) == math.inf:
                self._first += 1
            self._moved.notify_all()

    def _is_free(self, step: int, stage: int) -> bool:
        return all(self._stage_of.get(earlier, -1) > stage for earlier in range(self._first, step))
