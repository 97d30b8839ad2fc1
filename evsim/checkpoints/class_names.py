"""What the classes of a published data set are called, in the order in which the official code numbers them."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["class_names", "find_class", "folded"]

_CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

_GESTURES = [
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter clockwise",
    "left arm clockwise", "left arm counter clockwise", "arm roll", "air drums", "air guitar", "other gestures",
]  # fmt: skip


def class_names(dataset: object, n_classes: int) -> list[str] | None:
    """Names by class index, or None where the data set is not known or has another number of classes.

    The official code numbers the gesture classes by the lexicographic order of their folders ('0', '1', '10',
    '2', ...), so index 2 is folder 10, "other gestures".
    """
    folders = sorted(range(len(_GESTURES)), key=str)
    known = {
        "cifar10": _CIFAR10,
        "cifar10-dvs": _CIFAR10,
        "mnist": [str(digit) for digit in range(10)],
        "nmnist": [str(digit) for digit in range(10)],
        "gesture": [_GESTURES[folder] for folder in folders],
        "dvsgesture": [_GESTURES[folder] for folder in folders],
    }
    names = known.get(str(dataset).lower().removeprefix("torch/").removesuffix("-tet"))
    return names if names and len(names) == n_classes else None


def find_class(label: int | str | None, names: Sequence[str] | None) -> int | None:
    """The index of the class that a recording's own label means; None where that cannot be told.

    A number means the class of that name where all names are numbers, else the class of that index. Text means the
    class of that name.
    """
    if label is None:
        return None
    known = [folded(name) for name in names or ()]
    if isinstance(label, str) or (known and all(name.isdecimal() for name in known)):
        wanted = folded(str(label))
        return known.index(wanted) if known.count(wanted) == 1 else None
    return label


def folded(name: str) -> str:
    """A name as it is compared: ``Hand_clapping`` is ``hand clapping``, and ``07`` is ``7 - seven``."""
    words = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", name).strip().casefold()
    digits = re.fullmatch(r"(\d+)(?: (?:zero|one|two|three|four|five|six|seven|eight|nine))?", words)
    return str(int(digits[1][:18])) if digits else words
