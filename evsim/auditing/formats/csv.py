"""CSV, one value a line: ``sheet, row, column, value, sd, low, high, n``.

Every table of the report is in it, at full precision, in a form that a spreadsheet can pivot. The provenance comes
first, as rows of the sheet ``provenance``.
"""

from __future__ import annotations

import csv
import io

from evsim.auditing.estimate import Estimate
from evsim.auditing.sheet import Report
from evsim.plain_text import plain_cell

_NAMING = ("text", "key")
_HEADINGS = ("sheet", "row", "column", "value", "sd", "low", "high", "n")


def write(report: Report) -> str:
    """The report as CSV with a line of headings."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_HEADINGS)
    for key, value in report.provenance.items():
        for one in value if isinstance(value, list) else [value]:
            rows.writerow(map(plain_cell, ("provenance", key, "", one, "", "", "", "")))
    for sheet in report.sheets:
        for number, row in enumerate(sheet.rows):
            name = " ".join(str(row[c.key]) for c in sheet.columns if c.kind in _NAMING and row.get(c.key) is not None)
            for column in sheet.columns:
                if column.kind not in _NAMING and row.get(column.key) is not None:
                    rows.writerow(map(plain_cell, (sheet.key, name or number, column.key, *_values(row[column.key]))))
        for note in sheet.notes:
            rows.writerow(map(plain_cell, (sheet.key, "note", "", note, "", "", "", "")))
    return out.getvalue()


def _values(cell) -> tuple:
    if isinstance(cell, Estimate):
        return tuple("" if value is None else value for value in (cell.mean, cell.sd, cell.low, cell.high, cell.n))
    return (cell, "", "", "", "")
