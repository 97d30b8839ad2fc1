r"""A PaperTable as LaTeX: ``table`` where it fits a column, ``table*`` where it must have the text width.

Needs ``\usepackage{booktabs,siunitx,tabularx}``, and graphicx for a table that fills a page, turned.
"""

from __future__ import annotations

from collections.abc import Iterator

from evsim.auditing.paper.digits import table_format
from evsim.auditing.paper.escape import breakable, comment, escape, label
from evsim.auditing.paper.fit import WIDTHS, Fit, find_fit, heading, letters_of, pages_of, unit_words
from evsim.auditing.paper.paper_table import PaperTable
from evsim.errors import EvsimError

__all__ = ["PACKAGES", "WIDTHS", "check_width", "typeset"]

PACKAGES = ("booktabs", "siunitx", "tabularx", "graphicx")


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
        fit = find_fit(table, name)
        if fit is not None:
            return "\n".join(_lines(fit)) + "\n"
    wider = "a larger --width" if tried[-1] != "page" else "fewer columns (--convention, --energy)"
    raise EvsimError(
        f"--width {tried[-1]}: table {table.key} is wider than its {WIDTHS[tried[-1]]:.0f} pt; take {wider}"
    )


def check_width(width: str | None) -> None:
    """Raise unless there is a width of this name.

    Raises
    ------
    EvsimError
        There is none.
    """
    if width is not None and width not in WIDTHS:
        raise EvsimError(f"--width {width}: expected {', '.join(WIDTHS)}")


def _lines(fit: Fit) -> Iterator[str]:
    table = fit.table
    packages = [name for name in PACKAGES if name != "graphicx" or fit.width == "page"]
    yield rf"% needs \usepackage{{{','.join(packages)}}}"
    yield from map(comment, table.comments)
    letters = letters_of(table.rows)
    parts = pages_of(fit)
    for number, part in enumerate(parts):
        yield from _float(fit, part, number, len(parts), letters)


def _float(fit: Fit, part: range, number: int, n_parts: int, letters: dict[str, str]) -> Iterator[str]:
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


def _tabular(fit: Fit, part: range, letters: dict[str, str]) -> Iterator[str]:
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


def _columns(fit: Fit, index: int) -> str:
    """One column of numbers, or three with a plus-minus between them."""
    texts, spreads = fit.column(index)
    mean = f"S[table-format={table_format(texts)}]"
    return mean + (rf"@{{\,}}c@{{\,}}S[table-format={table_format(spreads)}]" if spreads else "")


def _headed(fit: Fit, index: int) -> str:
    if index == 0:
        return breakable(fit.table.columns[0].heading)
    words = [escape(line) for line in heading(fit, index)]
    if not fit.table.by_row:
        words += [_power(fit.exponents[index])] if fit.exponents[index] else []
    text = words[0] if len(words) == 1 else r"\shortstack{" + r"\\".join(words) + "}"
    return rf"\multicolumn{{3}}{{c}}{{{text}}}" if fit.column(index)[1] else f"{{{text}}}"


def _cell(fit: Fit, i: int, j: int, letters: dict[str, str]) -> str:
    row = fit.table.rows[i]
    if j == 0:
        mark = rf"\textsuperscript{{{letters[row.note]}}}" if row.note else ""
        return breakable(row.cells[0]) + mark + (_power(fit.exponents[i]) if unit_words(fit, i) else "")
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
