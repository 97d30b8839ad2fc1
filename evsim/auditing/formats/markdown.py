"""Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evsim.auditing.sheet import Report, Sheet, cell_text

_SPECIAL = re.compile(r"[|`\[\]\\]")


def write(report: Report) -> str:
    """Headings, tables, notes and the footer."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {_escape(report.title)}"
    for sheet in report.sheets:
        yield from ("", f"## {_escape(sheet.title)}", "")
        yield from _table(sheet)
        yield from ("", *(f"- {_escape(note)}" for note in sheet.notes))
    yield from ("", "## Provenance", "")
    for key, value in report.provenance.items():
        for one in value if isinstance(value, list) else [value]:
            yield f"- {key}: {_escape(str(one))}"


def _table(sheet: Sheet) -> Iterator[str]:
    yield _row(column.heading for column in sheet.columns)
    yield _row("---" if column.kind in ("text", "words") else "---:" for column in sheet.columns)
    for row in sheet.rows:
        yield _row(cell_text(row.get(column.key), column) for column in sheet.columns)


def _row(cells) -> str:
    return "| " + " | ".join(_escape(str(cell)) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Nothing from a file is a tag, a link or the end of a cell."""
    return _SPECIAL.sub(r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;")
