"""CIFAR-10: an .npz with images and labels, or the binary version (`test_batch.bin`)."""

from __future__ import annotations

from pathlib import Path

from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.datasets.cifar10dvs import CLASSES
from evsim.evaluation.labelled_images import find_images, read_image
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import Recording

NORMALISE = "cifar10"


def find(root: Path, options: FindOptions) -> Dataset:
    """The images in the file's order."""
    return find_images("cifar10", root, options.split, CLASSES)


def read(item: Item, options: ReadOptions) -> Recording:
    """One image."""
    return read_image(item, options)
