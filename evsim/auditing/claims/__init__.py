"""Claims of papers that counts can check: one file each, found by looking into this folder.

A claim's file offers ``NAME`` (what ``--claim`` takes), ``TITLE`` and ``sheets(runs)``, which takes described runs of
one network and returns what can be derived again of the published figures, and what the runs say.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from evsim.errors import EvsimError

__all__ = ["claims", "find_claim"]


def claims() -> dict[str, ModuleType]:
    """Every claim by name."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    return {module.NAME: module for module in modules}


def find_claim(name: str) -> ModuleType:
    """A claim by its name.

    Raises
    ------
    EvsimError
        No such claim.
    """
    known = claims()
    if name not in known:
        raise EvsimError(f"--claim {name}: unknown, expected one of {', '.join(known)}")
    return known[name]
