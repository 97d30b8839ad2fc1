"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator

from evsim.auditing.sheet import Report, Sheet, cell_text


def write(report: Report) -> str:
    """Headings, tables, notes and the footer."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {report.title}"
    for sheet in report.sheets:
        yield from ("", f"## {sheet.title}", "")
        yield from _table(sheet)
        yield from ("", *(f"- {note}" for note in sheet.notes))
    yield from ("", "## Provenance", "")
    for key, value in report.provenance.items():
        for one in value if isinstance(value, list) else [value]:
            yield f"- {key}: {one}"


def _table(sheet: Sheet) -> Iterator[str]:
    yield _row(column.heading for column in sheet.columns)
    yield _row("---" if column.kind in ("text", "words") else "---:" for column in sheet.columns)
    for row in sheet.rows:
        yield _row(cell_text(row.get(column.key), column) for column in sheet.columns)


def _row(cells) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
