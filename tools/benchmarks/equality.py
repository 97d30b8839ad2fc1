"""Do both sides run the same network? Every node fed with PyTorch's spikes, then evsim left to itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.benchmarks.child import in_child
from tools.benchmarks.workload import Unavailable, read_workload

__all__ = ["Equality", "check_equality"]


@dataclass(frozen=True)
class Equality:
    """Neuron-steps compared and differing, on the first input.

    Parameters
    ----------
    fed_compared, fed_differing : int
        Each population fed with the spikes of PyTorch (the exact and the local level of `evsim verify`).
    unexcused : int
        Those of `fed_differing` that the order of float32 sums does not explain.
    free_compared, free_differing : int
        Both left to themselves: one spike that flips may move many behind it.
    """

    fed_compared: int
    fed_differing: int
    unexcused: int
    free_compared: int
    free_differing: int

    def __str__(self) -> str:
        return (
            f"fed with PyTorch's spikes {self.fed_differing:,} of {self.fed_compared:,} neuron-steps differ, "
            f"{self.unexcused} beyond rounding; left to itself {self.free_differing:,} of {self.free_compared:,}"
        )


def check_equality(path: Path) -> Equality | None:
    """Against the plain, unfolded torch model; None where there is none."""
    return in_child(1, _check, path)


def _check(path: Path) -> Equality | None:
    import torch

    from evsim.traces.reference import Reference
    from evsim.traces.verify import verify
    from tools.benchmarks.torch_models import plain_model
    from tools.train.reference import run_recorded

    torch.set_num_threads(1)
    workload = read_workload(path)
    try:
        model = plain_model(workload)
    except Unavailable:
        return None
    first = workload.inputs[:1]
    logits, spikes = run_recorded(model, torch.from_numpy(first))
    reference = Reference(first, {name: np.swapaxes(s, 0, 1) for name, s in spikes.items()}, logits)
    found = verify(workload.network(), [workload.recording(0)], reference)
    fed = (found.exact.compared + found.local.compared, found.exact.differing + found.local.differing)
    n_unexcused = found.exact.differing + len(
        [f for f in found.unexcused if f.population not in found.exact.by_population]
    )
    return Equality(*fed, n_unexcused, found.free.compared, found.free.differing)
