"""HDF5: opened once, then offered to each layout of `hdf5_layouts/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings import hdf5_layouts
from evsim.recordings.check import RawEvents
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
    with open_hdf5(path) as file:
        return _layout(path, file, options).read(path, file, options)


def pieces(path: Path, options: ReadOptions, n: int) -> Iterator[RawEvents] | None:
    """The events, n at a time; None where the layout has to be read whole."""
    with open_hdf5(path) as file:
        layout = _layout(path, file, options)
    return _parts(path, layout, options, n) if hasattr(layout, "n_events") else None


def _parts(path: Path, layout, options: ReadOptions, n: int) -> Iterator[RawEvents]:
    with open_hdf5(path) as file:
        for at in range(0, layout.n_events(file), n):
            yield layout.read(path, file, replace(options, part=slice(at, at + n)))


def _layout(path: Path, file, options: ReadOptions):
    """The module of `hdf5_layouts/` that knows the file."""
    layouts = formats_of(hdf5_layouts)
    if options.layout in layouts:
        return layouts[options.layout]
    for layout in layouts.values():
        if layout.recognises(file):
            return layout
    raise RecordingError(
        f"{path}: HDF5 without events in a known layout (holds {contents(file)}; known: {', '.join(layouts)})"
    )
