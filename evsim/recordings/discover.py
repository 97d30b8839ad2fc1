"""Finding the formats: every module of a folder, without a list that must be edited."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from evsim.errors import RecordingError

__all__ = ["choose", "formats_of", "one_line", "only_one"]


def formats_of(package: ModuleType) -> dict[str, ModuleType]:
    """The modules of a package by their short names, in alphabetical order."""
    names = sorted(entry.name for entry in pkgutil.iter_modules(package.__path__))
    return {name: import_module(f"{package.__name__}.{name}") for name in names}


def choose(path, keys: Sequence[str] | range, index: int | str | None) -> tuple[str | int, tuple[str, ...]]:
    """The key asked for, and a note when the file holds others too.

    Parameters
    ----------
    keys : sequence of str, or range
        Names of the recordings in the file, in the file's order.
    index : int, str or None
        A position, a key, or None for the first.

    Raises
    ------
    RecordingError
        When there is no such recording.
    """
    if not keys:
        raise RecordingError(f"{path}: holds no recording")
    note = (f"the file holds {len(keys)} recordings",) if len(keys) > 1 else ()
    if index is None:
        return keys[0], tuple(f"{text}; this is the first, {keys[0]!r}" for text in note)
    if isinstance(index, str) and index in keys:
        return index, note
    try:
        position = int(index)
    except ValueError:
        position = -1
    if not 0 <= position < len(keys):
        raise RecordingError(f"{path}: there is no recording {index!r}; it holds {len(keys)}, numbered from 0")
    return keys[position], note


def only_one(path, index: int | str | None) -> None:
    """Refuse an index other than the first of a file that holds one recording."""
    if index not in (None, 0, "0"):
        raise RecordingError(f"{path}: there is no recording {index!r}; the file holds one")


def one_line(error: BaseException, limit: int = 160) -> str:
    """An exception's text on one line without control characters (a file chose some of it), cut to `limit`."""
    words = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in words)
    return text if len(text) <= limit else text[: limit - 3] + "..."
