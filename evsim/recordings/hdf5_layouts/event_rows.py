"""One dataset `events` of (N, 4) rows t, x, y, p: what v2e writes."""

from __future__ import annotations

from dataclasses import replace

from evsim.recordings.arrays import COLUMN_ORDERS, rows_of
from evsim.recordings.check import RawEvents
from evsim.recordings.hdf5_layouts.event_columns import label_of, sensor_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import dataset, kind_of, read_array


def recognises(file) -> bool:
    """Whether `events` is a plain (N, 4) dataset."""
    return kind_of(file, "events") == "array" and dataset(file, "events").shape[1:] == (4,)


def read(path, file, options: ReadOptions) -> RawEvents:
    """The rows; v2e's order t, x, y, p unless the caller says another."""
    order = options.layout if options.layout in COLUMN_ORDERS else "txyp"
    found = rows_of(
        path, read_array(file, "events", options.part), replace(options, layout=order), "HDF5 dataset 'events'"
    )
    return replace(found, sensor=sensor_of(file), label=label_of(file))


def n_events(file) -> int:
    """How many rows there are to be read in parts."""
    return len(dataset(file, "events"))
