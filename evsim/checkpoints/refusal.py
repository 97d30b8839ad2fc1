"""Refused: what is wrong with a file, said by code that does not know its name; `naming` adds the name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from evsim.errors import CheckpointError

__all__ = ["Refused", "listed", "naming", "shown"]

_LONGEST = 80
_MOST_NAMED = 3


class Refused(Exception):
    """The rest of the sentence that begins with the file's name."""


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever goes wrong with `path` into one CheckpointError line that starts with it.

    Raises
    ------
    CheckpointError
        In place of Refused, of any OSError, and of a MemoryError.
    """
    try:
        yield
    except Refused as refusal:
        raise CheckpointError(f"{_one_line(path)}: {refusal}") from None
    except OSError as error:
        raise CheckpointError(f"{_one_line(path)}: {error.strerror or error}") from None
    except MemoryError:
        raise CheckpointError(f"{_one_line(path)}: does not fit into memory") from None


def shown(value: object) -> str:
    """`value` as it may stand in a message: on one line, and short whatever the file says."""
    text = repr(value[: 2 * _LONGEST]) if isinstance(value, str | bytes) else " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def listed(names: Iterable[object]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (", ".join(shown(name) for name in names[:_MOST_NAMED]) or "none") + more


def _one_line(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    return text if isinstance(text, str) and text.isprintable() else repr(text)
