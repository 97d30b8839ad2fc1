"""N-MNIST: `Test/<digit>/<id>.bin` in a folder (as tonic unpacks it) or still inside its zip archive."""

from __future__ import annotations

import threading
import zipfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from evsim.errors import RecordingError
from evsim.evaluation.class_folders import first_folder
from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.fetch import fetch
from evsim.recordings.check import check
from evsim.recordings.entries import is_hidden
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import check_layout, read_recording
from evsim.recordings.readers import nmnist
from evsim.recordings.readers.nmnist import EVENT_BYTES
from evsim.recordings.recording import Recording

SENSOR = (34, 34)
DIGITS = tuple(str(digit) for digit in range(10))
MAX_MEMBER_BYTES = 2**26
_archive_lock = threading.Lock()


def recognises(path: Path) -> bool:
    """A zip archive with the dataset's folders, or the folder itself."""
    if path.suffix.lower() == ".zip" and path.is_file():
        return any(_is_recording(PurePosixPath(name), "test") for name in _archive(str(path)).namelist())
    return path.is_dir() and any((path / place / "7").is_dir() for place in ("Test", "NMNIST/Test"))


def find(root: Path, options: FindOptions) -> Dataset:
    """The recordings in order of their ids, which mixes the digits."""
    if options.download:
        fetch("NMNIST", root, train=options.split == "train")
    items = _in_archive(root, options.split) if root.is_file() else _in_folder(root, options.split)
    items.sort(key=lambda item: (item.id.split("/")[-1], item.id))
    return Dataset("nmnist", tuple(items), DIGITS)


def read(item: Item, options: ReadOptions) -> Recording:
    """One recording; the sensor is known."""
    check_layout(item.path, nmnist, options.layout)
    known = replace(options, layout="nmnist", sensor=options.sensor or SENSOR, index=None)
    if item.index is None:
        return read_recording(item.path, **vars(known))
    data = _member(item.path, item.index)
    return check(f"{item.path}::{item.index}", nmnist.decode(np.frombuffer(data, np.uint8)), known, "nmnist")


def _in_folder(root: Path, split: str) -> list[Item]:
    name = split.capitalize()
    folder = first_folder(root, (name, f"NMNIST/{name}"))
    files = (path for digit in DIGITS for path in (folder / digit).glob("*.bin") if not is_hidden(path.name))
    return [Item(f"{path.parent.name}/{path.stem}", str(path), int(path.parent.name)) for path in files]


def _in_archive(path: Path, split: str) -> list[Item]:
    members = [PurePosixPath(name) for name in _archive(str(path)).namelist()]
    return [
        Item(f"{member.parent.name}/{member.stem}", str(path), int(member.parent.name), str(member))
        for member in members
        if _is_recording(member, split)
    ]


def _is_recording(member: PurePosixPath, split: str) -> bool:
    return (
        not is_hidden(member)
        and member.suffix == ".bin"
        and member.parent.name in DIGITS
        and member.parts[-3:-2] == (split.capitalize(),)
    )


@lru_cache(maxsize=4)
def _archive(path: str) -> zipfile.ZipFile:
    """Opened once: listing an archive of 10,000 members takes longer than reading one."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: not a readable zip archive ({error})") from None


def _member(path: str, name: str) -> bytes:
    try:
        with _archive_lock:  # one file position for all threads
            size = _archive(path).getinfo(name).file_size
            data = _archive(path).read(name) if size <= MAX_MEMBER_BYTES else b""
    except Exception as error:  # a damaged archive can make zipfile raise nearly anything
        raise RecordingError(f"{path}: member {name!r} cannot be read ({error})") from None
    if not data or size % EVENT_BYTES:
        raise RecordingError(f"{path}: member {name!r} of {size} bytes is not an N-MNIST recording")
    return data
