"""Files that hold thousands of images and their labels: .npz, IDX (MNIST) and CIFAR's binary batches."""

from __future__ import annotations

import gzip
import os
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.evaluation.dataset import Dataset, Item
from evsim.recordings.arrays import image_of
from evsim.recordings.check import check
from evsim.recordings.discover import one_line
from evsim.recordings.entries import is_hidden
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import Recording
from evsim.recordings.safe_npy import MAX_BYTES, read_npy

__all__ = ["file_stamp", "find_images", "read_image"]

NPZ_KEYS = (("{0}_x", "{0}_y"), ("x_{0}", "y_{0}"), ("x", "y"), ("images", "labels"))
FILES = {
    "test": ("t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "test_batch.bin"),
    "train": ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", *(f"data_batch_{i}.bin" for i in range(1, 6))),
}
CIFAR_ROW = 1 + 3 * 32 * 32
MAX_IDX_BYTES = 2**28
IDX_IMAGES, IDX_LABELS = 2051, 2049


def find_images(kind: str, root: Path, split: str, class_names: tuple[str, ...] | None) -> Dataset:
    """The images of a file, or of the files of `split` in a folder, one item an image.

    Raises
    ------
    RecordingError
        No such file, or images and labels that do not belong together.
    """
    items = []
    for path in [root] if root.is_file() else _files(root, split):
        images, labels = _load(str(path), split, file_stamp(path))
        if len(images) != len(labels) or labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise RecordingError(f"{path}: {images.shape} images do not go with labels of {labels.shape}")
        stem = path.name.split(".")[0]
        items += [
            Item(f"{stem}/{split}/{number}", str(path), int(label), f"{split}:{number}")
            for number, label in enumerate(labels)
        ]
    return Dataset(kind, tuple(items), class_names)


def read_image(item: Item, options: ReadOptions) -> Recording:
    """One image; the file is decoded once and kept."""
    split, _, number = str(item.index).partition(":")
    images, _ = _load(item.path, split, file_stamp(item.path))
    where = f"{item.path}::{number}"
    return check(where, image_of(where, images[int(number)], options, f"image {number}", item.label), options)


def file_stamp(path: str | os.PathLike) -> tuple[int, int]:
    """What tells a file from an earlier one of its name."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size


def _files(root: Path, split: str) -> list[Path]:
    paths = [path for name in FILES[split] for path in sorted(root.rglob(name))] or sorted(root.glob("*.npz"))
    paths = [path for path in paths if not is_hidden(path.relative_to(root))]
    if not paths:
        raise RecordingError(f"{root}: no .npz with images and labels, no {', '.join(FILES[split][:2])} ...")
    return paths


@lru_cache(maxsize=6)
def _load(path: str, split: str, stamp: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels, kept until the file changes."""
    try:
        if path.endswith(".npz"):
            return _load_npz(path, split)
        if path.endswith(".bin"):
            return _load_cifar(path)
        return _load_idx(path, IDX_IMAGES), _load_idx(path.replace("images-idx3", "labels-idx1"), IDX_LABELS)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: images and labels cannot be read ({one_line(error)})") from error


def _load_npz(path: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not is_hidden(name)]
        members = {name.removesuffix(".npy"): archive.getinfo(name) for name in names}
        for pair in NPZ_KEYS:
            names = [name.format(split) for name in pair]
            if all(name in members for name in names):
                return tuple(_member(path, archive, name, members[name]) for name in names)
    raise RecordingError(f"{path}: holds {', '.join(members)}; expected {split}_x and {split}_y, or x and y")


def _member(path: str, archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.file_size > MAX_BYTES:
        raise RecordingError(f"{path}: {name!r} claims {entry.file_size} bytes, more than {MAX_BYTES}")
    with archive.open(entry) as stream:
        return read_npy(path, stream, entry.file_size, name)


def _load_cifar(path: str) -> tuple[np.ndarray, np.ndarray]:
    rows = np.fromfile(path, np.uint8)
    if rows.size == 0 or rows.size % CIFAR_ROW:
        raise RecordingError(f"{path}: {rows.size} bytes are not rows of {CIFAR_ROW} as in CIFAR-10's binary version")
    rows = rows.reshape(-1, CIFAR_ROW)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]


def _load_idx(path: str, magic: int) -> np.ndarray:
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        data = file.read(MAX_IDX_BYTES)
    if int.from_bytes(data[:4], "big") != magic:
        raise RecordingError(f"{path}: does not begin as an IDX file of MNIST")
    n_axes = data[3]
    shape = np.frombuffer(data, ">u4", n_axes, 4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)
