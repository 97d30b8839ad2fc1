"""The counting conventions: one file each, found by looking into this folder.

A convention's file offers ``NAME`` (what ``--convention`` takes), ``TITLE``, ``SHORT`` (for a narrow column),
``SOURCE``, ``CITES`` (keys of ``references.bib``, where there is a paper) and ``count(run)``, which takes an
`evsim.auditing.layers.AuditedRun` and returns an `evsim.auditing.tally.Tally`. It reads the description of a run and
nothing else, so the same spikes are counted by all.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType

from evsim.errors import EvsimError

__all__ = ["choose_conventions", "conventions"]

LITERAL = "literal"


def conventions() -> dict[str, ModuleType]:
    """Every convention by name, the literal one first."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    known = {module.NAME: module for module in modules}
    return {LITERAL: known.pop(LITERAL), **known}


def choose_conventions(names: str | Sequence[str] | None = None) -> list[ModuleType]:
    """The literal convention and those called `names`; all of them for None or "all".

    Raises
    ------
    EvsimError
        No such convention.
    """
    known = conventions()
    asked = [names] if isinstance(names, str) else list(names or ["all"])
    if asked == ["all"]:
        return list(known.values())
    for name in asked:
        if name not in known:
            raise EvsimError(f"--convention {name}: unknown, expected all or one of {', '.join(known)}")
    return [known[key] for key in dict.fromkeys((LITERAL, *asked))]
