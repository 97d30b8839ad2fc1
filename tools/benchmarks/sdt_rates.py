"""Shift the biases of a Spike-driven Transformer until each population fires at a wanted rate, in one pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evsim.ledger import OpCounts
from evsim.simulator import simulate
from evsim.spikes import Spikes
from tools.benchmarks.workload import Workload

__all__ = ["tune"]


def tune(workload: Workload, rates: Mapping[str, float]) -> Workload:
    """The same workload with shifted BatchNorm biases.

    Parameters
    ----------
    workload : Workload
        Of the `sdt` family; its first input is used.
    rates : mapping of str to float
        Wanted firing rate in percent by population. A population not named keeps its bias.
    """
    network = workload.network()
    n_blocks = workload.hp.depth
    steps = workload.recording(0)
    shifts: dict[str, float] = {}
    on_shortcut = [0.0]  # what the shifts so far added to the residual stream
    for stage, handler in enumerate(network.handlers):
        if handler in network.populations():
            wanted = rates.get(handler.name)
            network.handlers[stage] = _Tuned(handler, wanted, len(steps), shifts, on_shortcut)
    simulate(
        network, steps, order="stage"
    )  # all steps of a stage in a row: its currents are complete at its first call
    tensors = dict(workload.tensors)
    for name, shift in shifts.items():
        key = f"{_norm_before(name, n_blocks)}.bias"
        tensors[key] = (tensors[key] + np.float32(shift)).astype(np.float32)
    return replace(workload, tensors=tensors)


def _norm_before(population: str, n_blocks: int) -> str:
    """The BatchNorm whose bias moves this population last."""
    module, _, part = population.rpartition(".")
    if population == "head_lif":
        return f"block.{n_blocks - 1}.mlp.fc2_bn"
    if part == "shortcut_lif":
        block = int(re.match(r"block\.(\d+)", module)[1])
        return f"block.{block - 1}.mlp.fc2_bn" if block else "patch_embed.rpe_bn"
    if part == "fc1_lif":
        return module.replace("mlp", "attn.proj_bn")
    return f"{module}.{part.replace('_lif', '_bn')}" if part != "fc2_lif" else f"{module}.fc1_bn"


class _Tuned:
    """Stands in for a population: finds its shift when it is first called, then sends the spikes that follow."""

    wakes_itself = True

    def __init__(self, population, rate, n_steps, shifts, on_shortcut):
        self.name = population.name
        self._population, self._rate, self._n_steps = population, rate, n_steps
        self._shifts, self._on_shortcut = shifts, on_shortcut
        self._spikes: np.ndarray | None = None

    def handle(self, step, inbox):
        if self._spikes is None:
            self._spikes = self._tune()
        self._population.current.release(step, self.name)
        return Spikes(np.flatnonzero(self._spikes[step]).astype(np.int32)), OpCounts()

    def reset(self):
        self._population.reset()

    def _tune(self):
        population = self._population
        current = np.stack([population.current.rows(step).value.copy() for step in range(self._n_steps)])
        current += population.bias
        reads_shortcut = self.name.endswith(("proj_lif3", "shortcut_lif", "fc1_lif", "head_lif"))
        if reads_shortcut:
            current += np.float32(self._on_shortcut[0])
        shift = self._search(current) if self._rate is not None else 0.0
        if self._rate is not None:
            self._shifts[self.name] = shift
            if reads_shortcut:
                self._on_shortcut[0] += shift
        return self._fire(current, shift)

    def _search(self, current):
        """Bisection on a sample of the places; the rate grows with the shift."""
        some = current[:, :: max(1, current.shape[1] // 512)]
        low, high = -50.0, 50.0
        for _ in range(24):
            middle = (low + high) / 2
            if 100 * self._fire(some, middle).mean() < self._rate:
                low = middle
            else:
                high = middle
        return high

    def _fire(self, current, shift):
        v = np.zeros(current.shape[1:], np.float32)
        spikes = np.empty(current.shape, bool)
        for step, x in enumerate(current):
            h = v + (x + np.float32(shift) - v) * self._population.rate
            spikes[step] = h >= self._population.v_threshold
            v = np.where(spikes[step], np.float32(0), h)
        return spikes.reshape(len(current), -1)
