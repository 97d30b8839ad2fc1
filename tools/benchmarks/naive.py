"""evsim beside simulators that do one synapse at a time, on a small equal network: spikes compared, seconds too.

    python -m tools.benchmarks.naive --json naive.json        SANA-FE too where it is there: pip install .[naive]

    evsim              its default mode
    evsim, one by one  its asynchronous mode, the schedule `depth`, one spike a micro-step: the same spikes
    scatter, Numba     one event, all its targets: the plain compiled loop over a list of synapses
    scatter, NumPy     the same with numpy.add.at
    SANA-FE            a published event-driven simulator of neuromorphic chips
    Brian 2, NEST      the simulators of spiking networks, where they can be imported

The network is the first two layers of the bundled N-MNIST network (24,576 neurons and 2,048 inputs, 1.3 million
synapses) on bundled recordings. Brian 2.9 does not import beside NumPy 2.4 (`ndarray.ptp` is gone): it and NEST want an
environment of their own, and the command leaves out and names what it cannot import.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

import numpy as np
from numba import njit

from evsim.asynchronous import Asynchrony, simulate_asynchronously
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from tools.benchmarks.brian_contestant import Brian
from tools.benchmarks.nest_contestant import Nest
from tools.benchmarks.sanafe_contestant import SanaFe
from tools.benchmarks.small_network import Layer, evsim_network, read_layers, read_recordings
from tools.benchmarks.table import machine
from tools.benchmarks.timing import FEWEST_ROUNDS
from tools.benchmarks.workload import Unavailable

__all__ = ["Evsim", "EvsimOneByOne", "Row", "Scatter", "compare"]

Sent = list[list[np.ndarray]]
"""Addresses of the spikes of each layer, step by step."""


class Simulator(Protocol):
    """Whoever takes part."""

    name: str

    def run(self) -> Sent: ...


@dataclass(frozen=True)
class Row:
    """One simulator: seconds of each round, spikes sent, and how many of them evsim did not send, or sent alone."""

    name: str
    seconds: list[float]
    spikes: int
    differing: int


class Evsim:
    """The default mode."""

    name = "evsim"

    def __init__(self, layers: Sequence[Layer], recording: Sequence[np.ndarray]) -> None:
        self._network, self._n_layers = evsim_network(layers), len(layers)
        self._recording = [Spikes(address) for address in recording]

    def run(self) -> Sent:
        sent = [[np.empty(0, np.int32)] * len(self._recording) for _ in range(self._n_layers)]

        class Log:
            def show(self, name: str, step: int, spikes: Spikes) -> None:
                if name.startswith("lif"):
                    sent[int(name[3:]) - 1][step] = spikes.address

        self._simulate(Log())
        return sent

    def _simulate(self, log: object) -> None:
        simulate(self._network, self._recording, [log])


class EvsimOneByOne(Evsim):
    """Individual spikes in the queue, the shallowest stage first, tested again at their delivery."""

    name = "evsim, one by one"

    def _simulate(self, log: object) -> None:
        simulate_asynchronously(self._network, self._recording, Asynchrony("depth"), [log], keeps_order=False)


class Scatter:
    """One event, all its targets: X[post] += weight for each synapse of the event, then all neurons.

    Parameters
    ----------
    layers : sequence of Layer
    recording : sequence of int32 array
    compiled : bool
        A compiled loop, or `numpy.add.at`.
    """

    def __init__(self, layers: Sequence[Layer], recording: Sequence[np.ndarray], compiled: bool) -> None:
        self.name = f"scatter, {'Numba' if compiled else 'NumPy'}"
        self._layers, self._recording, self._compiled = layers, recording, compiled
        self._synapses = [_by_event(layer) for layer in layers]
        self._biases = [np.resize(layer.bias, layer.n_out) for layer in layers]

    def run(self) -> Sent:
        potentials = [np.zeros(layer.n_out, np.float32) for layer in self._layers]
        sent: Sent = [[] for _ in self._layers]
        for address in self._recording:
            for i, layer in enumerate(self._layers):
                x = np.zeros(layer.n_out, np.float32)
                (_scatter if self._compiled else _scatter_numpy)(address, *self._synapses[i], x)
                v = potentials[i]
                h = v + (x + self._biases[i] - v) * np.float32(0.5)
                fired = h >= np.float32(layer.v_threshold)
                potentials[i] = np.where(fired, np.float32(0), h)
                address = np.flatnonzero(fired).astype(np.int32)
                sent[i].append(address)
        return sent


def compare(simulators: Sequence[Simulator], rounds: int) -> list[Row]:
    """Run all in turn; the first is what the others are compared with."""
    found = [simulator.run() for simulator in simulators]  # the warm-up, too
    seconds: list[list[float]] = [[] for _ in simulators]
    for _ in range(rounds):
        for simulator, times in zip(simulators, seconds, strict=True):
            getattr(simulator, "rewind", lambda: None)()
            begin = time.perf_counter()
            simulator.run()
            times.append(time.perf_counter() - begin)
    return [
        Row(s.name, times, sum(step.size for layer in sent for step in layer), _differing(sent, found[0]))
        for s, times, sent in zip(simulators, seconds, found, strict=True)
    ]


def main() -> int:
    """Measure, print, write the JSON."""
    options = _parser().parse_args()
    layers, recording = read_layers(), read_recordings(1)[0]
    simulators: list[Simulator] = [Evsim(layers, recording), EvsimOneByOne(layers, recording)]
    simulators += [Scatter(layers, recording, compiled) for compiled in (True, False)]
    notes = []
    for kind in (SanaFe, Brian, Nest):
        begin = time.perf_counter()
        try:
            simulators.append(kind(layers, recording))
            notes.append(f"{kind.name} took {time.perf_counter() - begin:.1f} s to build its network: not counted")
        except Unavailable as reason:
            notes.append(str(reason))
    rows = compare(simulators, options.rounds)
    for row in rows:
        ratio = median(t / own for t, own in zip(row.seconds, rows[0].seconds, strict=True))
        print(
            f"{row.name:18} {1e3 * median(row.seconds):10.3f} ms  {ratio:8.1f} x evsim"
            f"  {row.spikes:,} spikes, {row.differing} differ"
        )
    print("\n".join(notes))
    if options.json:
        found = {"kind": "naive", "machine": machine(), "rows": [asdict(row) for row in rows], "notes": notes}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _by_event(layer: Layer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The synapses of event e are those from start[e] to start[e + 1]: their targets and weights."""
    pairs, weight = layer.synapses()
    start = np.searchsorted(pairs[:, 0], np.arange(layer.n_in + 1)).astype(np.int64)
    return start, np.ascontiguousarray(pairs[:, 1]).astype(np.int32), weight


@njit(cache=True)
def _scatter(address, start, post, weight, x):
    for event in address:
        for synapse in range(start[event], start[event + 1]):
            x[post[synapse]] += weight[synapse]


def _scatter_numpy(address, start, post, weight, x):
    for event in address:
        synapses = slice(start[event], start[event + 1])
        np.add.at(x, post[synapses], weight[synapses])


def _differing(sent: Sent, expected: Sent) -> int:
    pairs = [pair for ours, theirs in zip(sent, expected, strict=True) for pair in zip(ours, theirs, strict=True)]
    return sum(np.setxor1d(ours, theirs).size for ours, theirs in pairs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
