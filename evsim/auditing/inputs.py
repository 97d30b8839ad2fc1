"""The recordings of an audit: files, folders of files, and files that hold many."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evsim.errors import RecordingError
from evsim.loading.zoo import find_recording
from evsim.recordings.entries import visible_files
from evsim.recordings.read import read_recording, split_index

__all__ = ["Source", "expand"]


@dataclass(frozen=True, slots=True)
class Source:
    """One recording: a file, and which of it."""

    path: str
    index: str | None = None

    @property
    def name(self) -> str:
        """The file's own name, without the folders it lies in on this machine."""
        return Path(self.path).name + ("" if self.index is None else f"::{self.index}")


def expand(paths: Sequence[str], index: str | None = None) -> list[Source]:
    """Every recording named by `paths`, folders walked in the order of their names.

    Parameters
    ----------
    paths : sequence of str
        Files, ``file::index``, or folders.
    index : str, optional
        Take only this recording of each file; all of them when left out.

    Raises
    ------
    RecordingError
        No such file, an empty folder, or not a recording.
    """
    found = [find_recording(path) for path in paths]
    files = [file for path in found for file in (_walk(path) if os.path.isdir(path) else [path])]
    return [source for file in files for source in _recordings_of(file, index)]


def _walk(folder: str) -> Iterator[str]:
    files = [str(path) for path in visible_files(Path(folder))]
    if not files:
        raise RecordingError(f"{folder}: no file in this folder")
    yield from files


def _recordings_of(file: str, index: str | None) -> Iterator[Source]:
    path, suffix = split_index(file)
    if index is not None or suffix is not None:
        yield Source(str(path), index if suffix is None else suffix)
        return
    n_recordings = _how_many(file)
    yield from [Source(file)] if n_recordings == 1 else (Source(file, str(i)) for i in range(n_recordings))


def _how_many(file: str) -> int:
    """A reader says so in a note when a file holds more than one recording.

    A file that cannot be read without knowing the network (raw pixels) counts as one, as does a broken one, which
    fails when it is run.
    """
    try:
        notes = read_recording(file).notes
    except RecordingError:
        return 1
    for note in notes:
        words = note.split()
        if words[:3] == ["the", "file", "holds"] and words[3].isdigit():
            return int(words[3])
    return 1
