"""HDF5: opened once, then offered to each layout of `hdf5_layouts/`."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings import hdf5_layouts
from evsim.recordings.arrays import refuse_order
from evsim.recordings.check import RawEvents
from evsim.recordings.decoding import check_density
from evsim.recordings.discover import formats_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import contents, is_hdf5, open_hdf5

LAYOUTS = tuple(sorted(entry.name for entry in pkgutil.iter_modules(hdf5_layouts.__path__)))
TAKES_ORDER = True


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
        layout = _layout(path, file, options)
        if hasattr(layout, "n_events"):
            check_density(path, layout.n_events(file, options), path.stat().st_size)
        return layout.read(path, file, options)


def pieces(path: Path, options: ReadOptions, n: int) -> Iterator[RawEvents] | None:
    """The events, n at a time; None where the layout has to be read whole."""
    with open_hdf5(path) as file:
        layout = _layout(path, file, options)
    return _parts(path, layout, options, n) if hasattr(layout, "n_events") else None


def _parts(path: Path, layout, options: ReadOptions, n: int) -> Iterator[RawEvents]:
    with open_hdf5(path) as file:
        for at in range(0, layout.n_events(file, options), n):
            yield layout.read(path, file, replace(options, part=slice(at, at + n)))


def _layout(path: Path, file, options: ReadOptions):
    """The module of `hdf5_layouts/` that knows the file."""
    layouts = formats_of(hdf5_layouts)
    if options.layout in layouts:
        return layouts[options.layout]
    everywhere = [(name, layout) for name, layout in layouts.items() if hasattr(layout, "recognises_below")]
    tests = [(name, layout, layout.recognises) for name, layout in layouts.items()]
    for name, layout, recognises in tests + [(name, layout, layout.recognises_below) for name, layout in everywhere]:
        if recognises(file):
            if not getattr(layout, "TAKES_ORDER", False):
                refuse_order(path, options.layout, f"the layout {name} has its own")
            return layout
    raise RecordingError(
        f"{path}: HDF5 without events in a known layout (holds {contents(file)}; known: {', '.join(layouts)})"
    )
