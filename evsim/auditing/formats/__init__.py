"""The formats of a report: one file each, found by looking into this folder, with ``write(report) -> str``."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import replace

from evsim.auditing.sheet import Report
from evsim.errors import EvsimError
from evsim.plain_text import plain, plain_values

__all__ = ["check_format", "format_names", "write_report"]


def format_names() -> list[str]:
    """What ``--format`` takes."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def check_format(name: str) -> None:
    """Raise unless there is such a format.

    Raises
    ------
    EvsimError
        No such format.
    """
    if name not in format_names():
        raise EvsimError(f"--format {name}: unknown, expected one of {', '.join(format_names())}")


def write_report(report: Report, name: str) -> str:
    """The report in one format; but for JSON, which can hold any text, names are as `plain` shows them."""
    check_format(name)
    return importlib.import_module(f"{__name__}.{name}").write(report if name == "json" else _plain(report))


def _plain(report: Report) -> Report:
    sheets = [
        replace(
            sheet, title=plain(sheet.title), rows=plain_values(sheet.rows), notes=plain_values(sheet.notes),
            key=re.sub(r"[^\w.-]", "_", sheet.key),
        )
        for sheet in report.sheets
    ]  # fmt: skip
    return Report(plain(report.title), sheets, plain_values(report.provenance))
