"""One dataset of (N, 4) rows: `events` as v2e writes it (t, x, y, p), `davis/left/events` of MVSEC (x, y, t, p)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evsim.recordings.arrays import rows_of
from evsim.recordings.check import RawEvents
from evsim.recordings.column_order import is_order
from evsim.recordings.hdf5_facts import Cameras, label_of, sensor_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import dataset, kind_of, n_rows, read_array

TAKES_ORDER = True
PLACES = ("events", "davis/left/events")
SAMPLE_ROWS = 2**15
MVSEC_SENSOR = (260, 346)


def read(path, file, options: ReadOptions) -> RawEvents:
    """The rows, in the order that the caller says or the values allow."""
    place, notes = CAMERAS.choose(path, file, options.index)
    rows = read_array(file, place, options.part)
    found = rows_of(path, rows, options, f"HDF5 dataset {place!r}", _sample(file, place, options))
    sensor, unit = sensor_of(file, place), found.unit
    if place.startswith("davis/"):
        notes += ("davis/*/events is MVSEC's layout: t in seconds",)
        notes += () if sensor else ("the sensor is MVSEC's DAVIS346",)
        sensor, unit = sensor or MVSEC_SENSOR, "s"
    return replace(found, sensor=sensor, label=label_of(file), unit=unit, notes=notes + found.notes)


def n_events(file, options: ReadOptions) -> int:
    """How many rows there are to be read in parts."""
    place, _ = CAMERAS.choose(file.filename, file, options.index)
    return n_rows(file, place)


def _is_camera(file, place: str) -> bool:
    """Whether `place` ends in `events` and is a dataset of rows; four columns, or more with an order told."""
    if place.rpartition("/")[2] != "events" or kind_of(file, place) != "array":
        return False
    shape = dataset(file, place).shape
    return len(shape) == 2 and 4 <= shape[1] <= 8


def _sample(file, place: str, options: ReadOptions) -> np.ndarray | None:
    """Rows from both ends, so that pieces of a file are all read in the same order."""
    if is_order(options.layout):
        return None
    n = n_rows(file, place)
    ends = [slice(0, min(n, SAMPLE_ROWS)), slice(max(SAMPLE_ROWS, n - SAMPLE_ROWS), n)]
    return np.concatenate([read_array(file, place, end) for end in ends if end.start < end.stop] or [np.empty((0, 4))])


CAMERAS = Cameras(PLACES, _is_camera)
recognises, recognises_below = CAMERAS.are_usual, CAMERAS.are_anywhere
