"""MNIST: an .npz with images and labels, or the IDX files of the original distribution."""

from __future__ import annotations

from pathlib import Path

from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.labelled_images import find_images, read_image
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import Recording


def find(root: Path, options: FindOptions) -> Dataset:
    """The images in the file's order."""
    return find_images("mnist", root, options.split, tuple(str(digit) for digit in range(10)))


def read(item: Item, options: ReadOptions) -> Recording:
    """One image."""
    return read_image(item, options)
