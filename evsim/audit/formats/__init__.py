"""The formats of a report: one file each, found by looking into this folder, with ``write(report) -> str``."""

from __future__ import annotations

import importlib
import pkgutil

from evsim.audit.sheet import Report
from evsim.errors import EvsimError

__all__ = ["format_names", "write_report"]


def format_names() -> list[str]:
    """What ``--format`` takes."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def write_report(report: Report, name: str) -> str:
    """The report in one format.

    Raises
    ------
    EvsimError
        No such format.
    """
    if name not in format_names():
        raise EvsimError(f"--format {name}: unknown, expected one of {', '.join(format_names())}")
    return importlib.import_module(f"{__name__}.{name}").write(report)
