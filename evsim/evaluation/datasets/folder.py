"""A folder for each class, with recordings of any format evsim reads."""

from __future__ import annotations

from pathlib import Path

from evsim.evaluation.class_folders import class_folders, folder_items, order_note
from evsim.evaluation.dataset import Dataset, FindOptions

SPLITS = {"test": ("test", "Test", "val", "validation"), "train": ("train", "Train")}


def recognises(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def find(root: Path, options: FindOptions) -> Dataset:
    """`root/<class>/**/<recording>`; a folder `test` or `val` (or `train`) in between is entered."""
    notes = ()
    for split in SPLITS[options.split]:
        if (root / split).is_dir():
            root, notes = root / split, (f"the folder {split!r} was taken as the {options.split} split",)
            break
    folders, told = class_folders(root, options.class_order), options.class_order is not None
    names = tuple(folder.name for folder in folders)
    notes += order_note(names, options.class_order) if told else ()
    return Dataset("folder", tuple(folder_items(root, folders)), names, notes, by_position=told, has_own_order=False)
