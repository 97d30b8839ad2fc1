"""The literal counts as sheets: by layer, by attention head, by step, in total."""

from __future__ import annotations

from evsim.auditing.audit import Audit
from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.panel import density
from evsim.auditing.sheet import Column, Sheet

__all__ = ["heads_sheet", "layers_sheet", "steps_sheet", "totals_sheet"]

_COUNTS = {
    "acs": "ACs (payload n = n additions)",
    "event_acs": "additions done (an event of any payload is one)",
    "graded_acs": "of these with a payload other than 1",
    "macs": "MACs (real-valued input)",
    "zero_macs": "of these with an operand of exactly 0",
    "dense_macs": "dense MACs (operations without an event-driven form)",
    "masks": "masks (AND, select)",
    "bias_adds": "bias additions",
    "residual_adds": "residual additions",
    "scalings": "scalings",
    "updates": "membrane updates",
    "silent_updates": "of these at places that no event reached",
    "comparisons": "comparisons",
    "weight_reads": "weight words read",
    "state_reads": "state words read",
    "state_writes": "state words written",
    "events_in": "events delivered",
    "order_ands": "64-bit ANDs to choose the order of an attention's products",
}
"""Columns of the ledger in the order in which a report names them."""


def layers_sheet(audit: Audit) -> Sheet:
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
    total = audit.over(lambda run: run.totals.acs + run.totals.macs).mean or 1.0
    found = [_layer_row(audit, stage, layer, total) for stage, layer in enumerate(audit.layers)]
    rows = [row for row in found if any(row[key].mean for key in ("acs", "macs", "masks"))]
    rows += _others(audit, [stage for stage, row in enumerate(found) if row not in rows])
    last = {"layer": "total", "density": audit.over(density), "share": 1.0}
    for key in ("events_in", "acs", "macs", "masks"):
        last[key] = audit.over(lambda run, key=key: getattr(run.totals, key))
    notes = [
        "ACs: one for each weight an event reached, an event of payload n counting n; from the ledger, none estimated"
    ]
    return Sheet("layers", "Literal counts by layer", columns, [*rows, last], notes)


def _layer_row(audit: Audit, stage: int, layer: Layer, total: float) -> dict:
    counts = {
        key: audit.of_layer(stage, lambda x, key=key: getattr(x.counts, key))
        for key in ("events_in", "acs", "macs", "masks")
    }
    has_operand = "spikes" in layer.operands
    seen = audit.of_layer(stage, lambda x: x.operand.density) if has_operand else None
    return {"layer": layer.name, "density": seen, **counts, "share": (counts["acs"].mean + counts["macs"].mean) / total}


def _others(audit: Audit, stages: list[int]) -> list[dict]:
    """Handlers without weights or masks in one row, so that every column adds up to the total."""
    events = audit.over(lambda run: sum(run.layers[stage].counts.events_in for stage in stages))
    if not events.mean:
        return []
    nothing = audit.over(lambda run: 0)
    counts = dict.fromkeys(("acs", "macs", "masks"), nothing)
    return [{"layer": "pools, sums of streams", "events_in": events, **counts, "share": 0.0}]


def heads_sheet(audit: Audit) -> Sheet:
    columns = [
        Column("layer", "attention", "text"),
        Column("head", "head", "key"),
        Column("acs", "ACs"),
        Column("masks", "masks"),
    ]
    rows = []
    for stage, layer in enumerate(audit.layers):
        if any(run.layers[stage].heads is None for run in audit.runs):
            continue
        for head in range(len(layer.heads)):
            acs = audit.of_layer(stage, lambda x, head=head: x.heads[head].acs)
            masks = audit.of_layer(stage, lambda x, head=head: x.heads[head].masks)
            rows.append({"layer": layer.name, "head": head, "acs": acs, "masks": masks})
    return Sheet("heads", "Literal counts by attention head", columns, rows)


def steps_sheet(audit: Audit) -> Sheet:
    keys = ("events_in", "acs", "macs", "masks", "updates")
    columns = [Column("step", "step", "key"), *(Column(key, _COUNTS[key].split(" (")[0]) for key in keys)]
    n_steps = min(run.n_steps for run in audit.runs)
    rows = [
        {"step": step} | {key: audit.over(lambda run, s=step, k=key: _at(run, s, k)) for key in keys}
        for step in range(n_steps)
    ]
    return Sheet("steps", "Literal counts by step", columns, rows)


def _at(run: AuditedRun, step: int, key: str) -> int:
    return sum(getattr(layer.steps[step], key) for layer in run.layers)


def totals_sheet(audit: Audit) -> Sheet:
    """Every column of the ledger, summed."""
    columns = [Column("count", "per recording", "text"), Column("mean", "mean")]
    if len(audit.runs) > 1:
        columns += [Column("sd", "sd"), Column("low", "95 % from"), Column("high", "to")]
    rows = []
    for key, words in _COUNTS.items():
        found = audit.over(lambda run, key=key: getattr(run.totals, key))
        rows.append(
            {"count": words, "key": key, "mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high}
        )
    return Sheet("totals", _over_how_many(audit), columns, rows)


def _over_how_many(audit: Audit) -> str:
    n = len(audit.runs)
    return "Totals of one recording" if n == 1 else f"Totals, mean over {n} recordings and its 95 % interval"
