"""Shift BatchNorm biases until each layer reads, or each population sends, as many spikes as wanted.

One pass from input to output: at its stage, each population is given the one bias that brings what follows it to the
wanted density (bisection on the real currents of all steps), and sends the spikes that then arise. Between the
population and the layer that reads them there may be a max-pool, a SEW sum, or an attention with its own neurons: those
handlers are run for every trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.neurons import Population
from tools.benchmarks.densities import Densities
from tools.benchmarks.workload import Workload

__all__ = ["RatesMissed", "check_rates", "tune"]

_LARGEST_SHIFT = 20.0
_N_HALVINGS = 24


class RatesMissed(Exception):
    """A layer does not read what was wanted of it: the message says which, what and how much."""


def tune(workload: Workload, wanted: Mapping[str, float]) -> Workload:
    """The same workload with shifted BatchNorm biases, and with wanted and achieved rates noted in it.

    Parameters
    ----------
    workload : Workload
        Its first input is used.
    wanted : mapping of str to float
        Percent, by name: what a projection reads (density of its input, after pools and sums) or what a population
        sends. A population that decides none of these keeps its bias.

    Raises
    ------
    RatesMissed
        Two layers read the same spikes and want different numbers of them, or no BatchNorm stands before a population.
    """
    network, steps = workload.network(), workload.recording(0)
    goals = _goals(network, wanted)
    shifts = _Shifts(network)
    log = _Log()
    for stage, handler in enumerate(network.handlers):
        if isinstance(handler, Population):
            network.handlers[stage] = _Tuned(handler, goals.get(handler.name), len(steps), shifts, log)
    # All steps of a stage in a row: the currents of a population are complete at its first call.
    simulate(network, steps, [log], order="stage")
    tensors = dict(workload.tensors)
    for norm, shift in shifts.of_norm.items():
        tensors[f"{norm}.bias"] = (tensors[f"{norm}.bias"] + np.float32(shift)).astype(np.float32)
    tuned = replace(workload, tensors=tensors)
    found = Densities.of(tuned.network(), steps).of_names(wanted)
    return replace(tuned, rates={name: (float(wanted[name]), found[name]) for name in wanted})


def check_rates(workload: Workload, relative: float = 0.1, absolute: float = 0.5) -> Workload:
    """The workload itself, if each rate is within `relative` of the wanted one or `absolute` points of it.

    Raises
    ------
    RatesMissed
        One is not.
    """
    for name, (wanted, found) in workload.rates.items():
        if abs(found - wanted) > max(relative * wanted, absolute):
            raise RatesMissed(f"{workload.name}: {name} reads or sends {found:.2f} %, wanted {wanted:.2f} %")
    return workload


@dataclass(frozen=True)
class _Goal:
    """What a population must bring about: a density in percent behind the handlers of `between`."""

    reader: str
    percent: float
    between: Sequence[tuple[object, str, Mapping[str, str]]]
    n_places: int


def _goals(network: Network, wanted: Mapping[str, float]) -> dict[str, _Goal]:
    """The goal of each population that decides one."""
    goals: dict[str, _Goal] = {}
    stages = {handler.name: stage for stage, handler in enumerate(network.handlers)}
    for reader, percent in wanted.items():
        if reader not in stages:
            raise RatesMissed(f"{network.name} has no layer {reader}, of which {percent:g} % was wanted")
        first = network.handlers[stages[reader]]
        source = reader if isinstance(first, Population) else network.sources[stages[reader]]["spikes"]
        if source == INPUT:
            continue
        between = []
        while _norm_before(network, source) is None:
            handler, ports = network.handlers[stages[source]], network.sources[stages[source]]
            port, before = list(ports.items())[-1] if ports else ("", getattr(handler, "wakers", ("",))[-1])
            if before not in stages:
                raise RatesMissed(f"{reader}: no BatchNorm decides what it reads")
            between.insert(0, (handler, port, {p: s for p, s in ports.items() if p != port}))
            source = before
        size = first.n_neurons if isinstance(first, Population) else first.n_inputs
        goal = _Goal(reader, percent, between, size)
        if goals.setdefault(source, goal).percent != percent:
            raise RatesMissed(f"{reader} and {goals[source].reader} read the same spikes, and want different rates")
    return goals


def _norm_before(network: Network, name: str) -> str | None:
    """The BatchNorm whose bias moves population `name` last; None where there is none, or no population."""
    handlers = {handler.name: handler for handler in network.handlers}
    population = handlers[name]
    if not isinstance(population, Population | _Tuned):
        return None
    writer = handlers[population.wakers[-1]]
    while getattr(writer, "norm", None) is None and hasattr(writer, "source"):  # a pool or a mean of currents
        writer = handlers[writer.wakers[-1]]
    return getattr(writer, "norm", None)


class _Shifts:
    """By how much each bias was shifted, and what all readers of a current that come later see of it."""

    def __init__(self, network: Network) -> None:
        self.of_norm: dict[str, float] = {}
        self._network = network
        self._on: dict[int, float] = {}

    def add(self, population: Population, shift: float) -> None:
        """Shift the bias before `population`, for it and for whoever reads its current after it."""
        norm = _norm_before(self._network, population.name)
        self.of_norm[norm] = self.of_norm.get(norm, 0.0) + shift
        self._on[id(population.current)] = self._on.get(id(population.current), 0.0) + shift

    def on(self, current: object) -> float:
        """What was added to a current so far, by way of a pool or a mean of currents too."""
        sources = [h.source for h in self._network.handlers if getattr(h, "target", None) is current]
        return self._on.get(id(current), 0.0) + sum(self.on(source) for source in sources)


class _Log:
    """What each source sent at each step; an observer for `simulate`."""

    def __init__(self) -> None:
        self._sent: dict[tuple[str, int], Spikes] = {}

    def show(self, name: str, step: int, spikes: Spikes) -> None:
        self._sent[name, step] = spikes

    def sent(self, name: str, step: int) -> Spikes:
        """Empty where the source was not called."""
        return self._sent.get((name, step), Spikes.none())


class _Tuned:
    """Stands in for a population: finds its shift when it is first called, then sends the spikes that follow."""

    wakes_itself = True

    def __init__(self, population: Population, goal: _Goal | None, n_steps: int, shifts: _Shifts, log: _Log) -> None:
        self.name, self.wakers = population.name, population.wakers
        self._population, self._goal, self._n_steps = population, goal, n_steps
        self._shifts, self._log = shifts, log
        self._spikes: list[Spikes] = []

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        if not self._spikes:
            self._spikes = self._tune()
        self._population.current.release(step, self.name)
        return self._spikes[step], OpCounts()

    def reset(self) -> None:
        self._population.reset()

    def _tune(self) -> list[Spikes]:
        population = self._population
        current = np.stack([population.current.rows(step).value.copy() for step in range(self._n_steps)])
        current += population.bias + np.float32(self._shifts.on(population.current))
        shift = 0.0
        if self._goal is not None:
            shift = self._search(current)
            self._shifts.add(population, shift)
        return self._fire(current, shift)

    def _search(self, current: np.ndarray) -> float:
        """The least shift that is enough; the density grows with it."""
        low, high = -_LARGEST_SHIFT, _LARGEST_SHIFT
        for _ in range(_N_HALVINGS):
            middle = (low + high) / 2
            if self._percent_behind(self._fire(current, middle)) < self._goal.percent:
                low = middle
            else:
                high = middle
        return high

    def _percent_behind(self, sent: list[Spikes]) -> float:
        """Density of what arrives at the reader."""
        n_events = sum(len(self._pass(step, spikes)) for step, spikes in enumerate(sent))
        for handler, _, _ in self._goal.between:
            handler.reset()
        return 100 * n_events / (self._goal.n_places * len(sent))

    def _pass(self, step: int, spikes: Spikes) -> Spikes:
        for handler, port, others in self._goal.between:
            inbox = {p: self._log.sent(source, step) for p, source in others.items()} | {port: spikes}
            inbox = {p: events for p, events in inbox.items() if len(events)}
            is_called = inbox or isinstance(handler, Population)
            spikes = handler.handle(step, inbox)[0] if is_called else Spikes.none()
        return spikes

    def _fire(self, current: np.ndarray, shift: float) -> list[Spikes]:
        p, flat = self._population, current.reshape(len(current), -1)
        fired = np.empty(flat.shape, np.bool_)
        _fire_steps(flat, np.float32(shift), p.rate, p.leak, p.v_reset, p.v_threshold, fired)
        return [Spikes(np.flatnonzero(step).astype(np.int32)) for step in fired]


@njit(cache=True, nogil=True)
def _fire_steps(current, shift, rate, leak, v_reset, v_threshold, fired):
    v = np.full(current.shape[1], v_reset, np.float32)
    for step in range(current.shape[0]):
        for i in range(current.shape[1]):
            h = v[i] + (current[step, i] + shift - leak * (v[i] - v_reset)) * rate
            fired[step, i] = h >= v_threshold
            v[i] = v_reset if fired[step, i] else h
