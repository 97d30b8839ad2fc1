"""Tables: a network as the compiled loop sees it, one row a handler, one a reading, one a route.

Nothing is copied that is large: weights stay where the handlers keep them, and are found by their address.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from evsim.arithmetic.precision import FLOAT
from evsim.asynchronous.columns import (
    ACT_SIZE,
    ALONE_AT,
    ALONE_END,
    BIAS_AT,
    BUCKET,
    CONSTANTS_AT,
    DEST_AT,
    DEST_END,
    FIXED_AT,
    IS_DRIVEN,
    KIND,
    MARKS_AT,
    N_BIASED,
    N_BIASED_ALONE,
    N_CHANNELS,
    N_COLUMNS,
    N_MAP_BIASED,
    N_PLACES,
    NUMBERS,
    OWNER,
    PLACE_AT,
    READING,
    READING_SIZE,
    READS_AS,
    ROUTE_AT,
    ROUTE_END,
    SUMS_AT,
    WEIGHTS,
    X_AT,
)  # fmt: skip
from evsim.asynchronous.options import SCHEDULES, Asynchrony
from evsim.engine.current import Current
from evsim.engine.network import Network
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.neurons import Population

__all__ = ["Plan", "Tables"]


class Tables(NamedTuple):
    """The network; the columns of `acts` and `readings` are in `evsim.asynchronous.columns`.

    `routes` are pairs (stage, number of the port), `lists` hold readings and channels, `fixed` real or whole constants.
    `threshold` has a number for each channel of a population, and `real` two: a potential is V times the first, plus
    the second.
    """

    acts: np.ndarray
    readings: np.ndarray
    routes: np.ndarray
    lists: np.ndarray
    constants: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    real: np.ndarray
    fixed: np.ndarray
    population_of: np.ndarray
    n_neurons: int
    n_populations: int
    readout: int
    logit_unit: float
    is_float: bool
    schedule: int
    group_size: int
    patience: int
    commits_at_crossing: bool
    needs_key: bool
    is_late: bool
    refires: bool
    keeps: bool
    remembers: bool
    keeps_curve: bool


class Plan:
    """Where everything of a network lies in the tables.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    acts : list of Act
        One a handler.
    readers : list of int
        The stages that read a current: populations first, then the others, each in the order of the network.
    barriers : list of str
        Handlers that do not say how they act without one.

    Raises
    ------
    NetworkError
        Weights are not in the network's arithmetic, or the output is a program of all steps.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        if not hasattr(network.readout, "current"):
            raise NetworkError(
                "--mode asynchronous: this network's output is no sum over its steps, so that nothing can be decided "
                "before the last one; expected a model that returns the mean of its logits over time"
            )
        self.is_float = network.precision == FLOAT
        self.value, self.wide = (np.float32, np.float64) if self.is_float else (np.int32, np.int64)
        self.stage_of = {handler.name: stage for stage, handler in enumerate(network.handlers)}
        self.acts = [_act_of(handler, network, stage) for stage, handler in enumerate(network.handlers)]
        self.barriers = [network.handlers[h].name for h, act in enumerate(self.acts) if act.kind == Kind.BARRIER]
        reading = [h for h, act in enumerate(self.acts) if act.reads is not None]
        self.n_populations = sum(self.acts[h].kind == Kind.FIRE for h in reading)
        self.readers = sorted(reading, key=lambda h: self.acts[h].kind != Kind.FIRE)
        self.x_at = offsets(self._n_places(h) * self._n_columns(h) for h in self.readers)
        self.place_at = offsets(self._n_places(h) for h in self.readers)
        self.n_neurons = self.x_at[self.n_populations]
        self.marks_at = offsets(act.n_marks for act in self.acts)
        self.sums_at = offsets(act.n_sums for act in self.acts)

    @property
    def populations(self) -> list[Population]:
        """In the order of their readings."""
        return [self.network.handlers[h] for h in self.readers[: self.n_populations]]

    def _n_places(self, h: int) -> int:
        return 1 if self.acts[h].kind == Kind.MEAN else self.acts[h].reads.n_places

    def _n_columns(self, h: int) -> int:
        """Values of a place that are kept; a mean keeps sums instead."""
        return 0 if self.acts[h].kind == Kind.MEAN else self.acts[h].reads.n_channels

    def tables(self, how: Asynchrony, keeps_curve: bool = False) -> Tables:
        """The tables of a run."""
        stage = self.stage_of[self.network.readout.name]
        has_logits = self.acts[stage].kind == Kind.READ_OUT and self.network.readout.n_inputs
        constants = [p.constants_of_charge for p in self.populations]
        n_neurons = [p.n_neurons for p in self.populations]
        acts, readings, routes, lists = self._rows()
        return Tables(
            acts, readings, routes, lists,
            constants=np.array(constants, np.float32 if self.is_float else np.int64).reshape(-1, 4),
            bias=joined([self._bias(h) for h in self.readers], self.value),
            threshold=joined([p.thresholds for p in self.populations], self.value),
            real=joined([np.stack([p.steps, p.rests], axis=1).reshape(-1) for p in self.populations], np.float64),
            fixed=joined([self._fixed(act) for act in self.acts], self.wide),
            population_of=np.repeat(np.arange(len(n_neurons), dtype=np.int32) * READING_SIZE, n_neurons),
            n_neurons=self.n_neurons, n_populations=self.n_populations,
            readout=self.readers.index(stage) * READING_SIZE if has_logits else -1,
            logit_unit=2.0**-self.network.readout.current.exponent, is_float=self.is_float,
            schedule=SCHEDULES.index(how.schedule), group_size=how.group_size, patience=how.stop_at_decision or 0,
            commits_at_crossing=how.schedule == "layer" or how.commit == "crossing",
            needs_key=how.schedule == "momentum", is_late=how.bias == "late", refires=how.refire,
            keeps=how.after_spike == "keep", remembers=how.remembers, keeps_curve=keeps_curve,
        )  # fmt: skip

    @cached_property
    def widest(self) -> int:
        """Channels of the widest current."""
        currents = [current for handler in self.network.handlers for current in Network.currents_of(handler)]
        return max([current.n_channels for current in currents] + [1])

    def _rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Handlers, readings, and who listens to whom."""
        acts, readings = np.zeros((len(self.acts) + 1, ACT_SIZE), np.int64), self._reading_rows()
        routes, lists = self._routes(acts), self._dest(acts)
        reading_of = {h: r * READING_SIZE for r, h in enumerate(self.readers)}
        fixed_at = offsets(self._fixed(act).size for act in self.acts)
        for h, act in enumerate(self.acts):
            row = {
                KIND: act.kind, MARKS_AT: self.marks_at[h], SUMS_AT: self.sums_at[h], WEIGHTS: self._address(act),
                READING: reading_of.get(h, -1), FIXED_AT: fixed_at[h], N_MAP_BIASED: _n_map_biased(act),
                N_COLUMNS: 0 if act.reads is None else act.reads.n_channels,
            }  # fmt: skip
            acts[h, list(row)] = list(row.values())
            acts[h, NUMBERS : NUMBERS + len(act.numbers)] = act.numbers
        for r, population in enumerate(self.populations):
            readings[r, ALONE_AT], readings[r, ALONE_END] = len(lists), len(lists) + population.sleepless.size
            lists += population.sleepless.tolist()
        return acts, readings, np.array(routes, np.int64).reshape(-1, 2), np.array(lists, np.int64)

    def _reading_rows(self) -> np.ndarray:
        readings = np.zeros((len(self.readers), READING_SIZE), np.int64)
        bias_at = offsets(self.acts[h].reads.n_channels for h in self.readers)
        for r, h in enumerate(self.readers):
            current, bias = self.acts[h].reads, self._bias(h)
            alone = bias[self.network.handlers[h].sleepless] if r < self.n_populations else bias[:0]
            row = {
                X_AT: self.x_at[r], PLACE_AT: self.place_at[r], N_PLACES: self._n_places(h), OWNER: h * ACT_SIZE,
                N_CHANNELS: current.n_channels, BIAS_AT: bias_at[r], READS_AS: self.acts[h].kind,
                N_BIASED: np.count_nonzero(bias), N_BIASED_ALONE: np.count_nonzero(alone), CONSTANTS_AT: 4 * r,
                IS_DRIVEN: (bias > 0).any(), BUCKET: r + 1,
            }  # fmt: skip
            readings[r, list(row)] = list(row.values())
        return readings

    def _routes(self, acts: np.ndarray) -> list[tuple[int, int]]:
        """(handler, number of the port) of everyone who listens, source by source; the input comes last."""
        heard: dict[str, list[tuple[int, int]]] = {}
        for h, ports in enumerate(self.network.sources):
            for port, source in ports.items():
                heard.setdefault(source, []).append((h * ACT_SIZE, self.acts[h].ports.index(port)))
        routes: list[tuple[int, int]] = []
        for h, name in enumerate([*self.stage_of, self.network.input_name]):
            acts[h, ROUTE_AT] = len(routes)
            routes += heard.get(name, [])
            acts[h, ROUTE_END] = len(routes)
        return routes

    def _dest(self, acts: np.ndarray) -> list[int]:
        """The readings of what each handler writes: of those that read the current and were built after it joined."""
        readings: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
        for r, h in enumerate(self.readers):
            told = (r * READING_SIZE, self.network.handlers[h].wakers)
            readings.setdefault(id(self.acts[h].reads), []).append(told)
        lists: list[int] = []
        for h, handler in enumerate(self.network.handlers):
            acts[h, DEST_AT] = len(lists)
            lists += [r for r, wakers in readings.get(id(self.written_by(h)), ()) if handler.name in wakers]
            acts[h, DEST_END] = len(lists)
        return lists

    def _bias(self, h: int) -> np.ndarray:
        """What a population adds to its current; the other readers add nothing."""
        act = self.acts[h]
        return self.network.handlers[h].bias if act.kind == Kind.FIRE else np.zeros(act.reads.n_channels, self.value)

    def _fixed(self, act: Act) -> np.ndarray:
        """Real or whole constants: factors, then an operand's bias, or a classifier's weights."""
        if act.kind == Kind.CLASSIFY:
            return _flat(act.weights)
        return np.concatenate([_flat(act.scales), _flat(act.biases)])

    def written_by(self, h: int) -> Current | None:
        """The current that a handler adds to."""
        act = self.acts[h]
        if act.kind != Kind.BARRIER:
            return act.writes
        handler = self.network.handlers[h]
        return next((c for c in Network.currents_of(handler) if handler.name in c.writers), None)

    def _address(self, act: Act) -> int:
        if act.kind != Kind.PROJECT:
            return 0
        expected = np.float32 if self.is_float else np.int16
        if act.weights.dtype != expected or not act.weights.flags.c_contiguous:
            raise NetworkError(f"{self.network.name}: weights are {act.weights.dtype}, expected {np.dtype(expected)}")
        return act.weights.ctypes.data


def _n_map_biased(act: Act) -> int:
    """Values of an operand that have a bias."""
    if act.kind != Kind.MULTIPLY_MAP:
        return 0
    halves = act.biases.reshape(act.numbers[0], 2, -1)
    return int(np.count_nonzero(halves[:, act.numbers[3]])) * act.reads.n_places


def _act_of(handler, network: Network, stage: int) -> Act:
    """What a handler says of itself, or a barrier with room for what its ports bring."""
    says = getattr(handler, "asynchronous", None)
    act = says() if says is not None else None
    if act is not None:
        return act
    ports = tuple(network.sources[stage])
    size = handler.n_inputs if ports else 0  # of all ports together, so no less than any of them needs
    currents = Network.currents_of(handler) if getattr(handler, "wakers", ()) else []
    reads = next((current for current in currents if handler.name in current.readers), None)
    places = tuple(size * port for port in range(len(ports)))
    return Act(Kind.BARRIER, places, ports, reads=reads, n_sums=size * len(ports))


def offsets(sizes) -> list[int]:
    """Where each of some parts of these sizes begins, and where the last one ends."""
    return [0, *accumulate(int(size) for size in sizes)]


def _flat(values: np.ndarray | None) -> np.ndarray:
    return np.empty(0) if values is None else np.asarray(values).reshape(-1)


def joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    """One array of all, which may be none."""
    return np.concatenate([*parts, np.empty(0, dtype)]).astype(dtype)
