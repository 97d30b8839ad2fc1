"""What lies beside recordings and is none: hidden entries, and what a Mac puts into folders and archives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from evsim.errors import RecordingError
from evsim.files import check_readable

__all__ = ["APPLE_DOUBLE", "is_hidden", "require_file", "visible_files"]

APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""What a `._name` file of a Mac starts with."""

LEFTOVERS = ("__MACOSX", "thumbs.db", "desktop.ini")


def is_hidden(place: str | PurePath) -> bool:
    """Whether a path inside a folder or an archive is, or lies in, an entry that is no recording.

    Such entries begin with a dot (`.DS_Store`, `._00001.bin`) or are called `__MACOSX`, `Thumbs.db` or `desktop.ini`.
    """
    parts = PurePath(place).parts
    return any(part.startswith(".") or part in LEFTOVERS or part.lower() in LEFTOVERS for part in parts)


def visible_files(folder: Path) -> Iterator[Path]:
    """Every file below a folder at any depth that is not hidden, in order of its path."""
    for path in sorted(folder.rglob("*")):
        if not is_hidden(path.relative_to(folder)) and path.is_file():
            yield path


def require_file(path: str | os.PathLike) -> None:
    """Refuse what is no regular file: opening a named pipe waits for ever, a device never ends.

    Raises
    ------
    RecordingError
        No such file, a folder, a pipe, a socket or a device.
    """
    check_readable(path, RecordingError, "--follow reads pipes as they fill")
