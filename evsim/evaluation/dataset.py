"""Dataset: an ordered list of labelled recordings, found by looking into a folder or a file; nothing is read yet."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Protocol

from evsim.errors import RecordingError
from evsim.recordings.discover import formats_of
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import refused
from evsim.recordings.recording import Recording

__all__ = [
    "Dataset",
    "FindOptions",
    "Item",
    "align_classes",
    "choose_items",
    "dataset_names",
    "find_dataset",
    "kind_module",
]

CLASS_ORDERS = ("lexicographic", "numeric")


@dataclass(frozen=True, slots=True)
class Item:
    """One recording of a dataset, and where it is.

    Parameters
    ----------
    id : str
        Unique in the dataset and the same on every machine.
    path : str
    label : int
        Index of its class.
    index : int or str, optional
        Which recording of a file that holds many.
    """

    id: str
    path: str
    label: int
    index: int | str | None = None


class Reader(Protocol):
    """Whoever holds the recordings of a dataset in memory."""

    def read(self, item: Item, options: ReadOptions) -> Recording: ...


@dataclass(frozen=True)
class Dataset:
    """Labelled recordings in a fixed order.

    Parameters
    ----------
    kind : str
        Name of the module of `evsim.evaluation.datasets` that found it and knows how to read an item.
    items : tuple of Item
    class_names : tuple of str or None
        By class index.
    notes : tuple of str
        What was assumed, for the user to see.
    reader : Reader, optional
        Of a dataset in memory: reads an item in place of the kind's module.
    """

    kind: str
    items: tuple[Item, ...]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    reader: Reader | None = None

    def fingerprint(self) -> str:
        """SHA-256 over ids and labels in order: two datasets with the same one are evaluated alike."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(f"{item.id}\t{item.label}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


@dataclass(frozen=True)
class FindOptions:
    """What to look for.

    Parameters
    ----------
    split : {"test", "train"}
    download : bool
        Let tonic fetch the dataset into the root folder first.
    class_order : {"lexicographic", "numeric"}
        How folders with numbers for names are numbered as classes: '0', '1', '10', '2', ... as torchvision,
        SpikingJelly and the official code do, or 0, 1, 2, ..., 10.
    """

    split: str = "test"
    download: bool = False
    class_order: str = "lexicographic"

    def __post_init__(self) -> None:
        if self.split not in ("test", "train"):
            raise RecordingError(f"split {self.split!r}: expected test or train")
        if self.class_order not in CLASS_ORDERS:
            raise RecordingError(f"class order {self.class_order!r}: expected {' or '.join(CLASS_ORDERS)}")


def find_dataset(name: str, root: str | None = None, options: FindOptions | None = None) -> Dataset:
    """The dataset called `name` under the folder `root`, or the one at the path `name`.

    Raises
    ------
    RecordingError
        Unknown name, no such folder, or nothing in it that looks like the dataset.
    """
    options = options or FindOptions()
    kinds = _kinds()
    if name in kinds:
        if root is None:
            raise RecordingError(f"dataset {name}: say where it is with --root DIR")
        module, place = kinds[name], Path(root)
    else:
        module, place = _kind_of_path(name, kinds), Path(name)
    if not place.exists() and not options.download:
        raise RecordingError(f"{place}: no such file or folder")
    with refused(place):
        try:
            dataset = module.find(place, options)
        except OSError as error:
            if error.strerror is None:
                raise
            raise RecordingError(f"{place}: cannot be listed ({error.strerror})") from None
    if not dataset.items:
        raise RecordingError(f"{place}: holds no labelled recording ({dataset.kind})")
    return dataset


def dataset_names() -> list[str]:
    """Datasets that are found by name under a root folder."""
    return list(_kinds())


def kind_module(kind: str) -> ModuleType:
    """The module of `evsim.evaluation.datasets` of that name."""
    return _kinds()[kind]


def choose_items(items: Sequence[Item], limit: int | None, shuffle_seed: int | None) -> tuple[Item, ...]:
    """The first `limit` items, after a shuffle that depends on the seed alone."""
    chosen = list(items)
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(chosen)
    return tuple(chosen[:limit])


def align_classes(dataset: Dataset, names: Sequence[str] | None) -> Dataset:
    """Labels renumbered to a network's class names, where both know the same names in different orders."""
    if not names or not dataset.class_names:
        return dataset
    ours, theirs = _folded(dataset.class_names), _folded(names)
    if ours == theirs or sorted(ours) != sorted(theirs) or len(set(ours)) < len(ours):
        return dataset
    index = [theirs.index(name) for name in ours]
    items = tuple(replace(item, label=index[item.label]) for item in dataset.items)
    note = "the network numbers the same classes in another order; labels were matched by class name"
    return replace(dataset, items=items, class_names=tuple(names), notes=(*dataset.notes, note))


def _folded(names: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in names]


def _kinds() -> dict[str, ModuleType]:
    from evsim.evaluation import datasets

    return formats_of(datasets)


def _kind_of_path(name: str, kinds: dict[str, ModuleType]) -> ModuleType:
    path = Path(name)
    if not path.exists():
        raise RecordingError(f"dataset {name}: neither a path nor one of {', '.join(kinds)}")
    for module in kinds.values():
        if hasattr(module, "recognises") and module.recognises(path):
            return module
    raise RecordingError(f"{path}: neither a folder of classes nor a file of labelled recordings evsim knows")
