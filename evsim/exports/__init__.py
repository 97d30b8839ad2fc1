"""Traces in the formats of other tools: one file a format, found by looking into this folder.

A format's file offers ``write(trace, file)``, to a binary file, and ``LOSES``, what of a trace the format cannot hold
(or ""). Where a format demands a unit of time, one step is written as one millisecond.
"""

from __future__ import annotations

import importlib
import pkgutil

from evsim.errors import EvsimError
from evsim.outputs import output_file
from evsim.traces.trace import Trace

__all__ = ["export_trace", "format_names"]


def format_names() -> list[str]:
    """What ``--format`` takes."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def export_trace(trace: Trace, name: str, path: str) -> list[str]:
    """Write a trace to a file; returns what a reader of it must know.

    Raises
    ------
    EvsimError
        No such format, the library it needs is not there, or the file cannot be written.
    """
    if name not in format_names():
        raise EvsimError(f"--format {name}: unknown, expected one of {', '.join(format_names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    try:
        with output_file(path) as file:
            module.write(trace, file)
    except ModuleNotFoundError as error:
        raise EvsimError(f"--format {name}: needs {error.name}; pip install 'evsim[export]'") from None
    graded = [key for key, layer in trace.layers.items() if layer.payload is not None]
    return [f"{module.LOSES} ({', '.join(graded)})"] if module.LOSES and graded else []
