"""The published conventions as sheets: side by side by layer, in total, and why they differ."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from evsim.auditing.audit import Audit
from evsim.auditing.estimate import Estimate, estimate
from evsim.auditing.sheet import Column, Sheet
from evsim.auditing.tally import CAUSES
from evsim.handlers.geometry import Attention, Synapses

__all__ = ["causes_sheet", "conventions_sheet", "side_by_side_sheet"]


def side_by_side_sheet(audit: Audit) -> Sheet:
    """ACs and MACs together, one column a convention; populations, pools and means in one line."""
    columns = [
        Column("layer", "layer", "text"),
        *(Column(c.NAME, c.SHORT, "short", spread=False) for c in audit.conventions),
    ]
    named = [layer.name for layer in audit.layers if isinstance(layer.geometry, (Synapses, Attention))]
    rest = [layer.name for layer in audit.layers if layer.name not in named]
    groups = {name: [name] for name in named} | {"neurons, pools, means": rest, "total": [*named, *rest]}
    rows = [
        {"layer": words} | {c.NAME: _operations(audit, c, names) for c in audit.conventions}
        for words, names in groups.items()
    ]
    rows = [row for row in rows if any(row[c.NAME].mean for c in audit.conventions)]
    notes = ["ACs and MACs of each convention together, on the same spikes"]
    return Sheet("by_convention", "Operations by layer and convention", columns, rows, notes)


def _operations(audit: Audit, convention: ModuleType, names: Sequence[str]) -> Estimate | None:
    """ACs and MACs that a convention charges the named layers."""
    tallies = audit.tallies(convention)
    return estimate(sum(t.charges[name].acs + t.charges[name].macs for name in names) for t in tallies)


def conventions_sheet(audit: Audit) -> Sheet:
    columns = [
        Column("title", "convention", "text"),
        Column("acs", "ACs"),
        Column("macs", "MACs"),
        Column("to_literal", "ops/literal", "number"),
        Column("energy_uj", "energy µJ", "number"),
        Column("assumptions", "energy in pJ", "words"),
    ]
    rows = [_convention_row(audit, convention) for convention in audit.conventions]
    notes = [f"{c.TITLE}: {remark}" for c in audit.conventions for remark in audit.tallies(c)[0].remarks]
    if len(audit.runs) > 1:
        notes.append("counts in these remarks are of the first recording")
    return Sheet("conventions", "The same spikes by published conventions", columns, rows, notes)


def _convention_row(audit: Audit, convention: ModuleType) -> dict:
    tallies = audit.tallies(convention)
    literal = [run.totals.acs + run.totals.macs for run in audit.runs]
    return {
        "title": convention.TITLE,
        "acs": estimate(t.acs for t in tallies),
        "macs": estimate(t.macs for t in tallies),
        "to_literal": estimate((t.acs + t.macs) / n if n else None for t, n in zip(tallies, literal, strict=True)),
        "energy_uj": estimate(None if t.energy_pj is None else t.energy_pj / 1e6 for t in tallies),
        "assumptions": tallies[0].energy_words,
        "source": convention.SOURCE,
    }


def causes_sheet(audit: Audit) -> Sheet:
    """Why each convention differs, and by how much; the lines of one convention add up to its total."""
    columns = [
        Column("title", "convention", "text"),
        Column("cause", "difference", "text"),
        Column("acs", "ACs"),
        Column("macs", "MACs"),
    ]
    rows = []
    for convention in audit.conventions:
        found = [tally.by_cause() for tally in audit.tallies(convention)]
        for cause in CAUSES:
            if cause == "literal" or not any(cause in parts for parts in found):
                continue
            acs = estimate(parts[cause].acs if cause in parts else 0.0 for parts in found)
            macs = estimate(parts[cause].macs if cause in parts else 0.0 for parts in found)
            rows.append({"title": convention.TITLE, "cause": cause, "acs": acs, "macs": macs})
    notes = ["each convention is the literal count plus its differences, exactly"]
    notes += [f"{cause}: {words}" for cause, words in CAUSES.items() if any(row["cause"] == cause for row in rows)]
    return Sheet("differences", "Why they differ", columns, rows, notes)
