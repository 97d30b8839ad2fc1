"""NumPy .npz: events (t, x, y, p, as SpikingJelly writes them), `frames`, an `image`, or whole sets of images."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import columns_of, image_of, rows_of, single_label
from evsim.recordings.bare_array import recording_of
from evsim.recordings.check import RawEvents
from evsim.recordings.discover import one_line
from evsim.recordings.image_sets import image_of_set, split_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import ImageRecording
from evsim.recordings.safe_npy import MAX_BYTES, read_npy

IMAGES = re.compile(r"((?:train|test|val|valid)_)?(x|images|data)(_(?:train|test|val|valid))?")
LABELS = {"x": ("y",), "images": ("labels", "y"), "data": ("labels", "targets", "y")}
# deflate cannot do better than 1032 to 1.
MAX_RATIO = 1100


def recognises(path: Path, head: bytes) -> bool:
    """Whether this is a zip archive of .npy members (a PyTorch checkpoint is a zip archive too)."""
    return head.startswith(b"PK\x03\x04") and b".npy" in head[30 : 30 + int.from_bytes(head[26:28], "little")]


def read(path: Path, options: ReadOptions):
    """The one recording among the archive's arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(path, archive, options)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
        raise RecordingError(f"{path}: damaged or truncated .npz archive ({one_line(error)})") from error


def _read_archive(path: Path, archive: zipfile.ZipFile, options: ReadOptions):
    keys = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    splits = _splits(keys)
    if splits and not columns_of(keys) and not {"events", "frames", "image"} & set(keys):
        return _one_of_set(path, archive, splits, options)
    kind = _kind(path, keys, options.layout)
    labels = next((_member(path, archive, key) for key in ("label", "labels") if key in keys), None)
    if kind == "columns":
        return _columns(path, archive, columns_of(keys), labels)
    array = _member(path, archive, kind)
    if kind == "events":
        return rows_of(path, array, options, "npz array 'events'")
    if kind == "image" and options.axes is None:
        return image_of(path, array, options, "npz array 'image'", labels)
    return recording_of(path, array, options, f"npz array {kind!r}", labels)


def _splits(keys: list[str]) -> dict[str, tuple[str, str | None]]:
    """The keys of images and labels by split: train_x and train_y, x_test and y_test, x and y, images and labels."""
    found = {}
    for key in keys:
        named = IMAGES.fullmatch(key)
        if named:
            before, name, after = (part or "" for part in named.groups())
            labels = (before + label + after for label in LABELS[name])
            found[(before + after).strip("_")] = (key, next((label for label in labels if label in keys), None))
    return found


def _one_of_set(path: Path, archive: zipfile.ZipFile, splits: dict, options: ReadOptions) -> ImageRecording:
    split, number, notes = split_of(path, list(splits), options.index)
    images_key, labels_key = splits[split]
    images = _member(path, archive, images_key)
    labels = _member(path, archive, labels_key) if labels_key else None
    return image_of_set(path, images, labels, replace(options, index=number), f"npz array {images_key!r}", notes)


def _kind(path: Path, keys: list[str], layout: str | None) -> str:
    kinds = [kind for kind in ("events", "frames", "image") if kind in keys]
    if columns_of(keys):
        kinds.append("columns")
    wanted = {"chw": ("image",), "hwc": ("image",), "events": ("events", "columns")}.get(layout, (layout,))
    chosen = [kind for kind in kinds if kind in wanted] or kinds
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise RecordingError(
            f"{path}: holds {', '.join(keys[:12]) or 'no arrays'}; expected t, x, y, p or events, frames, image"
        )
    raise RecordingError(f"{path}: holds {' and '.join(chosen)}; say layout='events', 'frames' or 'image'")


def _columns(path: Path, archive: zipfile.ZipFile, names: dict[str, str], label) -> RawEvents:
    t, x, y, p = (_member(path, archive, names[short]) for short in "txyp")
    return RawEvents(t, x, y, p, f"npz arrays {', '.join(names.values())}", label=single_label(label))


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray:
    entry = archive.getinfo(f"{key}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RecordingError(f"{path}: {key!r} is packed by method {entry.compress_type}; expected plain or deflate")
    if entry.file_size > min(MAX_RATIO * entry.compress_size + 4096, MAX_BYTES):
        raise RecordingError(
            f"{path}: {key!r} claims {entry.file_size} bytes from {entry.compress_size} packed, more than can be"
        )
    with archive.open(entry) as stream:
        return read_npy(path, stream, entry.file_size, key)
