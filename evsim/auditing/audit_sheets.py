"""The energy panels as sheets, and the whole report of an audit."""

from __future__ import annotations

from evsim.auditing.audit import Audit
from evsim.auditing.convention_sheets import causes_sheet, conventions_sheet, side_by_side_sheet
from evsim.auditing.energy_model import EnergyModel
from evsim.auditing.estimate import estimate
from evsim.auditing.literal_sheets import heads_sheet, layers_sheet, steps_sheet, totals_sheet
from evsim.auditing.panel import PANEL_PARTS, Panel, energy_panel
from evsim.auditing.sheet import Column, Sheet

__all__ = ["audit_sheets"]


def audit_sheets(audit: Audit) -> list[Sheet]:
    """Everything there is to say, from the layers to the energy."""
    sheets = [
        layers_sheet(audit),
        side_by_side_sheet(audit),
        heads_sheet(audit),
        steps_sheet(audit),
        totals_sheet(audit),
    ]
    if audit.conventions:
        sheets += [conventions_sheet(audit), causes_sheet(audit)]
    return [*(sheet for sheet in sheets if sheet.rows), *_panels(audit)]


def _panels(audit: Audit) -> list[Sheet]:
    return [_panel(model, [energy_panel(run, model) for run in audit.runs]) for model in audit.models]


def _panel(model: EnergyModel, panels: list[Panel]) -> Sheet:
    columns = [
        Column("name", "run as", "text"),
        *(Column(f"{part}_uj", part, "short", spread=False) for part in PANEL_PARTS),
        Column("total_uj", "total", "number"),
        Column("ratio", "ratio to spiking", "number"),
        Column("break_even", "break-even density %", "percent", spread=False),
        Column("assumptions", "assuming", "words"),
    ]
    rows = [_panel_row(panels, index) for index in range(len(panels[0].rows))]
    notes = [model.note] if model.note else []
    mean_density = estimate(panel.density for panel in panels).mean
    notes.append(
        "break-even density: the one at which spiking would cost as much, if all that events cause scales with it and "
        f"the rest stays; measured {100 * mean_density:.2f} %; above 100 % spiking is cheaper at any density"
    )
    notes += [
        f"{name}: {constant.source}" + ("" if constant.verified else " (UNVERIFIED)")
        for name, constant in model.constants.items()
    ]
    return Sheet(f"energy_{model.name}", f"Energy in µJ by {model.name}: {model.title}", columns, rows, notes)


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
