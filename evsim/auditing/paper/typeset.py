r"""A PaperTable as LaTeX: ``table`` where it fits a column, ``table*`` where it must have the text width.

Needs ``\usepackage{booktabs,siunitx,tabularx}``, and graphicx for a table that fills a page, turned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from evsim.auditing.paper.digits import Number, exponent_of, printed, table_format, width_in_digits
from evsim.auditing.paper.escape import breakable, comment, escape, label
from evsim.auditing.paper.paper_table import PaperTable, Row, Value
from evsim.auditing.paper.widths import DIGIT, best_lines, longest_part, text_width
from evsim.errors import EvsimError

__all__ = ["PACKAGES", "WIDTHS", "check_width", "typeset"]

PACKAGES = ("booktabs", "siunitx", "tabularx", "graphicx")

WIDTHS = {"column": 229.0, "text": 469.0, "page": 560.0}
"""Points that a table may take: in a column, over both, and along the page, turned. Those of the article class on
letter paper, which are narrower than most journals'."""

_ROWS = {"column": 46, "text": 46, "page": 30}
_FONTS = {r"\footnotesize": 8.0, r"\scriptsize": 7.0}
_SISETUP = r"\sisetup{group-separator={,},group-digits=integer,group-minimum-digits=4}"


def typeset(table: PaperTable, width: str | None = None) -> str:
    r"""One or several floats; a table of too many rows is continued in the next under the same number.

    Parameters
    ----------
    table : PaperTable
    width : {"column", "text", "page"}, optional
        The smallest that it fits when left out.

    Raises
    ------
    EvsimError
        No such width, or the table needs a larger one.
    """
    check_width(width)
    tried = [width] if width else list(WIDTHS)
    for name in tried:
        fit = _fit(table, name)
        if fit is not None:
            return "\n".join(_lines(fit)) + "\n"
    wider = "a larger --width" if tried[-1] != "page" else "fewer columns (--convention, --energy)"
    raise EvsimError(
        f"--width {tried[-1]}: table {table.key} is wider than its {WIDTHS[tried[-1]]:.0f} pt; take {wider}"
    )


_PLUS_MINUS = 1.3
"""Width of the sign with its gaps, in units of the font size."""


def check_width(width: str | None) -> None:
    """Raise unless there is a width of this name.

    Raises
    ------
    EvsimError
        There is none.
    """
    if width is not None and width not in WIDTHS:
        raise EvsimError(f"--width {width}: expected {', '.join(WIDTHS)}")


@dataclass(frozen=True)
class _Fit:
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


def _fit(table: PaperTable, width: str) -> _Fit | None:
    """Names of rows are broken only where no smaller numbers or font spare it."""
    settings = (True, r"\footnotesize", 3), (False, r"\footnotesize", 3), (False, r"\scriptsize", 2)
    fits = [_Fit(table, width, font, gap, *_in_units(table, is_whole), None) for is_whole, font, gap in settings]
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


def _taken(fit: _Fit) -> float:
    return sum(_number_width(fit, i) + 2 * fit.gap for i in range(1, len(fit.table.columns)))


def _names(fit: _Fit) -> list[str]:
    return [str(row.cells[0]) + _unit_words(fit, i) for i, row in enumerate(fit.table.rows)]


def _names_width(fit: _Fit) -> float:
    letters = 0.4 if any(row.note for row in fit.table.rows) else 0.0
    return _FONTS[fit.font] * (letters + max(map(text_width, [fit.table.columns[0].heading, *_names(fit)])))


def _in_units(table: PaperTable, is_whole: bool) -> tuple[tuple[int, ...], tuple[tuple[Number | None, ...], ...]]:
    """The exponent of each column, or of each row, and all numbers."""
    has_spread = any(getattr(value, "half_width", None) for row in table.rows for value in row.cells)
    is_whole = is_whole and not has_spread
    lines = (
        [row.cells for row in table.rows]
        if table.by_row
        else list(zip(*(row.cells for row in table.rows), strict=True))
    )
    exponents = []
    for index, cells in enumerate(lines):
        counts = [
            _mean(cell)
            for place, cell in enumerate(cells)
            if not isinstance(cell, str | None) and table.columns[place if table.by_row else index].kind == "count"
        ]
        exponents.append(0 if is_whole else exponent_of(counts))
    rows = []
    for i, row in enumerate(table.rows):
        numbers = []
        for j, cell in enumerate(row.cells):
            is_count = table.columns[j].kind == "count"
            exponent = exponents[i if table.by_row else j] if is_count else 0
            is_text = isinstance(cell, str | None)
            numbers.append(None if is_text else printed(cell, exponent, is_count))
        rows.append(tuple(numbers))
    return tuple(exponents), tuple(rows)


def _mean(value: Value) -> float:
    return getattr(value, "mean", value)


def _heading(fit: _Fit, index: int) -> list[str]:
    """The lines of a column's heading, without its unit: as few as are no wider than the numbers."""
    return best_lines(fit.table.columns[index].heading, _digits_width(fit, index))


def _unit_words(fit: _Fit, row: int) -> str:
    return f" / 10^{fit.exponents[row]}" if fit.table.by_row and fit.exponents[row] else ""


def _digits_width(fit: _Fit, index: int) -> float:
    """In units of the font size."""
    texts, spreads = fit.column(index)
    spread = _PLUS_MINUS + DIGIT * width_in_digits(spreads) if spreads else 0.0
    words = [text_width(cell) for cell in (row.cells[index] for row in fit.table.rows) if isinstance(cell, str)]
    return max([1.03 * (DIGIT * width_in_digits(texts) + spread), *words])


def _number_width(fit: _Fit, index: int) -> float:
    unit = 0.0 if fit.table.by_row or not fit.exponents[index] else text_width("/ 10^3")
    return _FONTS[fit.font] * max([_digits_width(fit, index), unit, *map(text_width, _heading(fit, index))])


def _lines(fit: _Fit) -> Iterator[str]:
    table = fit.table
    packages = [name for name in PACKAGES if name != "graphicx" or fit.width == "page"]
    yield rf"% needs \usepackage{{{','.join(packages)}}}"
    yield from map(comment, table.comments)
    letters = _letters(table.rows)
    parts = _parts(fit)
    for number, part in enumerate(parts):
        yield from _float(fit, part, number, len(parts), letters)


def _letters(rows: list[Row]) -> dict[str, str]:
    """A letter for each different note of a row."""
    notes = dict.fromkeys(row.note for row in rows if row.note)
    return {note: chr(ord("a") + i) if i < 26 else f"a{i - 25}" for i, note in enumerate(notes)}


def _parts(fit: _Fit) -> list[range]:
    """Rows of each float."""
    parts, first, height = [], 0, 0.0
    points = _FONTS[fit.font]
    for i, row in enumerate(fit.table.rows):
        n_lines = 1.0
        if fit.names_pt:
            n_lines = -(-points * text_width(str(row.cells[0]) + _unit_words(fit, i)) // (0.85 * fit.names_pt))
        if height + n_lines > _ROWS[fit.width] and i > first:
            parts.append(range(first, i))
            first, height = i, 0.0
        height += n_lines + 0.4 * row.rule
    return [*parts, range(first, len(fit.table.rows))]


def _float(fit: _Fit, part: range, number: int, n_parts: int, letters: dict[str, str]) -> Iterator[str]:
    table, is_turned = fit.table, fit.width == "page"
    environment = "table" if fit.width == "column" else "table*"
    yield rf"\begin{{{environment}}}[{'p' if is_turned else 'tbp'}]"
    if number:
        yield r"\addtocounter{table}{-1}"
    if is_turned:
        yield r"\centering\rotatebox{90}{\begin{minipage}{0.97\textheight}"
    more = " (continued)" if number else ""
    anchor = "" if number else rf"\label{{tab:{label(table.key)}}}"
    yield rf"\caption{{{breakable(table.caption)}{more}.}}{anchor}"
    yield rf"\centering{fit.font}\setlength{{\tabcolsep}}{{{fit.gap}pt}}"
    yield _SISETUP
    yield from _tabular(fit, part, letters)
    if number == n_parts - 1:
        yield from _notes(table, letters)
    else:
        yield r"\par\smallskip{\scriptsize Continued.\par}"
    if is_turned:
        yield r"\end{minipage}}"
    yield rf"\end{{{environment}}}"


def _tabular(fit: _Fit, part: range, letters: dict[str, str]) -> Iterator[str]:
    n = len(fit.table.columns)
    numbers = "".join(_columns(fit, i) for i in range(1, n))
    name = "l" if fit.names_pt is None else r">{\raggedright\arraybackslash}X"
    kind, argument = ("tabular", "") if fit.names_pt is None else ("tabularx", r"{\linewidth}")
    yield rf"\begin{{{kind}}}{argument}{{@{{}}{name}{numbers}@{{}}}}"
    yield r"\toprule"
    yield " & ".join(_headed(fit, i) for i in range(n)) + r" \\"
    yield r"\midrule"
    for i in part:
        row = fit.table.rows[i]
        if row.rule and i != part.start:
            yield r"\midrule"
        yield " & ".join(_cell(fit, i, j, letters) for j in range(n)) + r" \\"
    yield r"\bottomrule"
    yield rf"\end{{{kind}}}"


def _columns(fit: _Fit, index: int) -> str:
    """One column of numbers, or three with a plus-minus between them."""
    texts, spreads = fit.column(index)
    mean = f"S[table-format={table_format(texts)}]"
    return mean + (rf"@{{\,}}c@{{\,}}S[table-format={table_format(spreads)}]" if spreads else "")


def _headed(fit: _Fit, index: int) -> str:
    if index == 0:
        return breakable(fit.table.columns[0].heading)
    words = [escape(line) for line in _heading(fit, index)]
    if not fit.table.by_row:
        words += [_power(fit.exponents[index])] if fit.exponents[index] else []
    text = words[0] if len(words) == 1 else r"\shortstack{" + r"\\".join(words) + "}"
    return rf"\multicolumn{{3}}{{c}}{{{text}}}" if fit.column(index)[1] else f"{{{text}}}"


def _cell(fit: _Fit, i: int, j: int, letters: dict[str, str]) -> str:
    row = fit.table.rows[i]
    if j == 0:
        mark = rf"\textsuperscript{{{letters[row.note]}}}" if row.note else ""
        return breakable(row.cells[0]) + mark + (_power(fit.exponents[i]) if _unit_words(fit, i) else "")
    number, has_spread = fit.numbers[i][j], bool(fit.column(j)[1])
    if number is None:
        text = "{" + (escape(row.cells[j]) if row.cells[j] else "--") + "}"
        return f"{text} & &" if has_spread else text
    if not has_spread:
        return number.text
    return rf"{number.text} & $\pm$ & {number.spread}" if number.spread else f"{number.text} & &"


def _power(exponent: int) -> str:
    return rf" /\,$10^{exponent}$"


def _notes(table: PaperTable, letters: dict[str, str]) -> Iterator[str]:
    notes = [rf"\textsuperscript{{{letter}}}\,{breakable(note)}." for note, letter in letters.items()]
    notes += [breakable(note) + "." for note in table.notes]
    if notes:
        yield r"\par\smallskip\begin{minipage}{\linewidth}\scriptsize\raggedright"
        yield "\n".join(notes)
        yield r"\end{minipage}"
