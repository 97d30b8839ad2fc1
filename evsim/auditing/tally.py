"""Charge and Tally: what a convention makes of a run, as the literal count plus named differences.

    theirs = literal + sum over causes of what each cause adds or takes away

A convention never gives a bare number: it gives the literal one and says, cause by cause, how it departs. The parts
add up exactly, so a reader sees why two published numbers differ, and by how much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from evsim.auditing.layers import AuditedRun, Layer

__all__ = ["CAUSES", "Charge", "Part", "Tally", "tally_layers"]

CAUSES = {
    "literal": "what the engine did",
    "borders": "kernels over the border: weights that meet only padding are counted too",
    "pool position": "the rate is taken before the max-pool, the layer reads the map behind it",
    "first layer": "the layer that reads the recording is charged as dense products, at every step",
    "integer spikes": "payloads other than 0 and 1 are counted another way",
    "attention": "the attention is counted by a formula of its own",
    "attention skipped": "the products of the attention are not counted",
    "skipped": "the layer is left out",
    "bias": "additions of the bias",
    "neurons": "updates of the membranes",
    "batch norm": "a BatchNorm that evsim folds into the weights",
    "pool": "max-pools",
    "residual": "additions of a shortcut, dense",
    "mean": "means over tokens and over steps, dense",
    "real values": "real-valued input: zeros are multiplied too",
}
"""Every reason for a difference, in words; keys of `Part.cause`."""


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a charge: additions and products, negative where a convention leaves something out."""

    cause: str
    acs: float = 0.0
    macs: float = 0.0


@dataclass(frozen=True, slots=True)
class Charge:
    """What one convention charges one layer: the sum of its parts, the first of which is literal."""

    parts: tuple[Part, ...]

    @property
    def acs(self) -> float:
        return sum(part.acs for part in self.parts)

    @property
    def macs(self) -> float:
        return sum(part.macs for part in self.parts)

    @staticmethod
    def literal(layer: Layer) -> Charge:
        """The ledger's own numbers: a payload of n is n unit additions."""
        counts = layer.counts
        return Charge((Part("literal", float(counts.acs), float(counts.macs)),))

    def plus(self, cause: str, acs: float = 0.0, macs: float = 0.0) -> Charge:
        """One more difference."""
        if not acs and not macs:
            return self
        return Charge((*self.parts, Part(cause, float(acs), float(macs))))

    def to(self, cause: str, acs: float | None = None, macs: float | None = None) -> Charge:
        """The difference that leads from here to a given number of additions and products."""
        more_acs = 0.0 if acs is None else acs - self.acs
        more_macs = 0.0 if macs is None else macs - self.macs
        return self.plus(cause, more_acs, more_macs)


@dataclass(frozen=True, eq=False)
class Tally:
    """A whole run by one convention.

    Parameters
    ----------
    convention, title : str
    charges : dict of str to Charge
        By layer, in run order.
    energy_pj : float or None
        By the convention's own constants; None where it gives no energy.
    energy_words : str
        The formula of that energy with its constants.
    remarks : list of str
        What else a reader must know, in plain words.
    """

    convention: str
    title: str
    charges: dict[str, Charge]
    energy_pj: float | None = None
    energy_words: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def acs(self) -> float:
        return sum(charge.acs for charge in self.charges.values())

    @property
    def macs(self) -> float:
        return sum(charge.macs for charge in self.charges.values())

    def by_cause(self) -> dict[str, Part]:
        """The parts of all layers summed by cause, the literal count first."""
        totals: dict[str, Part] = {}
        for charge in self.charges.values():
            for part in charge.parts:
                known = totals.get(part.cause, Part(part.cause))
                totals[part.cause] = Part(part.cause, known.acs + part.acs, known.macs + part.macs)
        return totals


def tally_layers(run: AuditedRun, charge: Callable[[Layer], Charge]) -> dict[str, Charge]:
    """A charge for every layer of a run."""
    return {layer.name: charge(layer) for layer in run.layers}
