"""BibTeX entries of the conventions and energy models that an audit used.

The entries are data, ``references.bib``. A convention names its own in ``CITES``, an energy model in ``cite``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from types import ModuleType

from evsim import __version__
from evsim.auditing.energy_model import EnergyModel
from evsim.auditing.paper.escape import comment

__all__ = ["bibtex", "entries"]


def bibtex(conventions: Sequence[ModuleType], models: Sequence[EnergyModel]) -> str:
    r"""The file for ``\bibliography``: evsim and what it counted and priced by, each entry once."""
    known = entries()
    keys = [key for convention in conventions for key in getattr(convention, "CITES", ())]
    keys += [key for model in models for key in model.cite]
    keys = list(dict.fromkeys(keys))
    own = [comment(f"{key}: cited by an energy model of yours, add its entry") for key in keys if key not in known]
    return "\n".join([*own, _own(), *(known[key] for key in keys if key in known)])


def entries() -> dict[str, str]:
    """Every entry by its key."""
    text = files("evsim.auditing").joinpath("references.bib").read_text("utf-8")
    return dict(_split(text))


def _split(text: str) -> Iterable[tuple[str, str]]:
    for entry in re.split(r"\n(?=@)", text):
        yield re.match(r"@\w+\{([^,]+),", entry)[1], entry.strip() + "\n"


def _own() -> str:
    fields = "  title   = {{evsim}: event-driven simulation and operation audit of spiking transformers},\n"
    return f"@software{{evsim,\n{fields}  version = {{{__version__}}}\n}}\n"
