"""Tables whose columns sort by a button in their heading, and lists of terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evsim.auditing.estimate import Estimate
from evsim.auditing.sheet import Cell, Column, Sheet, cell_text
from evsim.reports.element import Markup, element

__all__ = ["sheet_table", "term_list"]

_SORTED_ROWS = 3
"""Fewer rows need no sorting."""


def sheet_table(sheet: Sheet, footer: Mapping[str, Cell] | None = None) -> Markup:
    """A sheet with its notes; `footer` is a row that stays below however the others are sorted."""
    sorts = len(sheet.rows) >= _SORTED_ROWS
    head = element("tr", *(_heading(column, sorts) for column in sheet.columns))
    rows = [_row(sheet.columns, row) for row in sheet.rows]
    parts = [element("caption", sheet.title), element("thead", head), element("tbody", *rows)]
    if footer is not None:
        parts.append(element("tfoot", _row(sheet.columns, footer)))
    table = element("table", *parts, id=f"table-{sheet.key}")
    frame = element("div", table, class_="wide", tabindex="0", role="region", aria_label=sheet.title)
    notes = [element("p", note, class_="note") for note in sheet.notes]
    return element("div", frame, *notes)


def term_list(terms: Mapping[str, object]) -> Markup:
    """Names and what they stand for."""
    pairs = (element("dt", name) + element("dd", value) for name, value in terms.items())
    return element("dl", *(Markup(pair) for pair in pairs))


def _heading(column: Column, sorts: bool) -> Markup:
    kind = None if _is_words(column) else "number"
    if not sorts:
        return element("th", column.heading, scope="col", class_=kind)
    button = element("button", column.heading, type="button")
    return element("th", button, scope="col", class_=kind, aria_sort="none")


def _row(columns: Sequence[Column], row: Mapping[str, Cell]) -> Markup:
    cells = []
    for place, column in enumerate(columns):
        value = row.get(column.key)
        words = cell_text(value, column)
        number = value.mean if isinstance(value, Estimate) else value
        key = None if isinstance(number, str) or number is None else repr(float(number))
        kind = "words" if column.kind == "words" else None if _is_words(column) else "number"
        if place == 0:
            cells.append(element("th", words, scope="row", class_=kind, data_value=key))
        else:
            cells.append(element("td", words, class_=kind, data_value=key))
    return element("tr", *cells)


def _is_words(column: Column) -> bool:
    return column.kind in ("text", "words")
