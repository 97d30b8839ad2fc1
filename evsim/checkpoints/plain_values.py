"""plain_arguments: the stored command line, cut down to what anyone may print, compare or walk."""

from __future__ import annotations

from evsim.checkpoints.mark import Mark
from evsim.checkpoints.refusal import shown

__all__ = ["plain_arguments"]

_DEEPEST = 8
_MOST_VALUES = 10_000


class _NotPlain(Exception):
    """A value of another kind, too deep, or too large altogether."""


class _Copier:
    """Copies values one by one, and stops where a hostile file would make that endless."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def copy(self, value: object, depth: int = 0) -> object:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise _NotPlain
        if isinstance(value, str | bool | int | float | None):
            return value
        if type(value) is Mark and ("_val" in value.values or "_content" in value.values):  # nodes of omegaconf
            return self.copy(value.values.get("_val", value.values.get("_content")), depth + 1)
        if type(value) in (list, tuple):
            return type(value)(self.copy(item, depth + 1) for item in value)
        if type(value) is dict:
            return {key: self.copy(item, depth + 1) for key, item in value.items()}
        raise _NotPlain


def plain_arguments(stored: dict[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Copy the arguments that consist of numbers, text, None, lists, tuples and dicts, and name the others.

    Returns
    -------
    arguments : dict
    notes : tuple of str
        One line for each argument left out.
    """
    copier = _Copier()
    arguments, notes = {}, []
    for name, value in stored.items():
        try:
            arguments[name] = copier.copy(value)
        except _NotPlain:
            notes.append(f"ignored the stored argument {shown(name)}, which is no plain value")
    return arguments, tuple(notes)
