"""torchneuromorphic and snntorch.spikevision: `data/<key>/{times, addrs, labels}`, many recordings a file.

Each recording also carries `meta_info`, Python text that those libraries evaluate. It is never read here.
"""

from __future__ import annotations

from evsim.errors import RecordingError
from evsim.recordings.arrays import single_label
from evsim.recordings.check import RawEvents
from evsim.recordings.discover import choose
from evsim.recordings.options import ReadOptions
from evsim.recordings.safe_hdf5 import kind_of, read_array


def recognises(file) -> bool:
    """Whether the first entry of `data` is a group with times and addresses."""
    if kind_of(file, "data") != "group":
        return False
    first = next(iter(file["data"]), None)
    return first is not None and kind_of(file, f"data/{first}/times") == kind_of(file, f"data/{first}/addrs") == "array"


def read(path, file, options: ReadOptions) -> RawEvents:
    """One recording: times in microseconds, addresses [n, 3] of x, y, p."""
    key, notes = choose(path, sorted(file["data"], key=_by_number), options.index)
    times, addrs = (read_array(file, f"data/{key}/{name}") for name in ("times", "addrs"))
    if addrs.ndim != 2 or addrs.shape[1] != 3:
        raise RecordingError(f"{path}: 'data/{key}/addrs' has shape {addrs.shape}; expected (N, 3) of x, y, p")
    labels = f"data/{key}/labels"
    label = single_label(read_array(file, labels)) if kind_of(file, labels) == "array" else None
    x, y, p = addrs.T
    layout = f"torchneuromorphic HDF5, recording {key!r}"
    return RawEvents(times, x, y, p, layout, label=label, unit="us", notes=notes)


def _by_number(key: str) -> tuple[int, str]:
    return (int(key) if key.isdecimal() else 2**63, key)
