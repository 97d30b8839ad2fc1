"""Audit: one network over one or many recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType

from evsim.auditing.energy_model import EnergyModel
from evsim.auditing.estimate import Estimate, estimate
from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.tally import Tally

__all__ = ["Audit"]


@dataclass(frozen=True)
class Audit:
    """Runs of one network, and what was asked of them.

    Parameters
    ----------
    runs : sequence of AuditedRun
        One a recording; all of the same network.
    conventions : sequence of module
        See `evsim.auditing.conventions`.
    models : sequence of EnergyModel
    """

    runs: Sequence[AuditedRun]
    conventions: Sequence[ModuleType] = ()
    models: Sequence[EnergyModel] = ()
    _tallies: dict[str, list[Tally]] = field(default_factory=dict)

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the first run: names, kinds and sizes are those of all."""
        return self.runs[0].layers

    def tallies(self, convention: ModuleType) -> list[Tally]:
        """Every run by one convention."""
        if convention.NAME not in self._tallies:
            self._tallies[convention.NAME] = [convention.count(run) for run in self.runs]
        return self._tallies[convention.NAME]

    def over(self, measure) -> Estimate | None:
        """`measure` of every run, estimated."""
        return estimate(measure(run) for run in self.runs)

    def of_layer(self, stage: int, measure) -> Estimate | None:
        """`measure` of one layer of every run, estimated."""
        return estimate(measure(run.layers[stage]) for run in self.runs)
