"""Tables for a terminal of 100 columns or more; what a row assumes stands under the row, never in a footnote."""

from __future__ import annotations

import io
import shutil
import textwrap

from evsim.auditing.sheet import Report, Sheet, cell_text

MIN_WIDTH = 100
_SHOWN = 4


def write(report: Report) -> str:
    """The report as text."""
    from rich.console import Console

    out = io.StringIO()
    width = max(MIN_WIDTH, shutil.get_terminal_size((MIN_WIDTH, 24)).columns)
    console = Console(file=out, width=width, highlight=False, markup=False, soft_wrap=True)
    console.print(report.title)
    for sheet in report.sheets:
        console.print(f"\n{_wrapped(sheet.title, width)}")
        _print_rows(console, sheet, width)
        for note in sheet.notes:
            console.print(_wrapped(note, width, "  "))
    console.print()
    for key, value in report.provenance.items():
        values = value if isinstance(value, list) else [value]
        for one in values[:_SHOWN]:
            console.print(_wrapped(f"{key:9} {one}", width, "", " " * 10))
        if len(values) > _SHOWN:
            console.print(f"{'':9} and {len(values) - _SHOWN} more (--format json lists all)")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _print_rows(console, sheet: Sheet, width: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = [column for column in sheet.columns if column.kind != "words"]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.heading, justify="left" if column.kind == "text" else "right", no_wrap=True)
    for row in sheet.rows:
        table.add_row(*(cell_text(row.get(column.key), column) for column in columns))
    drawn = io.StringIO()
    Console(file=drawn, width=4 * width, highlight=False, markup=False).print(table)  # never cut a number
    lines = drawn.getvalue().splitlines()
    head, body = lines[: len(lines) - len(sheet.rows)], lines[len(lines) - len(sheet.rows) :]
    console.print("\n".join(head))
    for line, row in zip(body, sheet.rows, strict=True):
        console.print(line)
        for column in sheet.columns:
            if column.kind == "words" and row.get(column.key):
                console.print(_wrapped(f"{column.heading}: {row[column.key]}", width, "    "))


def _wrapped(text: str, width: int, indent: str = "", more: str | None = None) -> str:
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  " if more is None else more,
        break_long_words=False,
        break_on_hyphens=False,
    )
