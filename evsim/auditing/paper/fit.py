"""Whether a table fits a width, and how: fonts, units, what the names of its rows may take, and rows a page."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from evsim.auditing.paper.digits import Number, exponent_of, printed, width_in_digits
from evsim.auditing.paper.paper_table import PaperTable, Row, Value
from evsim.auditing.paper.widths import DIGIT, best_lines, longest_part, text_width

__all__ = ["WIDTHS", "Fit", "find_fit", "heading", "letters_of", "pages_of", "unit_words"]

WIDTHS = {"column": 229.0, "text": 469.0, "page": 560.0}
"""Points that a table may take: in a column, over both, and along the page, turned. Those of the article class on
letter paper, which are narrower than most journals'."""

_ROWS = {"column": 54, "text": 54, "page": 40}
"""Lines of small text in a page's height, what captions and rules take left out."""

_FONTS = {r"\footnotesize": 8.0, r"\scriptsize": 7.0}

_PLUS_MINUS = 1.3
"""Width of the sign with its gaps, in units of the font size."""


@dataclass(frozen=True)
class Fit:
    """A table in a width: its font, the gap between columns, the units, and what the names of the rows may take."""

    table: PaperTable
    width: str
    font: str
    gap: float
    exponents: tuple[int, ...]
    numbers: tuple[tuple[Number | None, ...], ...]
    names_pt: float | None

    def column(self, index: int) -> tuple[list[str], list[str]]:
        """The numbers of a column, and their uncertainties where they have one."""
        numbers = [row[index] for row in self.numbers if row[index] is not None]
        return [n.text for n in numbers], [n.spread for n in numbers if n.spread]


def find_fit(table: PaperTable, width: str) -> Fit | None:
    """Names of rows are broken only where no smaller numbers or font spare it."""
    settings = (True, r"\footnotesize", 3), (False, r"\footnotesize", 3), (False, r"\scriptsize", 2)
    fits = [Fit(table, width, font, gap, *_in_units(table, is_whole), None) for is_whole, font, gap in settings]
    for fit in fits:
        if _names_width(fit) + _taken(fit) <= 0.97 * WIDTHS[width]:
            return fit
    for fit in fits:
        room = WIDTHS[width] - _taken(fit)
        names = [table.columns[0].heading, *_names(fit)]
        needed = max(_FONTS[fit.font] * max(map(longest_part, names)), min(_names_width(fit), 0.3 * WIDTHS[width]))
        if 1.05 * needed <= room:
            return replace(fit, names_pt=room)
    return None


def pages_of(fit: Fit) -> list[range]:
    """Rows of each float."""
    parts, first, height = [], 0, 0.0
    points, most = _FONTS[fit.font], max(12.0, _ROWS[fit.width] - _lines_around(fit))
    for i, row in enumerate(fit.table.rows):
        n_lines = 1.0
        if fit.names_pt:
            n_lines = -(-points * text_width(str(row.cells[0]) + unit_words(fit, i)) // (0.85 * fit.names_pt))
        if height + n_lines > most and i > first:
            parts.append(range(first, i))
            first, height = i, 0.0
        height += n_lines + 0.4 * row.rule
    return [*parts, range(first, len(fit.table.rows))]


def letters_of(rows: list[Row]) -> dict[str, str]:
    """A letter for each different note of a row."""
    notes = dict.fromkeys(row.note for row in rows if row.note)
    return {note: chr(ord("a") + i) if i < 26 else f"a{i - 25}" for i, note in enumerate(notes)}


def heading(fit: Fit, index: int) -> list[str]:
    """The lines of a column's heading, without its unit: as few as are no wider than the numbers."""
    return best_lines(fit.table.columns[index].heading, _digits_width(fit, index))


def unit_words(fit: Fit, row: int) -> str:
    """The unit behind the name of a row, as plain text, where rows have their own."""
    return f" / 10^{fit.exponents[row]}" if fit.table.by_row and fit.exponents[row] else ""


def _taken(fit: Fit) -> float:
    return sum(_number_width(fit, i) + 2 * fit.gap for i in range(1, len(fit.table.columns)))


def _names(fit: Fit) -> list[str]:
    return [str(row.cells[0]) + unit_words(fit, i) for i, row in enumerate(fit.table.rows)]


def _names_width(fit: Fit) -> float:
    letters = 0.4 if any(row.note for row in fit.table.rows) else 0.0
    return _FONTS[fit.font] * (letters + max(map(text_width, [fit.table.columns[0].heading, *_names(fit)])))


def _digits_width(fit: Fit, index: int) -> float:
    """In units of the font size."""
    texts, spreads = fit.column(index)
    spread = _PLUS_MINUS + DIGIT * width_in_digits(spreads) if spreads else 0.0
    words = [text_width(cell) for cell in (row.cells[index] for row in fit.table.rows) if isinstance(cell, str)]
    return max([1.03 * (DIGIT * width_in_digits(texts) + spread), *words])


def _number_width(fit: Fit, index: int) -> float:
    unit = 0.0 if fit.table.by_row or not fit.exponents[index] else text_width("/ 10^3")
    return _FONTS[fit.font] * max([_digits_width(fit, index), unit, *map(text_width, heading(fit, index))])


def _in_units(table: PaperTable, is_whole: bool) -> tuple[tuple[int, ...], tuple[tuple[Number | None, ...], ...]]:
    """The exponent of each column, or of each row, and all numbers."""
    has_spread = any(getattr(value, "half_width", None) for row in table.rows for value in row.cells)
    is_whole = is_whole and not has_spread
    lines = [row.cells for row in table.rows]
    if not table.by_row:
        lines = list(zip(*lines, strict=True)) or [()] * len(table.columns)
    exponents = []
    for index, cells in enumerate(lines):
        counts = [
            _mean(cell)
            for place, cell in enumerate(cells)
            if not _is_text(cell) and table.columns[place if table.by_row else index].kind == "count"
        ]
        exponents.append(0 if is_whole else exponent_of(counts))
    rows = []
    for i, row in enumerate(table.rows):
        numbers = []
        for j, cell in enumerate(row.cells):
            is_count = table.columns[j].kind == "count"
            exponent = exponents[i if table.by_row else j] if is_count else 0
            numbers.append(None if _is_text(cell) else printed(cell, exponent, is_count))
        rows.append(tuple(numbers))
    return tuple(exponents), tuple(rows)


def _is_text(value: Value) -> bool:
    """A word, nothing, or a number that is none."""
    return isinstance(value, str | None) or not math.isfinite(_mean(value))


def _mean(value: Value) -> float:
    return getattr(value, "mean", value)


def _lines_around(fit: Fit) -> float:
    """Caption and notes in lines of the rows."""
    notes = [*letters_of(fit.table.rows), *fit.table.notes]
    room = 0.9 * WIDTHS[fit.width]
    caption = 1.3 * 10 * text_width(fit.table.caption) / room
    return 2.5 + caption + 0.9 * sum(7.3 * text_width(note) / room for note in notes)
