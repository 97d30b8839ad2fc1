"""JSON: ``{schema, title, provenance, sheets: {key: {title, rows, notes}}}`` at full precision."""

from __future__ import annotations

import json

from evsim.auditing.sheet import Report
from evsim.engine.ledger import FORMER_NAMES_NOTE

SCHEMA = "evsim-audit/2"


def write(report: Report) -> str:
    """One JSON object; a mean over recordings is an object with mean, sd, low, high and n."""
    sheets = {
        sheet.key: {
            "title": sheet.title,
            "rows": report.to_dict(sheet.key),
            "notes": sheet.notes,
        }
        for sheet in report.sheets
    }
    whole = {
        "schema": SCHEMA,
        "former_names": FORMER_NAMES_NOTE,
        "title": report.title,
        "provenance": report.provenance,
        "sheets": sheets,
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"
