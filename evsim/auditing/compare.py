"""compare: two networks on the same recordings, recording by recording."""

from __future__ import annotations

from evsim.auditing.audit import Audit
from evsim.auditing.estimate import estimate
from evsim.auditing.panel import density, energy_panel
from evsim.auditing.sheet import Column, Sheet

__all__ = ["comparison"]

_MEASURES = {
    "ACs": lambda run: run.totals.acs,
    "MACs": lambda run: run.totals.macs,
    "masks": lambda run: run.totals.masks,
    "membrane updates": lambda run: run.totals.updates,
    "weight words read": lambda run: run.totals.weight_reads,
    "events delivered": lambda run: run.totals.events_in,
    "operand density %": lambda run: 100 * density(run),
}


def comparison(first: Audit, second: Audit, names: tuple[str, str]) -> Sheet:
    """Counts, conventions and energies of both, and the mean of the ratios recording by recording.

    The interval of a ratio is that of the paired ratios, which is narrower than that of the two means.
    """
    columns = [
        Column("measure", "measure", "text"),
        Column("first", names[0]),
        Column("second", names[1]),
        Column("ratio", "second/first", "number"),
        Column("assumptions", "assuming", "words"),
    ]
    rows = [_row(name, measure, first, second, "") for name, measure in _MEASURES.items()]
    for convention in first.conventions:
        rows.append(
            _row(
                f"energy µJ, {convention.TITLE}",
                lambda run, c=convention: _microjoules(c.count(run).energy_pj),
                first,
                second,
                convention.count(first.runs[0]).energy_words,
            )
        )
    for model in first.models:
        words = "; ".join(energy_panel(first.runs[0], model).rows[0].assumptions)
        rows.append(
            _row(
                f"energy µJ, {model.name}",
                lambda run, m=model: energy_panel(run, m).rows[0].total / 1e6,
                first,
                second,
                f"{model.title}; {words}",
            )
        )
    notes = ["ratios are taken recording by recording; accuracies are not compared here"]
    return Sheet("compare", f"{names[0]} and {names[1]} on the same recordings", columns, rows, notes)


def _row(name: str, measure, first: Audit, second: Audit, words: str) -> dict:
    a, b = [measure(run) for run in first.runs], [measure(run) for run in second.runs]
    ratios = [y / x if x else None for x, y in zip(a, b, strict=True)]
    return {
        "measure": name,
        "first": estimate(a),
        "second": estimate(b),
        "ratio": estimate(ratios),
        "assumptions": words,
    }


def _microjoules(pj: float | None) -> float | None:
    return None if pj is None else pj / 1e6
