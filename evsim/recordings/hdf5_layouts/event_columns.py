"""A group with one dataset a column: evsim's own files, DSEC, M3ED, event_utils, eTraM and others."""

from __future__ import annotations

from itertools import islice

import numpy as np

from evsim.recordings.check import RawEvents
from evsim.recordings.field_names import columns_of, parse_name
from evsim.recordings.hdf5_facts import MOST_ENTRIES, Cameras, label_of, sensor_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import kind_of, n_rows, read_array

PLACES = ("events", "prophesee/left", "")


def read(path, file, options: ReadOptions) -> RawEvents:
    """The columns, shifted by `t_offset` where the file has one (DSEC)."""
    place, notes = CAMERAS.choose(path, file, options.index)
    names = _columns(file, place) or {name: name for name in "txyp"}
    t, x, y, p = (read_array(file, _join(place, names[name]), options.part) for name in "txyp")
    unit = parse_name(names["t"]).unit
    # event_utils and the networks built on it write float seconds under the plural names.
    if names["t"] == "ts" and t.dtype.kind == "f":
        unit = "s"
        notes += ("float time stamps 'ts' were taken as seconds",) if options.unit is None else ()
    if kind_of(file, "t_offset") == "array" and t.dtype.kind in "iu":
        offset = int(np.ravel(read_array(file, "t_offset"))[0])
        t, notes = t.astype(np.int64) + offset, (*notes, f"t_offset {offset} us was added to the time stamps")
    layout = f"HDF5 group {place or '/'!r} with {', '.join(names.values())}"
    return RawEvents(t, x, y, p, layout, sensor_of(file, place), label_of(file, place), unit, notes)


def n_events(file, options: ReadOptions) -> int:
    """How many rows there are to be read in parts."""
    place, _ = CAMERAS.choose(file.filename, file, options.index)
    return n_rows(file, _join(place, (_columns(file, place) or {"t": "t"})["t"]))


def _is_camera(file, place: str) -> bool:
    return _columns(file, place) is not None


def _columns(file, place: str) -> dict[str, str] | None:
    if place and kind_of(file, place) != "group":
        return None
    names = [name for name in islice(file[place] if place else file, MOST_ENTRIES) if parse_name(name)]
    if len({parse_name(name).short for name in names}) < 4:
        return None
    return columns_of(file.filename, [name for name in names if kind_of(file, _join(place, name)) == "array"])


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


CAMERAS = Cameras(PLACES, _is_camera)
recognises, recognises_below = CAMERAS.are_usual, CAMERAS.are_anywhere
