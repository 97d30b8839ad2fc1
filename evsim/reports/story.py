"""Story: everything the page tells, before it is markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evsim.auditing.collect import versions
from evsim.auditing.conventions import conventions
from evsim.auditing.energy_model import find_model
from evsim.auditing.layers import AuditedRun
from evsim.auditing.panel import Panel, energy_panel
from evsim.auditing.tally import Tally
from evsim.runs.run_report import RunReport
from evsim.traces.trace import Trace

__all__ = ["Story", "tell"]

ENERGY_MODELS = ("pair_4.6_0.9", "step_simple")


@dataclass(frozen=True, eq=False)
class Story:
    """A run, its spikes, and what the audit makes of them.

    Parameters
    ----------
    report : RunReport
    trace : Trace
    audited : AuditedRun
    tallies : sequence of Tally
        Every convention, the literal one first.
    panels : sequence of Panel
    class_names : sequence of str
    command, versions : str
    """

    report: RunReport
    trace: Trace
    audited: AuditedRun
    tallies: Sequence[Tally]
    panels: Sequence[Panel]
    class_names: Sequence[str]
    command: str
    versions: str


def tell(
    report: RunReport, trace: Trace, audited: AuditedRun, class_names: Sequence[str] | None, command: str
) -> Story:
    """Count a finished run by every convention and price it by the two usual energy models."""
    tallies = [convention.count(audited) for convention in conventions().values()]
    panels = [energy_panel(audited, find_model(name)) for name in ENERGY_MODELS]
    return Story(report, trace, audited, tallies, panels, class_names or (), command, versions())
