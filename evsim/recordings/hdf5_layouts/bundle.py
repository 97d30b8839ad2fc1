"""evsim's bundle: many recordings in one file, `recordings/<id>/events/{t or dt, x, y, p}` with the attribute label.

`dt` are differences of time stamps (the first is zero) and the attribute `t_begin` the first time stamp: half the
size of `t` in a compressed file. Attributes of the file (sensor_height, sensor_width) hold for all its recordings.
"""

from __future__ import annotations

import numpy as np

from evsim.recordings.arrays import single_label
from evsim.recordings.check import RawEvents
from evsim.recordings.discover import choose
from evsim.recordings.hdf5_facts import sensor_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import attribute, kind_of, read_array

ROOT = "recordings"


def recognises(file) -> bool:
    """Whether the first entry of `recordings` is a group with the group `events`."""
    if kind_of(file, ROOT) != "group":
        return False
    first = next(iter(file[ROOT]), None)
    return first is not None and kind_of(file, f"{ROOT}/{first}/events") == "group"


def labels(file) -> dict[str, int | None]:
    """The class of each recording by its id, in the file's order; None where the file does not tell."""
    return {key: _label(file, key) for key in file[ROOT]}


def read(path, file, options: ReadOptions) -> RawEvents:
    """One recording of the bundle."""
    key, notes = choose(path, list(file[ROOT]), options.index)
    place = f"{ROOT}/{key}/events"
    x, y, p = (read_array(file, f"{place}/{name}") for name in "xyp")
    sensor = sensor_of(file, f"{ROOT}/{key}")
    layout = f"evsim bundle, recording {key!r}"
    return RawEvents(_times(file, place), x, y, p, layout, sensor, _label(file, key), "us", notes)


def _label(file, key: str) -> int | None:
    return single_label(attribute(file, ("label",), (f"{ROOT}/{key}",)))


def _times(file, place: str) -> np.ndarray:
    if kind_of(file, f"{place}/dt") is None:
        return read_array(file, f"{place}/t")
    steps = read_array(file, f"{place}/dt")
    begin = attribute(file, ("t_begin",), (place,))
    return np.cumsum(steps, dtype=np.int64) + (0 if begin is None else int(np.ravel(begin)[0]))
