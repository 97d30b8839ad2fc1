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


def labels(file) -> dict[str, int | None]:
    """The class of each recording by its key, in the order of the keys; None where the file does not tell."""
    return {key: _label(file, key) for key in sorted(file["data"], key=_by_number)}


def read(path, file, options: ReadOptions) -> RawEvents:
    """One recording: times in microseconds, addresses [n, 3] of x, y, p."""
    key, notes = choose(path, sorted(file["data"], key=_by_number), options.index)
    times, addrs = (read_array(file, f"data/{key}/{name}") for name in ("times", "addrs"))
    if addrs.ndim != 2 or addrs.shape[1] != 3:
        raise RecordingError(f"{path}: 'data/{key}/addrs' has shape {addrs.shape}; expected (N, 3) of x, y, p")
    x, y, p = addrs.T
    layout = f"torchneuromorphic HDF5, recording {key!r}"
    return RawEvents(times, x, y, p, layout, label=_label(file, key), unit="us", notes=notes)


def _label(file, key: str) -> int | None:
    place = f"data/{key}/labels"
    return single_label(read_array(file, place)) if kind_of(file, place) == "array" else None


def _by_number(key: str) -> tuple[int, str]:
    return (int(key) if key.isdecimal() else 2**63, key)
