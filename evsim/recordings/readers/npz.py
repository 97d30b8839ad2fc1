"""NumPy .npz: events (t, x, y, p, as SpikingJelly writes them), `frames`, an `image`, or whole sets of images."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import image_of, refuse_order, single_label
from evsim.recordings.bare_array import recording_of
from evsim.recordings.check import RawEvents
from evsim.recordings.discover import one_line, only_one
from evsim.recordings.entries import is_hidden
from evsim.recordings.field_names import columns_of, parse_name
from evsim.recordings.image_sets import image_of_set, split_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import FrameRecording, ImageRecording
from evsim.recordings.safe_npy import MAX_BYTES, npy_header, read_npy
from evsim.recordings.stated_sensor import stated_sensor

IMAGES = re.compile(r"((?:train|test|val|valid)_)?(x|images|data)(_(?:train|test|val|valid))?")
LABELS = {"x": ("y",), "images": ("labels", "y"), "data": ("labels", "targets", "y")}
# deflate cannot do better than 1032 to 1.
MAX_RATIO = 1100
MOST_ARRAYS = 64
LABEL_KEYS = ("label", "labels")
LAYOUTS = ("events", "frames", "image", "chw", "hwc")
TAKES_ORDER = True


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
    names = [name for name in archive.namelist() if name.endswith(".npy") and not is_hidden(name)]
    keys = [name[:-4] for name in names]
    columns = columns_of(path, keys)
    splits = _splits(keys)
    if splits and not columns and not {"events", "frames", "image"} & set(keys):
        refuse_order(path, options.layout, "the file holds images")
        return _one_of_set(path, archive, splits, options)
    sensor = stated_sensor({key: partial(_member, path, archive, key) for key in keys})
    kind = _kind(path, archive, keys, columns, options.layout)
    label = next((_member(path, archive, key) for key in LABEL_KEYS if key in keys), None)
    if kind in ("columns", "polarity lists"):
        only_one(path, options.index)
        refuse_order(path, options.layout, "these columns have names" if kind == "columns" else "these lists have one")
        found = _columns(path, archive, columns) if kind == "columns" else _lists(path, archive)
        return replace(found, sensor=sensor, label=single_label(label))
    array, what = _member(path, archive, kind), f"npz array {kind!r}"
    if kind == "image" and options.axes is None:
        only_one(path, options.index)
        refuse_order(path, options.layout, f"{what} holds no rows of events")
        return image_of(path, array, options, what, label)
    found = recording_of(path, array, options, what, label)
    return replace(found, sensor=sensor) if isinstance(found, RawEvents) else found


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


def _one_of_set(
    path: Path, archive: zipfile.ZipFile, splits: dict, options: ReadOptions
) -> ImageRecording | FrameRecording:
    split, number, notes = split_of(path, list(splits), options.index)
    images_key, labels_key = splits[split]
    images = _member(path, archive, images_key)
    labels = _member(path, archive, labels_key) if labels_key else None
    options, what = replace(options, index=number), f"npz array {images_key!r}"
    if options.axes is None and images.ndim in (3, 4):
        return image_of_set(path, images, labels, options, what, notes)
    found = recording_of(path, images, options, what, labels)
    return replace(found, notes=(*notes, *found.notes))


def _kind(path: Path, archive: zipfile.ZipFile, keys: list[str], columns, layout: str | None) -> str:
    """What is to be read: "columns", "polarity lists", or the name of an array."""
    kinds = [kind for kind in ("events", "frames", "image") if kind in keys]
    kinds += ["columns"] * (columns is not None) + ["polarity lists"] * ({"pos", "neg"} <= set(keys))
    # N-ImageNet calls its records event_data, np.savez(path, array) arr_0.
    kinds = kinds or _recordings_among(path, archive, keys)
    wanted = {"chw": ("image",), "hwc": ("image",), "events": ("events", "columns", "polarity lists")}
    chosen = [kind for kind in kinds if kind in wanted.get(layout, (layout,))] or kinds
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise RecordingError(
            f"{path}: holds {', '.join(keys[:12]) or 'no arrays'}; expected t, x, y, p or events, frames, image"
        )
    raise RecordingError(f"{path}: holds {' and '.join(chosen)}; say layout='events', 'frames' or 'image' (--layout)")


def _recordings_among(path: Path, archive: zipfile.ZipFile, keys: list[str]) -> list[str]:
    """The arrays of records with the four fields, under any name; or the only array of rank two or more."""
    ranks = {}
    for key in keys[:MOST_ARRAYS]:
        with archive.open(f"{key}.npy") as stream:
            shape, dtype = npy_header(path, stream, key)
        ranks[key] = 0 if dtype.hasobject else len(shape)
        if dtype.names and columns_of(path, dtype.names):
            ranks[key] = -1
    records = [key for key, rank in ranks.items() if rank == -1]
    return records or [key for key, rank in ranks.items() if rank >= 2]


def _columns(path: Path, archive: zipfile.ZipFile, names: dict[str, str]) -> RawEvents:
    t, x, y, p = (_member(path, archive, names[short]) for short in "txyp")
    return RawEvents(t, x, y, p, f"npz arrays {', '.join(names.values())}", unit=parse_name(names["t"]).unit)


def _lists(path: Path, archive: zipfile.ZipFile) -> RawEvents:
    """ES-ImageNet: `pos` and `neg`, rows of y, x, t; put together in order of time, ties with `pos` first."""
    lists = [_member(path, archive, key) for key in ("pos", "neg")]
    for key, rows in zip(("pos", "neg"), lists, strict=True):
        if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "biuf":
            raise RecordingError(
                f"{path}: {key!r} has shape {list(rows.shape)} of {rows.dtype}; expected rows of y, x, t"
            )
    y, x, t = np.concatenate(lists).T
    p = np.repeat(np.array([1, 0], np.int8), [len(rows) for rows in lists])
    order = np.argsort(t, kind="stable")
    notes = ("the lists 'pos' and 'neg' of y, x, t were put together in order of time",)
    return RawEvents(t[order], x[order], y[order], p[order], "npz arrays pos and neg (ES-ImageNet)", notes=notes)


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray:
    entry = archive.getinfo(f"{key}.npy")
    check_entry(path, key, entry)
    with archive.open(entry) as stream:
        return read_npy(path, stream, entry.file_size, key)


def check_entry(path: Path, key: str, entry: zipfile.ZipInfo) -> None:
    """Refuse a member that is packed in another way than NumPy packs, or that claims more than its bytes can hold."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RecordingError(f"{path}: {key!r} is packed by method {entry.compress_type}; expected plain or deflate")
    if entry.file_size > min(MAX_RATIO * entry.compress_size + 4096, MAX_BYTES):
        raise RecordingError(
            f"{path}: {key!r} claims {entry.file_size} bytes from {entry.compress_size} packed, more than can be"
        )
