"""Spiking Heidelberg Digits and Spiking Speech Commands: `spikes/times` (s), `spikes/units`, `labels`; many a file.

The cochlea's channels are a row of pixels: x is the unit, y is 0, and every spike is of polarity 1.
"""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import single_label
from evsim.recordings.check import RawEvents
from evsim.recordings.discover import choose
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import dataset, kind_of, read_array
from evsim.recordings.safe_vlen import read_vlen_row

N_UNITS = 700


def recognises(file) -> bool:
    """Whether times and units are there as variable-length rows."""
    return kind_of(file, "spikes/times") == kind_of(file, "spikes/units") == "vlen"


def labels(file) -> dict[str, int | None]:
    """The class of each recording by its number; None where the file does not tell."""
    n = dataset(file, "spikes/times").shape[0]
    found = read_array(file, "labels") if kind_of(file, "labels") == "array" else np.empty(0)
    return {str(number): single_label(found[number]) if found.shape == (n,) else None for number in range(n)}


def read(path, file, options: ReadOptions) -> RawEvents:
    """One spoken word."""
    shape = dataset(file, "spikes/times").shape
    if len(shape) != 1:
        raise RecordingError(f"{path}: 'spikes/times' has shape {shape}; expected one row a recording")
    key, notes = choose(path, range(shape[0]), options.index)
    # float16 seconds, as SHD is published, must not be multiplied by a million before they are widened.
    times = read_vlen_row(file, "spikes/times", int(key)).astype(np.float64)
    units = read_vlen_row(file, "spikes/units", int(key))
    labels = read_array(file, "labels") if kind_of(file, "labels") == "array" else np.empty(0)
    label = single_label(labels[int(key)]) if labels.shape[:1] == shape else None
    none, ones = np.zeros(units.size, np.int32), np.ones(units.size, np.int8)
    layout = f"Heidelberg spikes HDF5, recording {key}"
    return RawEvents(times, units, none, ones, layout, (1, N_UNITS), label, "s", notes)
