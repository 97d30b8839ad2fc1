"""AuditReport: what `evsim.audit` and `evsim.lint` return: the command's report, sheet by sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from evsim.api.counts import data_frame
from evsim.auditing.estimate import Estimate
from evsim.auditing.formats import write_report
from evsim.auditing.paper.tables import paper_table, sheet_table
from evsim.auditing.paper.typeset import typeset
from evsim.auditing.sheet import Cell, Report, Sheet, cell_text

__all__ = ["AuditReport"]


class AuditReport(Report):
    """The report of ``evsim audit`` or ``evsim lint``; `sheets` are its tables, ``report[key]`` is one of them."""

    @staticmethod
    def of(report: Report) -> AuditReport:
        """The same report with the methods of this class."""
        return AuditReport(report.title, report.sheets, report.provenance)

    def write(self, format: str, sheet: str | None = None) -> str:
        """The report, or one sheet of it, as text: table, csv, json, markdown or latex."""
        return write_report(self if sheet is None else replace(self, sheets=[self[sheet]]), format)

    def to_latex(self, sheet: str | None = None, width: str | None = None, names: Sequence[str] = ()) -> str:
        """LaTeX of all sheets, or of one table of a paper.

        Parameters
        ----------
        sheet : str, optional
            A table (summary, layers, conventions, by-convention, differences, energy, heads, steps, compare) or the
            key of a sheet.
        width : {"column", "text", "page"}, optional
            The smallest that the table fits when left out.
        names : sequence of str
            What the paper calls the network, or the two that are compared.

        Raises
        ------
        EvsimError
            No such table, or it does not fit the width.
        """
        if sheet is None:
            return "\n".join(typeset(sheet_table(self, one, names), width) for one in self.sheets)
        return typeset(paper_table(self, sheet, names), width)

    def to_pandas(self, sheet: str):
        """One sheet as a `pandas.DataFrame`; of a mean over recordings the columns KEY, KEY_low and KEY_high.

        Raises
        ------
        EvsimError
            pandas is not installed, or no such sheet.
        """
        return data_frame([_spread(row) for row in self[sheet].rows])

    def __repr__(self) -> str:
        return f"<{self.title}: sheets {', '.join(sheet.key for sheet in self.sheets)}>"

    def _repr_html_(self) -> str:
        return "".join(_html(sheet) for sheet in self.sheets)


def _spread(row: dict[str, Cell]) -> dict[str, object]:
    cells: dict[str, object] = {}
    for key, value in row.items():
        cells[key] = value.mean if isinstance(value, Estimate) else value
        if isinstance(value, Estimate) and value.n > 1:
            cells |= {f"{key}_low": value.low, f"{key}_high": value.high}
    return cells


def _html(sheet: Sheet) -> str:
    head = "".join(f"<th>{escape(column.heading)}</th>" for column in sheet.columns)
    rows = (
        "".join(f"<td>{escape(cell_text(row.get(column.key), column))}</td>" for column in sheet.columns)
        for row in sheet.rows
    )
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in sheet.notes)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<h4>{escape(sheet.title)}</h4><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
