"""evsim as a contestant; nothing here imports torch, so that its memory can be measured alone."""

from __future__ import annotations

import numpy as np

from evsim.simulator import simulate
from tools.benchmarks.workload import Workload

__all__ = ["Evsim"]


class Evsim:
    """Event by event, the default mode.

    Parameters
    ----------
    workload : Workload
    threads : int
    """

    name = "evsim"

    def __init__(self, workload: Workload, threads: int) -> None:
        self._network, self._threads = workload.network(), threads
        self._recordings = [workload.recording(i) for i in range(len(workload.inputs))]

    def run(self, index: int) -> np.ndarray:
        """Logits of one input."""
        return simulate(self._network, self._recordings[index], threads=self._threads).logits

    def spike_counts(self, index: int) -> dict[str, int]:
        """Spikes of each population, by name."""
        totals = simulate(self._network, self._recordings[index]).ledger.by_handler()
        return {p.name: totals[p.name].events_out if p.name in totals else 0 for p in self._network.populations()}
