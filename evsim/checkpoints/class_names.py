"""What the classes of a published data set are called, in the order in which the official code numbers them."""

from __future__ import annotations

__all__ = ["class_names"]

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
