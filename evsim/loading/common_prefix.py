"""strip_common_prefix: names under the attribute that held the network, found by asking the families."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from evsim.checkpoints.refusal import Refused, listed, naming
from evsim.checkpoints.state_dicts import is_average

__all__ = ["strip_common_prefix"]

_DEEPEST = 4
_MOST_PREFIXES = 300

Shapes = Mapping[str, tuple[int, ...]]


def strip_common_prefix(
    path: str, tensors: dict[str, np.ndarray], recognises: Callable[[Shapes], bool]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors under names that a family recognises, and notes of what was stripped and left out.

    Nothing is stripped where the names are recognised as they are, or under no prefix.

    Parameters
    ----------
    path : str
        The checkpoint, for messages.
    tensors : dict of str to array
    recognises : callable
        Whether some family knows these names and shapes.

    Raises
    ------
    CheckpointError
        The names under two prefixes are those of a network; both are named, and the option that decides.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    networks = [prefix for prefix, under in _by_prefix(shapes).items() if recognises(under)]
    averages = [prefix for prefix in networks if is_average(prefix)]
    plain = [prefix for prefix in networks if prefix not in averages]
    with naming(path):
        if recognises(shapes):
            return _leave_out(tensors, averages)
        if len(plain or averages) > 1:
            raise Refused(f"holds several networks, under {listed(plain or averages)}; say which with --prefix")
        if not networks:
            return tensors, []
        (prefix,) = plain or averages
        kept, notes = _leave_out(tensors, [other for other in averages if other != prefix])
        return _strip(kept, prefix, notes)


def _by_prefix(shapes: Shapes) -> dict[str, dict[str, tuple[int, ...]]]:
    """For every way in which names begin, up to a dot, the shapes below it under the rest of their names."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        parts = name.split(".")
        for depth in range(1, min(_DEEPEST, len(parts) - 2) + 1):
            prefix = ".".join(parts[:depth]) + "."
            if prefix in found or len(found) < _MOST_PREFIXES:
                found.setdefault(prefix, {})[name[len(prefix) :]] = shape
    return dict(sorted(found.items(), key=lambda entry: entry[0].count(".")))


def _leave_out(tensors: dict[str, np.ndarray], averages: list[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(tuple(averages))}
    unused = f"a moving average (EMA) of the weights is present under {listed(averages)} and was not used"
    return (kept, [f"{unused}: --prefix takes it"]) if averages else (tensors, [])


def _strip(tensors: dict[str, np.ndarray], prefix: str, notes: list[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    stripped = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    if len(stripped) != len(tensors):
        raise Refused(f"has tensors whose names differ only by {prefix!r}; say which with --prefix")
    n_changed = sum(name.startswith(prefix) for name in tensors)
    share = "all" if n_changed == len(tensors) else n_changed
    return stripped, [*notes, f"stripped {prefix!r} from {share} of the names"]
