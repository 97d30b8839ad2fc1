"""CIFAR10-DVS: `<class>/<recording>` as tonic (.aedat4) or SpikingJelly (events_np, .npz) keep it.

There is no official split. The published networks take the first nine tenths of each class, in order of the file
names, for training, and the rest for testing; so does this.
"""

from __future__ import annotations

import math
from pathlib import Path

from evsim.errors import RecordingError
from evsim.evaluation.class_folders import class_folders, first_folder, recordings_in
from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.fetch import fetch

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NOTE = "the {split} split is the {part} of each class by file name, as the official code does"


def find(root: Path, options: FindOptions) -> Dataset:
    """The files of one split."""
    if options.download:
        fetch("CIFAR10DVS", root)
    folder = first_folder(root, ("events_np", "CIFAR10DVS/events_np", "CIFAR10DVS", ""))
    folders = [path for path in class_folders(folder) if path.name in CLASSES]
    if len(folders) != len(CLASSES):
        raise RecordingError(f"{folder}: expected a folder for each of {', '.join(CLASSES)}; found {len(folders)}")
    items = []
    for label, class_folder in enumerate(folders):
        files = list(recordings_in(class_folder))
        n_train = math.ceil(0.9 * len(files))
        chosen = files[n_train:] if options.split == "test" else files[:n_train]
        items += [Item(path.relative_to(folder).as_posix(), str(path), label) for path in chosen]
    part = "last tenth" if options.split == "test" else "first nine tenths"
    return Dataset("cifar10dvs", tuple(items), CLASSES, (NOTE.format(split=options.split, part=part),))
