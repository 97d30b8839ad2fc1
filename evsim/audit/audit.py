"""Audit: one network over one or many recordings, and the sheets that report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType

from evsim.audit.energy_model import EnergyModel
from evsim.audit.estimate import Estimate, estimate
from evsim.audit.geometry import Attention, Synapses
from evsim.audit.layers import AuditedRun, Layer
from evsim.audit.panel import PANEL_PARTS, Panel, density, energy_panel
from evsim.audit.sheet import Column, Sheet
from evsim.audit.tally import CAUSES, Tally

__all__ = ["Audit", "audit_sheets"]

_COUNTS = {
    "unit_acs": "ACs (payload n = n additions)",
    "acs": "weight additions of events",
    "graded_acs": "of these with a payload other than 1",
    "macs": "MACs (real-valued input)",
    "masks": "masks (AND, select)",
    "bias_adds": "bias additions",
    "residual_adds": "residual additions",
    "scalings": "scalings",
    "updates": "membrane updates",
    "comparisons": "comparisons",
    "weight_reads": "weight words read",
    "state_reads": "state words read",
    "state_writes": "state words written",
    "events_in": "events delivered",
}
"""Columns of the ledger in the order in which a report names them."""


@dataclass(frozen=True)
class Audit:
    """Runs of one network, and what was asked of them.

    Parameters
    ----------
    runs : sequence of AuditedRun
        One a recording; all of the same network.
    conventions : sequence of module
        See `evsim.audit.conventions`.
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


def audit_sheets(audit: Audit) -> list[Sheet]:
    """Everything there is to say, from the layers to the energy."""
    sheets = [_layers(audit), _side_by_side(audit), _heads(audit), _steps(audit), _totals(audit)]
    if audit.conventions:
        sheets += [_conventions(audit), _causes(audit)]
    return [*(sheet for sheet in sheets if sheet.rows), *_panels(audit)]


def _layers(audit: Audit) -> Sheet:
    """The literal counts, layer by layer."""
    columns = [
        Column("layer", "layer", "text"),
        Column("density", "density %", "percent", spread=False),
        Column("events_in", "events in", spread=False),
        Column("acs", "ACs"),
        Column("macs", "MACs"),
        Column("masks", "masks"),
        Column("share", "share %", "percent"),
    ]
    total = audit.over(lambda run: run.totals.unit_acs + run.totals.macs).mean or 1.0
    rows = [_layer_row(audit, stage, layer, total) for stage, layer in enumerate(audit.layers)]
    rows = [row for row in rows if any(row[key].mean for key in ("acs", "macs", "masks"))]
    last = {"layer": "total", "density": audit.over(density), "share": 1.0}
    for key, count in (("events_in", "events_in"), ("acs", "unit_acs"), ("macs", "macs"), ("masks", "masks")):
        last[key] = audit.over(lambda run, count=count: getattr(run.totals, count))
    notes = [
        "ACs: one for each weight an event reached, an event of payload n counting n; from the ledger, none estimated"
    ]
    return Sheet("layers", "Literal counts by layer", columns, [*rows, last], notes)


def _layer_row(audit: Audit, stage: int, layer: Layer, total: float) -> dict:
    counts = {
        key: audit.of_layer(stage, lambda x, count=count: getattr(x.counts, count))
        for key, count in (("events_in", "events_in"), ("acs", "unit_acs"), ("macs", "macs"), ("masks", "masks"))
    }
    has_operand = "spikes" in layer.operands
    seen = audit.of_layer(stage, lambda x: x.operand.density) if has_operand else None
    return {"layer": layer.name, "density": seen, **counts, "share": (counts["acs"].mean + counts["macs"].mean) / total}


def _side_by_side(audit: Audit) -> Sheet:
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


def _heads(audit: Audit) -> Sheet:
    columns = [
        Column("layer", "attention", "text"),
        Column("head", "head"),
        Column("acs", "ACs"),
        Column("masks", "masks"),
    ]
    rows = []
    for stage, layer in enumerate(audit.layers):
        if any(run.layers[stage].heads is None for run in audit.runs):
            continue
        for head in range(len(layer.heads)):
            acs = audit.of_layer(stage, lambda x, head=head: x.heads[head].unit_acs)
            masks = audit.of_layer(stage, lambda x, head=head: x.heads[head].masks)
            rows.append({"layer": layer.name, "head": head, "acs": acs, "masks": masks})
    return Sheet("heads", "Literal counts by attention head", columns, rows)


def _steps(audit: Audit) -> Sheet:
    keys = ("events_in", "unit_acs", "macs", "masks", "updates")
    columns = [Column("step", "step"), *(Column(key, _COUNTS[key].split(" (")[0]) for key in keys)]
    n_steps = min(run.n_steps for run in audit.runs)
    rows = [
        {"step": step} | {key: audit.over(lambda run, s=step, k=key: _at(run, s, k)) for key in keys}
        for step in range(n_steps)
    ]
    return Sheet("steps", "Literal counts by step", columns, rows)


def _at(run: AuditedRun, step: int, key: str) -> int:
    return sum(getattr(layer.steps[step], key) for layer in run.layers)


def _totals(audit: Audit) -> Sheet:
    """Every column of the ledger, summed."""
    columns = [Column("count", "per recording", "text"), Column("mean", "mean")]
    if len(audit.runs) > 1:
        columns += [Column("sd", "sd"), Column("low", "95 % from"), Column("high", "to")]
    rows = []
    for key, words in _COUNTS.items():
        found = audit.over(lambda run, key=key: getattr(run.totals, key, 0))
        rows.append({"count": words, "mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high})
    return Sheet("totals", _over_how_many(audit), columns, rows)


def _over_how_many(audit: Audit) -> str:
    n = len(audit.runs)
    return "Totals of one recording" if n == 1 else f"Totals, mean over {n} recordings and its 95 % interval"


def _conventions(audit: Audit) -> Sheet:
    columns = [
        Column("title", "convention", "text"),
        Column("acs", "ACs"),
        Column("macs", "MACs"),
        Column("to_literal", "ops/literal", "number"),
        Column("energy_uj", "energy uJ", "number"),
        Column("assumptions", "energy in pJ", "words"),
    ]
    rows = [_convention_row(audit, convention) for convention in audit.conventions]
    notes = [f"{c.TITLE}: {remark}" for c in audit.conventions for remark in audit.tallies(c)[0].remarks]
    if len(audit.runs) > 1:
        notes.append("counts in these remarks are of the first recording")
    return Sheet("conventions", "The same spikes by published conventions", columns, rows, notes)


def _convention_row(audit: Audit, convention: ModuleType) -> dict:
    tallies = audit.tallies(convention)
    literal = [run.totals.unit_acs + run.totals.macs for run in audit.runs]
    return {
        "title": convention.TITLE,
        "acs": estimate(t.acs for t in tallies),
        "macs": estimate(t.macs for t in tallies),
        "to_literal": estimate((t.acs + t.macs) / n if n else None for t, n in zip(tallies, literal, strict=True)),
        "energy_uj": estimate(None if t.energy_pj is None else t.energy_pj / 1e6 for t in tallies),
        "assumptions": tallies[0].energy_words,
        "source": convention.SOURCE,
    }


def _causes(audit: Audit) -> Sheet:
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


def _panels(audit: Audit) -> list[Sheet]:
    return [_panel(model, [energy_panel(run, model) for run in audit.runs]) for model in audit.models]


def _panel(model: EnergyModel, panels: list[Panel]) -> Sheet:
    columns = [
        Column("name", "run as", "text"),
        *(Column(f"{part}_uj", part, "short", spread=False) for part in PANEL_PARTS),
        Column("total_uj", "total", "number"),
        Column("ratio", "x spiking", "number"),
        Column("break_even", "even at %", "percent", spread=False),
        Column("assumptions", "assuming", "words"),
    ]
    rows = [_panel_row(panels, index) for index in range(len(panels[0].rows))]
    notes = [model.note] if model.note else []
    mean_density = estimate(panel.density for panel in panels).mean
    notes.append(
        "even at: density at which spiking would cost as much, if all that events cause scales with it and the rest "
        f"stays; measured {100 * mean_density:.2f} %; above 100 % spiking is cheaper at any density"
    )
    notes += [
        f"{name}: {constant.source}" + ("" if constant.verified else " (UNVERIFIED)")
        for name, constant in model.constants.items()
    ]
    return Sheet(f"energy_{model.name}", f"Energy in uJ by {model.name}: {model.title}", columns, rows, notes)


def _panel_row(panels: list[Panel], index: int) -> dict:
    rows = [panel.rows[index] for panel in panels]
    parts = {
        f"{part}_uj": estimate(None if row.parts[part] is None else row.parts[part] / 1e6 for row in rows)
        for part in PANEL_PARTS
    }
    is_priced = any(value is not None for value in parts.values())
    return {
        "name": rows[0].name,
        **parts,
        "total_uj": estimate(row.total / 1e6 for row in rows) if is_priced else None,
        "ratio": estimate(row.ratio for row in rows),
        "break_even": estimate(row.break_even for row in rows),
        "assumptions": "; ".join(rows[0].assumptions),
    }
