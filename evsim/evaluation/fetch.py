"""Fetching a dataset through tonic, only when the user asks for it."""

from __future__ import annotations

from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings.discover import one_line

__all__ = ["fetch"]


def fetch(name: str, root: Path, **arguments) -> None:
    """Let tonic's dataset class `name` download and unpack itself under `root`; it does nothing when it is there.

    Raises
    ------
    RecordingError
        No network, no space, or a damaged download.
    """
    from tonic import datasets

    try:
        getattr(datasets, name)(save_to=str(root), **arguments)
    except Exception as error:  # urllib, ssl, zipfile and tonic all have their own
        raise RecordingError(f"{root}: tonic could not fetch {name} ({one_line(error)})") from error
