"""verify: does a run equal a reference? Exactly, locally, and running free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.engine.network import Network
from evsim.engine.simulator import Result, simulate
from evsim.engine.spikes import Spikes
from evsim.errors import TraceError
from evsim.handlers.neurons import Population
from evsim.traces.reference import Reference, arrange
from evsim.traces.trace import Probe

__all__ = ["TOLERANCE", "Agreement", "Flip", "Verification", "verify"]

TOLERANCE = 1e-5
"""A local flip is excused when abs(H - v_threshold) <= TOLERANCE * max(1, abs(X))."""

MAX_LOCAL_RATE = 1e-6
"""More local flips per neuron-step than this are a disagreement even if each is near the threshold."""


@dataclass(frozen=True)
class Flip:
    """One spike that differs: where, and how far the membrane was from the threshold."""

    sample: int
    step: int
    population: str
    address: int
    margin: float
    current: float

    @property
    def is_excused(self) -> bool:
        """Within what the order of float32 sums can move."""
        return abs(self.margin) <= TOLERANCE * max(1.0, abs(self.current))


@dataclass
class Agreement:
    """One level: neuron-steps compared and spikes that differ, in all and by population."""

    compared: int = 0
    differing: int = 0
    by_population: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, compared: int, differing: int) -> None:
        """Count one comparison."""
        self.compared += compared
        self.differing += differing
        if differing:
            self.by_population[name] = self.by_population.get(name, 0) + differing

    def extend(self, other: Agreement) -> None:
        """Count all that another one has counted."""
        self.compared += other.compared
        for name, differing in other.by_population.items():
            self.add(name, 0, differing)


@dataclass
class Verification:
    """All three levels.

    Attributes
    ----------
    exact : Agreement
        Populations whose current is whole numbers (attention), fed with the reference's spikes: no flip allowed.
    local : Agreement
        All others, fed with the reference's spikes.
    flips : list of Flip
        The local and exact disagreements one by one.
    free : Agreement
        The run left to itself.
    logits_difference : float
        Largest absolute difference of a logit, running free.
    predictions_differing, samples : int
    assumed : dict of str to str
        Hyper-parameters of the network that nobody told when its checkpoint was imported, and what was taken: where to
        look first when it does not agree.
    """

    exact: Agreement = field(default_factory=Agreement)
    local: Agreement = field(default_factory=Agreement)
    flips: list[Flip] = field(default_factory=list)
    free: Agreement = field(default_factory=Agreement)
    logits_difference: float = 0.0
    predictions_differing: int = 0
    samples: int = 0
    assumed: dict[str, str] = field(default_factory=dict)

    def add(self, other: Verification) -> None:
        """Take in the verification of further samples."""
        self.flips += [replace(flip, sample=flip.sample + self.samples) for flip in other.flips]
        for mine, theirs in ((self.exact, other.exact), (self.local, other.local), (self.free, other.free)):
            mine.extend(theirs)
        self.logits_difference = max(self.logits_difference, other.logits_difference)
        self.predictions_differing += other.predictions_differing
        self.samples += other.samples

    @property
    def unexcused(self) -> list[Flip]:
        """Local flips that rounding does not explain."""
        return [flip for flip in self.flips if not flip.is_excused]

    @property
    def agrees(self) -> bool:
        """No exact disagreement, no unexcused local one, and few enough of those that rounding explains."""
        rare = self.local.differing <= max(1, MAX_LOCAL_RATE * self.local.compared)
        same_end = self.local.compared > 0 or self.predictions_differing == 0
        return self.exact.differing == 0 and not self.unexcused and rare and same_end


class _Forced:
    """Stands in for a population: lets it fire, notes where the reference disagrees, and sends the reference.

    Every node so is fed with the reference's spikes; a neuron that disagreed is set to the reference's state,
    so that one disagreement is counted once.
    """

    wakes_itself = True

    def __init__(self, population: Population, expected: np.ndarray, sample: int) -> None:
        self._population = population
        self._expected = expected
        self._sample = sample
        self.name = population.name
        self.flips: list[Flip] = []

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        population = self._population
        is_awake = population.wakes_itself or any(port != "bias" for port in inbox)
        expected = np.flatnonzero(self._expected[step]).astype(np.int32)
        charge_of = population.snapshot(step)
        found = population.handle(step, inbox)[0].address if is_awake else Spikes.none().address
        for address in np.setxor1d(found, expected, assume_unique=True):
            charge, current = charge_of(address)
            spike = bool(self._expected[step, address])
            population.overrule(address, charge, spike)
            margin = charge - float(population.v_threshold)
            self.flips.append(Flip(self._sample, step, self.name, int(address), margin, current))
        return Spikes(expected), OpCounts()

    def reset(self) -> None:
        self._population.reset()


def verify(network: Network, samples: Sequence[Sequence[Spikes]], reference: Reference, order: str = "stage"):
    """Compare runs of `network` on `samples` with `reference`, sample by sample.

    Parameters
    ----------
    network : Network
    samples : sequence of recordings
        The inputs of the reference as steps of spikes, as many as it has logits.
    reference : Reference

    Returns
    -------
    Verification

    Raises
    ------
    TraceError
        The reference names a population the network does not have, or a shape does not fit.
    """
    populations = {population.name: population for population in network.populations()}
    unknown = [name for name in reference.spikes if name not in populations]
    if unknown:
        raise TraceError(f"reference has spikes of {unknown[0]}, which is no population of this {network.name} network")
    _check_classes(network, reference)
    verification = Verification(samples=len(samples))
    for index, sample in enumerate(samples):
        expected = {
            name: arrange(array[:, index], populations[name])
            for name, array in reference.spikes.items()
            if index < array.shape[1]
        }
        _check_steps(len(sample), expected)
        _compare_free(network, sample, expected, reference.logits[index], verification, order)
        if expected:
            _compare_forced(network, sample, expected, index, verification, order)
    return verification


def _check_classes(network: Network, reference: Reference) -> None:
    n_classes, found = network.readout.n_inputs, reference.logits.shape[1]
    if found != n_classes:
        raise TraceError(f"reference has logits of {found} classes, this {network.name} network {n_classes}")


def _check_steps(n_steps: int, expected: Mapping[str, np.ndarray]) -> None:
    for name, dense in expected.items():
        if dense.shape[0] != n_steps:
            raise TraceError(f"reference has {dense.shape[0]} steps of {name}, but the input makes {n_steps} steps")


def _compare_free(network, sample, expected, logits, verification: Verification, order: str) -> None:
    probe = Probe(expected)
    result = simulate(network, sample, [probe], order)
    for name, dense in expected.items():
        differing = 0
        for step, row in enumerate(dense):
            found = probe.spikes(name, step).address
            differing += np.setxor1d(found, np.flatnonzero(row), assume_unique=True).size
        verification.free.add(name, dense.size, differing)
    _compare_logits(result, logits, verification)


def _compare_logits(result: Result, logits: np.ndarray, verification: Verification) -> None:
    difference = float(np.max(np.abs(result.logits - logits)))
    verification.logits_difference = max(verification.logits_difference, difference)
    verification.predictions_differing += int(result.prediction != int(np.argmax(logits)))


def _compare_forced(network, sample, expected, index: int, verification: Verification, order: str) -> None:
    original = list(network.handlers)
    forced = {name: stage for stage, name in enumerate(h.name for h in original) if name in expected}
    for name, stage in forced.items():
        network.handlers[stage] = _Forced(original[stage], expected[name], index)
    try:
        simulate(network, sample, (), order)
        stand_ins = [network.handlers[stage] for stage in forced.values()]
    finally:
        network.handlers[:] = original
    for stand_in, stage in zip(stand_ins, forced.values(), strict=True):
        level = verification.exact if original[stage].is_exact else verification.local
        level.add(stand_in.name, expected[stand_in.name].size, len(stand_in.flips))
        verification.flips += stand_in.flips
