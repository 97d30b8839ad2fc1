"""Threads: a dataset on all cores of this machine (the kernels release the GIL)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from evsim.errors import EvsimError
from evsim.evaluation.dataset import Item
from evsim.evaluation.examiner import Examiner
from evsim.evaluation.outcome import Outcome
from evsim.loading.cores import available_cores

__all__ = ["Threads"]


@dataclass(frozen=True)
class Threads:
    """Workers that share one copy of the weights, each with a network state of its own.

    Parameters
    ----------
    n_workers : int, optional
        As many as there are cores when left out.
    """

    n_workers: int | None = None

    def __post_init__(self) -> None:
        if self.n_workers is not None and self.n_workers < 1:
            raise EvsimError(f"{self.n_workers} workers: expected at least 1")

    @property
    def size(self) -> int:
        return self.n_workers or available_cores()

    def run(self, examiner: Examiner, items: Sequence[Item]) -> Iterator[list[Outcome]]:
        """The outcomes as they are ready, those that came together in one list.

        Leaving the loop early drops what has not begun.
        """
        own = threading.local()
        building = threading.Lock()
        ready: queue.SimpleQueue[Future] = queue.SimpleQueue()

        def take_twin() -> None:
            with building:  # a twin is a copy of the one examiner
                own.examiner = examiner.twin()

        pool = ThreadPoolExecutor(min(self.size, len(items)) or 1, "evsim", take_twin)
        try:
            for item in items:
                pool.submit(lambda item: own.examiner.examine(item), item).add_done_callback(ready.put)
            n_left = len(items)
            while n_left:
                done = _take_all(ready)
                n_left -= len(done)
                yield [future.result() for future in done]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _take_all(ready: queue.SimpleQueue) -> list:
    """Wait for one, then take what else is there."""
    taken = [ready.get()]
    while not ready.empty():
        taken.append(ready.get())
    return taken
