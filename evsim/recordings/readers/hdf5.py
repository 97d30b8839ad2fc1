"""HDF5: opened once, then offered to each layout of `hdf5_layouts/`."""

from __future__ import annotations

from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings import hdf5_layouts
from evsim.recordings.discover import formats_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import contents, is_hdf5, open_hdf5


def recognises(path: Path, head: bytes) -> bool:
    """Whether the HDF5 signature is there."""
    return is_hdf5(head)


def read(path: Path, options: ReadOptions):
    """The recording in whichever layout the file has.

    Raises
    ------
    RecordingError
        When no layout fits; the message lists what the file holds.
    """
    layouts = formats_of(hdf5_layouts)
    with open_hdf5(path) as file:
        if options.layout in layouts:
            return layouts[options.layout].read(path, file, options)
        for layout in layouts.values():
            if layout.recognises(file):
                return layout.read(path, file, options)
        raise RecordingError(
            f"{path}: HDF5 without events in a known layout (holds {contents(file)}; known: {', '.join(layouts)})"
        )
