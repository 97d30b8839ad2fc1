"""An HDF5 file of many labelled recordings: evsim's bundle, torchneuromorphic, Heidelberg digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.recordings import hdf5_layouts
from evsim.recordings.discover import formats_of
from evsim.recordings.entries import require_file
from evsim.recordings.safe_hdf5 import attribute, is_hdf5, open_hdf5


def recognises(path: Path) -> bool:
    """Whether the HDF5 signature is there."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return is_hdf5(file.read(4096))


def find(root: Path, options: FindOptions) -> Dataset:
    """Every recording of the file, in the file's order; each must have a label."""
    require_file(root)
    many = [layout for layout in formats_of(hdf5_layouts).values() if hasattr(layout, "labels")]
    with open_hdf5(root) as file:
        layout = next((layout for layout in many if layout.recognises(file)), None)
        if layout is None:
            raise RecordingError(f"{root}: an HDF5 file, but not one of many labelled recordings")
        labels, names = layout.labels(file), _class_names(file)
    for key, label in labels.items():
        if label is None or label < 0 or (names and label >= len(names)):
            raise RecordingError(f"{root}: recording {key!r} has no label" + ("" if label is None else f" ({label})"))
    items = (Item(key, str(root), label, key) for key, label in labels.items())
    return Dataset("hdf5", tuple(items), names)


def _class_names(file) -> tuple[str, ...] | None:
    """The attribute `class_names` of the file: a list of texts."""
    told = attribute(file, ("class_names",))
    if told is None:
        return None
    names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in np.ravel(told).tolist()]
    return tuple(names) if names and all(isinstance(name, str) for name in names) else None
