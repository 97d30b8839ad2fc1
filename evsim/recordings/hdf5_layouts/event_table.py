"""One dataset of compound records with fields t, x, y, p: `events`, `CD/events` (Prophesee), or any other name."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from evsim.recordings.arrays import rows_of
from evsim.recordings.check import RawEvents
from evsim.recordings.field_names import columns_of
from evsim.recordings.hdf5_facts import MOST_ENTRIES, Cameras, label_of, sensor_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import dataset, kind_of, n_rows, read_array

PLACES = ("events", "CD/events", "events/events")


def read(path, file, options: ReadOptions) -> RawEvents:
    """The fields of the records."""
    place, notes = CAMERAS.choose(path, file, options.index)
    found = rows_of(path, read_array(file, place, options.part), options, f"HDF5 dataset {place!r}")
    return replace(found, sensor=sensor_of(file, place), label=label_of(file), notes=notes + found.notes)


def n_events(file, options: ReadOptions) -> int:
    """How many rows there are to be read in parts."""
    place, _ = CAMERAS.choose(file.filename, file, options.index)
    return n_rows(file, place)


def _has_fields(file, place: str) -> bool:
    if not place or kind_of(file, place) != "table":
        return False
    return columns_of(file.filename, dataset(file, place).dtype.names) is not None


CAMERAS = Cameras(PLACES, _has_fields)
recognises_below = CAMERAS.are_anywhere


def recognises(file) -> bool:
    """Whether a compound dataset with the four fields is at a usual place, or at the root."""
    return CAMERAS.are_usual(file) or any(_has_fields(file, name) for name in islice(file, MOST_ENTRIES))
