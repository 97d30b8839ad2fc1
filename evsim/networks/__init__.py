"""The network families: one file a family, found by looking into this folder.

A family's file offers ``FAMILY`` and ``TITLE`` (names), ``HyperParameters`` (a frozen dataclass of plain values),
``recognises(shapes)``, ``read_hyper_parameters(shapes, choices)``, ``tensor_shapes(hp)`` and ``build(tensors, hp)``.
Three are optional: ``STORED_MODEL``, the argument `model` of a checkpoint that is this family whatever its tensors look
like, ``SHARES_TENSORS_WITH``, the families whose tensors may be this one's when the user says so, and ``SMALLEST``,
hyper-parameters of small networks that between them use every kernel, for `evsim warmup`. A family whose weights
files say themselves what is computed offers ``build_stored(weights, path, hp)`` in place of ``tensor_shapes`` and
``build``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType

from evsim.errors import CheckpointError
from evsim.plain_text import plain

__all__ = ["families", "family", "is_known", "recognise"]


def families() -> Iterator[ModuleType]:
    """Every family's module, in the order of the file names."""
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        if hasattr(loaded, "FAMILY"):
            yield loaded


def family(name: str) -> ModuleType:
    """The module of one family.

    Raises
    ------
    CheckpointError
        No such family.
    """
    known = {module.FAMILY: module for module in families()}
    if name not in known:
        raise CheckpointError(f"network family {name!r} is unknown, expected one of {', '.join(known)}")
    return known[name]


def is_known(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether some family recognises these tensors."""
    return any(module.recognises(shapes) for module in families())


def recognise(
    path: str, shapes: Mapping[str, tuple[int, ...]], named: str | None = None, stored_model: object = None
) -> ModuleType:
    """The one family whose tensors these are, or the one that the user names where no family knows the names.

    `stored_model` is the argument `model` of the checkpoint, which decides where tensors are shared.

    Raises
    ------
    CheckpointError
        No family recognises the tensor names, or another than the one named does.
    """
    said = [module for module in families() if stored_model == getattr(module, "STORED_MODEL", "")]
    found = next((module for module in (*said, *families()) if module in said or module.recognises(shapes)), None)
    chosen = family(named) if named else found
    if chosen is None:
        names = ", ".join(plain(name) for name in list(shapes)[:3])
        known = ", ".join(module.FAMILY for module in families())
        raise CheckpointError(
            f"{path}: tensors {names}, ... belong to no known network family ({known}); any other network is recorded "
            "from its model: evsim import --from-torch mymodel.py:build --checkpoint FILE, or evsim.torch.trace(model, "
            "...) in your own script (docs/any-network.md); to have evsim know it by name: docs/adding-a-network.md"
        )
    if found not in (None, chosen) and found.FAMILY not in getattr(chosen, "SHARES_TENSORS_WITH", ()):
        raise CheckpointError(f"{path}: has the tensors of family {found.FAMILY}, not of {chosen.FAMILY}")
    return chosen
