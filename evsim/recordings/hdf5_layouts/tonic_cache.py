"""tonic's DiskCachedDataset: one sample a file, `data/0` (event records or frames) and `target/0`."""

from __future__ import annotations

from evsim.recordings.arrays import single_label
from evsim.recordings.bare_array import recording_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import kind_of, read_array

TAKES_ORDER = True


def recognises(file) -> bool:
    """Whether `data/0` is a dataset (in a torchneuromorphic file it is a group)."""
    return kind_of(file, "data/0") in ("array", "table")


def read(path, file, options: ReadOptions):
    """The sample's first array and its target, where that is one number."""
    label = single_label(read_array(file, "target/0")) if kind_of(file, "target/0") == "array" else None
    array = read_array(file, "data/0")
    return recording_of(path, array, options, "tonic cache 'data/0'", label)
