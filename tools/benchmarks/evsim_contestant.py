"""evsim as a contestant, in each of its forms; nothing here imports torch, so that its memory can be measured alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from evsim.arithmetic.fixed_point import fix
from evsim.engine.network import Network
from evsim.engine.simulator import simulate
from tools.benchmarks.workload import Workload

__all__ = ["FORMS", "Evsim"]

FORMS: Mapping[str, Callable[[Workload], Network]] = {
    "evsim": Workload.network,
    "evsim, int16": lambda workload: fix(workload.network(), "int16"),
    "evsim, int8": lambda workload: fix(workload.network(), "int8"),
}
"""A form that builds its network in another way is one more entry."""


class Evsim:
    """Event by event.

    Parameters
    ----------
    workload : Workload
    threads : int
    name : str
        One of `FORMS`; "evsim" is the default mode, and what everything is compared with.
    """

    default = "evsim"

    def __init__(self, workload: Workload, threads: int, name: str = default) -> None:
        self.name = name
        self._network, self._threads = FORMS[name](workload), threads
        self._recordings = [workload.recording(i) for i in range(len(workload.inputs))]

    def run(self, index: int) -> np.ndarray:
        """Logits of one input."""
        return simulate(self._network, self._recordings[index], threads=self._threads).logits
