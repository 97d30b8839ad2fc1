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
"""A local flip is excused when abs(H - v_threshold) <= TOLERANCE * max(1, abs(X)), where nothing better is known."""

SUMMED_TOLERANCE = 1e-6
"""And when abs(H - v_threshold) <= SUMMED_TOLERANCE * max(1, S), S being the size of what H was summed from."""

MAX_LOCAL_RATE = 1e-6
"""More local flips per neuron-step than this are a disagreement even if each is near the threshold, as far as nobody
knows what they were summed from."""


@dataclass(frozen=True)
class Flip:
    """One spike that differs: where, and how far the membrane was from the threshold.

    `summed` is the sum of abs(w) abs(x) over the terms of its current, times what a difference in the current is one in
    the charge: known of recorded networks.
    """

    sample: int
    step: int
    population: str
    address: int
    margin: float
    current: float
    summed: float | None = None

    @property
    def allowed(self) -> float:
        """How far from the threshold the order of float32 sums can move a charge."""
        if self.summed is None:
            return TOLERANCE * max(1.0, abs(self.current))
        return SUMMED_TOLERANCE * max(1.0, self.summed)

    @property
    def is_excused(self) -> bool:
        """Within what the order of float32 sums can move."""
        return abs(self.margin) <= self.allowed


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
    silent : list of str
        Populations that send nothing in any sample of the reference: there was nothing to verify.
    """

    exact: Agreement = field(default_factory=Agreement)
    local: Agreement = field(default_factory=Agreement)
    flips: list[Flip] = field(default_factory=list)
    free: Agreement = field(default_factory=Agreement)
    logits_difference: float = 0.0
    predictions_differing: int = 0
    samples: int = 0
    assumed: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    heard: set[str] = field(default_factory=set, repr=False)

    def add(self, other: Verification) -> None:
        """Take in the verification of further samples."""
        self.heard |= other.heard
        self.silent = [name for name in dict.fromkeys([*self.silent, *other.silent]) if name not in self.heard]
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
        """No exact disagreement, no unexcused local one, and few enough of those that rounding explains.

        Whole numbers are exact here, and need not be in the reference: where it is known what was summed, a current
        that lies on the threshold itself is excused like any other.
        """
        unweighed = sum(flip.summed is None for flip in self.flips)
        rare = unweighed <= max(1, MAX_LOCAL_RATE * self.local.compared)
        same_end = self.local.compared > 0 or self.predictions_differing == 0
        if self.silent and not self.heard:
            return False  # zeros equal zeros
        unexplained = any(flip.summed is None and flip.population in self.exact.by_population for flip in self.flips)
        return not unexplained and not self.unexcused and rare and same_end


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
        population, row = self._population, self._expected[step]
        is_awake = population.wakes_itself or any(port != "bias" for port in inbox)
        charge_of = population.snapshot(step)
        sent = population.handle(step, inbox)[0] if is_awake else Spikes.none()
        found = np.zeros(row.size, np.int32)
        found[sent.address] = 1 if sent.payload is None else sent.payload
        for address in np.flatnonzero(found != row):
            charge, current = charge_of(address)
            population.overrule(address, charge, int(row[address]))
            margin = population.margin(address, charge)
            self.flips.append(Flip(self._sample, step, self.name, int(address), margin, current))
        return Spikes.from_dense(row), OpCounts()

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
        raise TraceError(
            f"{reference.file}: spikes of {unknown[0]}, which is no population of this {network.name} network"
        )
    _check_classes(network, reference)
    verification = Verification(samples=len(samples))
    for index, sample in enumerate(samples):
        expected = {
            name: arrange(array[:, index], populations[name])
            for name, array in reference.spikes.items()
            if index < array.shape[1]
        }
        _check_steps(reference.file, len(sample), expected)
        heard = {name for name, dense in expected.items() if dense.any()}
        verification.heard |= heard
        verification.silent += [name for name in expected if name not in (*heard, *verification.silent)]
        _compare_free(network, sample, expected, reference.logits[index], verification, order)
        if expected:
            _compare_forced(network, sample, expected, index, verification, order)
    verification.silent = [name for name in verification.silent if name not in verification.heard]
    return verification


def _check_classes(network: Network, reference: Reference) -> None:
    n_classes, found = network.readout.n_classes, reference.logits.shape[1]
    if found != n_classes:
        raise TraceError(f"{reference.file}: logits of {found} classes, this {network.name} network has {n_classes}")


def _check_steps(file: str, n_steps: int, expected: Mapping[str, np.ndarray]) -> None:
    for name, dense in expected.items():
        if dense.shape[0] != n_steps:
            raise TraceError(f"{file}: {dense.shape[0]} steps of {name}, but the input makes {n_steps} steps")


def _compare_free(network, sample, expected, logits, verification: Verification, order: str) -> None:
    probe = Probe(expected)
    result = simulate(network, sample, [probe], order)
    for name, dense in expected.items():
        differing = 0
        for step, row in enumerate(dense):
            differing += int(np.count_nonzero(probe.spikes(name, step).to_dense(row.size) != row))
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
