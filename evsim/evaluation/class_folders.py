"""Folders whose names are classes: the layout in which most datasets are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evsim.errors import RecordingError
from evsim.evaluation.dataset import Item
from evsim.recordings.entries import is_hidden, visible_files

__all__ = ["class_folders", "first_folder", "folder_items", "order_note", "recordings_in"]

NOT_RECORDINGS = {".md", ".json", ".yaml", ".yml", ".py", ".pdf", ".log"}


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of `names` that is a folder under `root`; "" is `root` itself.

    Raises
    ------
    RecordingError
        None of them is there.
    """
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise RecordingError(f"{root}: no folder {' or '.join(name or '.' for name in names)} in it")


def class_folders(root: Path, class_order: str | None = None) -> list[Path]:
    """The folders of `root` in the order in which they are numbered as classes; what a Mac leaves there is none."""
    folders = sorted((path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name)), key=_name)
    if class_order == "numeric" and all(path.name.isdecimal() for path in folders):
        folders.sort(key=lambda path: int(path.name))
    return folders


def order_note(names: Sequence[str], class_order: str) -> tuple[str, ...]:
    """A sentence for the user when numeric folder names are not numbered by their value."""
    if not all(name.isdecimal() for name in names) or sorted(names, key=int) == sorted(names):
        return ()
    if class_order == "numeric":
        return ("classes are numbered by the value of their folder names, unlike in the official code",)
    example = next((i, name) for i, name in enumerate(names) if int(name) != i)
    return (
        "classes are numbered by the lexicographic order of their folders, as the official code does: "
        f"output {example[0]} is folder {example[1]} (--class-order numeric changes it)",
    )


def recordings_in(folder: Path) -> Iterator[Path]:
    """Every file at any depth that may be a recording, in order of its path."""
    return (path for path in visible_files(folder) if path.suffix.lower() not in NOT_RECORDINGS)


def folder_items(root: Path, folders: Sequence[Path]) -> list[Item]:
    """The recordings of each class folder, numbered by the folders' order."""
    return [
        Item(path.relative_to(root).as_posix(), str(path), label)
        for label, folder in enumerate(folders)
        for path in recordings_in(folder)
    ]


def _name(path: Path) -> str:
    return path.name
