"""LaTeX tables for a paper: needs ``\\usepackage{booktabs,longtable,array}`` and nothing else.

Each sheet is a ``longtable``, which breaks over pages by itself; words wrap in a column of fixed width.
"""

from __future__ import annotations

from collections.abc import Iterator

from evsim.audit.sheet import Cell, Column, Report, Sheet, cell_text

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$", "'": "'",
}  # fmt: skip


def write(report: Report) -> str:
    """Tables one after the other, the provenance as comments and as a footnote under the last."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield r"% needs \usepackage{booktabs,longtable,array}"
    for key, value in report.provenance.items():
        for one in value if isinstance(value, list) else [value]:
            yield f"% {key}: {' '.join(str(one).split())}"
    for sheet in report.sheets:
        yield ""
        yield from _table(sheet)
    yield from ("", r"\par\noindent{\footnotesize " + _escape(_footer(report)) + "}")


def _footer(report: Report) -> str:
    keys = ("weights", "versions", "command")
    return ". ".join(f"{key}: {report.provenance[key]}" for key in keys if report.provenance.get(key))


def _table(sheet: Sheet) -> Iterator[str]:
    yield r"{\footnotesize\setlength{\tabcolsep}{3pt}"
    yield r"\begin{longtable}{@{}" + "".join(_alignment(column) for column in sheet.columns) + "@{}}"
    yield rf"\caption{{{_escape(sheet.title)}.}}\label{{tab:{sheet.key.replace('_', '-')}}}\\"
    head = " & ".join(_heading(column) for column in sheet.columns) + r" \\"
    yield from (r"\toprule", head, r"\midrule", r"\endfirsthead")
    yield from (r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot")
    for row in sheet.rows:
        if row.get("layer") == "total":
            yield r"\midrule"
        yield " & ".join(_cell(row.get(column.key), column) for column in sheet.columns) + r" \\"
    yield r"\end{longtable}"
    yield from (r"\noindent " + _escape(note) + r"\par" for note in sheet.notes)
    yield "}"


def _alignment(column: Column) -> str:
    if column.kind == "words":
        return r">{\raggedright\arraybackslash}p{0.24\linewidth}"
    return "l" if column.kind == "text" else "r"


def _heading(column: Column) -> str:
    """Long headings of numbers are turned upright, so that eight conventions fit a page."""
    return _escape(column.heading.replace(" uJ", " µJ"))


def _cell(value: Cell, column: Column) -> str:
    return _escape(cell_text(value, column.kind)).replace("µ", r"$\mu$")


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text).replace("µ", r"$\mu$")
