"""One dataset of compound records with fields t, x, y, p: at `events`, `CD/events` (Prophesee), or at the root."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np

from evsim.recordings.arrays import columns_of, rows_of
from evsim.recordings.check import RawEvents
from evsim.recordings.hdf5_layouts.event_columns import label_of, sensor_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import attribute, dataset, kind_of, read_array

PLACES = ("events", "CD/events", "events/events")


def recognises(file) -> bool:
    """Whether a compound dataset with the four fields is there."""
    return _place(file) is not None


def read(path, file, options: ReadOptions) -> RawEvents:
    """The fields of the records."""
    place = _place(file) or "events"
    found = rows_of(path, read_array(file, place, options.part), options, f"HDF5 dataset {place!r}")
    return replace(found, sensor=sensor_of(file) or _geometry(file), label=label_of(file))


def n_events(file) -> int:
    """How many rows there are to be read in parts."""
    return len(dataset(file, _place(file) or "events"))


def _place(file) -> str | None:
    return next((place for place in (*PLACES, *islice(file, 64)) if _has_fields(file, place)), None)


def _has_fields(file, place: str) -> bool:
    return kind_of(file, place) == "table" and columns_of(dataset(file, place).dtype.names) is not None


def _geometry(file) -> tuple[int, int] | None:
    """Prophesee writes "1280x720" (width x height)."""
    text = attribute(file, ("geometry",))
    sides = (text.decode("ascii", "replace") if isinstance(text, bytes | np.bytes_) else str(text)).split("x")
    return (int(sides[1]), int(sides[0])) if len(sides) == 2 and all(side.isdecimal() for side in sides) else None
