"""A group `events` (or the root) with one dataset a column: evsim's own bundles, DSEC, M3ED, event_utils."""

from __future__ import annotations

import numpy as np

from evsim.recordings.arrays import FIELD_NAMES, columns_of, single_label
from evsim.recordings.check import RawEvents
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import attribute, dataset, kind_of, read_array

PLACES = ("events", "prophesee/left", "")


def recognises(file) -> bool:
    """Whether some known group holds all four columns."""
    return _place(file) is not None


def read(path, file, options: ReadOptions) -> RawEvents:
    """The columns, shifted by `t_offset` where the file has one (DSEC)."""
    place = _place(file) or "events"
    names = _columns(file, place) or {name: name for name in "txyp"}
    t, x, y, p = (read_array(file, _join(place, names[name]), options.part) for name in "txyp")
    # event_utils and the networks built on it write float seconds under the plural names.
    unit = "s" if names["t"] == "ts" and t.dtype.kind == "f" else None
    notes = ("float time stamps 'ts' were taken as seconds",) if unit and options.unit is None else ()
    if kind_of(file, "t_offset") == "array" and t.dtype.kind in "iu":
        offset = int(np.ravel(read_array(file, "t_offset"))[0])
        t, notes = t.astype(np.int64) + offset, (*notes, f"t_offset {offset} us was added to the time stamps")
    layout = f"HDF5 group {place or '/'!r} with {', '.join(names.values())}"
    return RawEvents(t, x, y, p, layout, sensor_of(file, place), label_of(file, place), unit, notes)


def n_events(file) -> int:
    """How many rows there are to be read in parts."""
    place = _place(file) or "events"
    return len(dataset(file, _join(place, (_columns(file, place) or {"t": "t"})["t"])))


def _place(file) -> str | None:
    return next((place for place in PLACES if _columns(file, place)), None)


def _columns(file, place: str) -> dict[str, str] | None:
    if place and kind_of(file, place) != "group":
        return None
    names = [name for aliases in FIELD_NAMES.values() for name in aliases]
    return columns_of([name for name in names if kind_of(file, _join(place, name)) == "array"])


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def sensor_of(file, place: str = "") -> tuple[int, int] | None:
    """Height and width from the attributes of the file or the group, or None."""
    where = ("/", place) if place else ("/",)
    height = attribute(file, ("sensor_height", "height"), where)
    width = attribute(file, ("sensor_width", "width"), where)
    if height is not None and width is not None:
        return int(np.ravel(height)[0]), int(np.ravel(width)[0])
    stated = attribute(file, ("sensor_size", "sensor_resolution", "resolution"), where)
    size = np.ravel(() if stated is None else stated)
    # Writers of `sensor_size` follow tonic, whose order is width, height, polarities; M3ED's resolution is w, h too.
    return (int(size[1]), int(size[0])) if size.size in (2, 3) and size.dtype.kind in "iu" else None


def label_of(file, place: str = "") -> int | None:
    """The class from an attribute or a dataset `label`, or None."""
    value = attribute(file, ("label",), ("/", place) if place else ("/",))
    if value is None and kind_of(file, "label") == "array":
        value = read_array(file, "label")
    return single_label(value)
