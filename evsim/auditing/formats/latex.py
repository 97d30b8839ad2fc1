"""LaTeX tables for a paper: needs ``\\usepackage{booktabs,longtable,array}`` and nothing else.

A sheet of up to 45 rows is a ``table``; a longer one a ``longtable``, which breaks over pages by itself (and wants
LaTeX to run twice). Words wrap in a column of fixed width.
"""

from __future__ import annotations

from collections.abc import Iterator

from evsim.auditing.sheet import Column, Report, Sheet, cell_text

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$", "'": "'",
}  # fmt: skip

_LONG = 45


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
    columns = "@{}" + "".join(_alignment(column) for column in sheet.columns) + "@{}"
    caption = rf"\caption{{{_escape(sheet.title)}.}}\label{{tab:{sheet.key.replace('_', '-').replace('.', '-')}}}"
    head = " & ".join(_escape(column.heading) for column in sheet.columns) + r" \\"
    if len(sheet.rows) > _LONG:
        yield from (r"{\footnotesize\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{columns}}}", caption + r"\\")
        yield from (r"\toprule", head, r"\midrule", r"\endfirsthead")
        yield from (r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot")
        yield from (*_body(sheet), r"\end{longtable}", *_notes(sheet), "}")
    else:
        yield from (r"\begin{table}[htbp]", r"\centering\footnotesize\setlength{\tabcolsep}{3pt}", caption)
        yield from (rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule")
        yield from (*_body(sheet), r"\bottomrule", r"\end{tabular}\par\smallskip", *_notes(sheet), r"\end{table}")


def _body(sheet: Sheet) -> Iterator[str]:
    for row in sheet.rows:
        if row.get("layer") == "total":
            yield r"\midrule"
        elif row is not sheet.rows[0] and any(column.kind == "words" for column in sheet.columns):
            yield r"\addlinespace[2pt]"
        yield " & ".join(_escape(cell_text(row.get(column.key), column)) for column in sheet.columns) + r" \\"


def _notes(sheet: Sheet) -> Iterator[str]:
    return (r"\raggedright " + _escape(note) + r"\par" for note in sheet.notes)


def _alignment(column: Column) -> str:
    if column.kind == "words":
        return r">{\raggedright\arraybackslash}p{0.24\linewidth}"
    return "l" if column.kind == "text" else "r"


def _escape(text: str) -> str:
    """Plain text as LaTeX; two hyphens stay two."""
    text = "".join(_SPECIAL.get(letter, letter) for letter in text)
    return text.replace("µJ", r"$\mu$J").replace("--", "-{}-")
