"""An .npz of many labelled recordings: `frames` [N, T, C, H, W] with `labels`, or sets of images with theirs."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.labelled_images import NPZ_KEYS, file_stamp, find_images, read_image
from evsim.recordings.axes import arrange_axes, parse_axes
from evsim.recordings.check import check
from evsim.recordings.discover import one_line
from evsim.recordings.entries import is_hidden
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import FrameRecording, Recording
from evsim.recordings.safe_npy import MAX_BYTES, read_npy

_LABELS = ("labels", "label", "targets")


def recognises(path: Path) -> bool:
    """Whether frames stand beside labels, or images beside theirs."""
    names = _members(path)
    return _are_frames(names) or _are_images(names)


def find(root: Path, options: FindOptions) -> Dataset:
    """Every recording of the file, in the file's order."""
    if not _are_frames(_members(root)):
        return find_images("npz", root, options.split, None)
    frames, labels = _load(str(root), file_stamp(root))
    if frames.ndim != 5 or labels.shape != frames.shape[:1] or labels.dtype.kind not in "iu":
        raise RecordingError(
            f"{root}: frames of shape {list(frames.shape)} with labels of shape {list(labels.shape)}; expected "
            "[N, T, C, H, W] and N whole numbers"
        )
    items = (Item(str(i), str(root), int(label), i) for i, label in enumerate(labels))
    return Dataset("npz", tuple(items))


def read(item: Item, options: ReadOptions) -> Recording:
    """One recording; the file is decoded once and kept."""
    if not isinstance(item.index, int):
        return read_image(item, options)
    frames, _ = _load(item.path, file_stamp(item.path))
    where = f"{item.path}::{item.index}"
    layout = f"npz array 'frames' {list(frames.shape)}"
    one, notes = frames[item.index], ()
    if options.axes is not None:
        one, notes = _arranged(where, one, options.axes), (f"its axes were read as {options.axes}",)
    return check(where, FrameRecording(one, layout, item.label, notes), options)


def _arranged(where: str, frames: np.ndarray, text: str) -> np.ndarray:
    """One recording as [T, C, H, W], its axes named with those of the whole array or without the first."""
    axes = parse_axes(text).removeprefix("B")
    if "T" not in axes or "B" in axes:
        raise RecordingError(f"{where}: --axes {text}: expected B, the recordings, first, and T, as in 'B T H W C'")
    return arrange_axes(where, frames, axes, "the array 'frames'")[0]


def _are_frames(names: list[str]) -> bool:
    return "frames" in names and any(name in names for name in _LABELS)


def _are_images(names: list[str]) -> bool:
    pairs = (tuple(name.format(split) for name in pair) for pair in NPZ_KEYS for split in ("test", "train"))
    return any(set(pair) <= set(names) for pair in pairs)


def _members(path: Path) -> list[str]:
    if not path.is_file() or path.suffix.lower() != ".npz":
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if not is_hidden(name)]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


@lru_cache(maxsize=2)
def _load(path: str, stamp: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Frames and labels, kept until the file changes."""
    try:
        with zipfile.ZipFile(path) as archive:
            labels = next(name for name in _LABELS if name in _members(Path(path)))
            return _array(path, archive, "frames"), np.atleast_1d(_array(path, archive, labels))
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: frames and labels cannot be read ({one_line(error)})") from error


def _array(path: str, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > MAX_BYTES:
        raise RecordingError(f"{path}: {name!r} claims {entry.file_size} bytes, more than {MAX_BYTES}")
    with archive.open(entry) as stream:
        return read_npy(path, stream, entry.file_size, name)
