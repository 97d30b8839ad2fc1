"""ImageNet-1k: `val/<synset>/<image>`, classes in order of the synset names as every published network has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evsim.errors import RecordingError
from evsim.evaluation.dataset import Dataset, FindOptions
from evsim.evaluation.datasets import folder

NORMALISE = "imagenet"
N_CLASSES = 1000


def find(root: Path, options: FindOptions) -> Dataset:
    """The images below `val` (or `train`)."""
    found = folder.find(root, options)
    if len(found.class_names) != N_CLASSES:
        raise RecordingError(
            f"{root}: expected {N_CLASSES} folders named after synsets; found {len(found.class_names)}"
        )
    return replace(found, kind="imagenet", has_own_order=True)


def crop_pct(family: str) -> float:
    """What share of an image's side the official code of `family` sees."""
    return 0.95 if family.startswith("sdt") else 1.0
