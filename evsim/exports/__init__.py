"""Traces in the formats of other tools: one file a format, found by looking into this folder.

A format's file offers ``write(trace, path)`` and ``LOSES``, what of a trace the format cannot hold (or "").
Where a format demands a unit of time, one step is written as one millisecond.
"""

from __future__ import annotations

import importlib
import os
import pkgutil

from evsim.errors import EvsimError
from evsim.traces.trace import Trace

__all__ = ["export_trace", "format_names"]


def format_names() -> list[str]:
    """What ``--format`` takes."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def export_trace(trace: Trace, name: str, path: str) -> list[str]:
    """Write under a temporary name and rename; returns what a reader of the file must know.

    Raises
    ------
    EvsimError
        No such format, the library it needs is not there, or the file cannot be written.
    """
    if name not in format_names():
        raise EvsimError(f"--format {name}: unknown, expected one of {', '.join(format_names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    temporary = f"{path}.part"
    try:
        module.write(trace, temporary)
        os.replace(temporary, path)
    except ModuleNotFoundError as error:
        raise EvsimError(f"--format {name}: needs {error.name}; pip install 'evsim[export]'") from None
    except OSError as error:
        raise EvsimError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    graded = [key for key, layer in trace.layers.items() if layer.payload is not None]
    return [f"{module.LOSES} ({', '.join(graded)})"] if module.LOSES and graded else []
