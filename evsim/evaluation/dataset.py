"""Dataset: an ordered list of labelled recordings, found by looking into a folder or a file; nothing is read yet."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Protocol

from evsim.checkpoints.class_names import find_class
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
    by_position : bool
        The user has said how the classes are numbered: their names are not compared with the network's.
    has_own_order : bool
        The numbers of the classes are the data set's own; without it, only the order of folders tells them.
    """

    kind: str
    items: tuple[Item, ...]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    reader: Reader | None = None
    by_position: bool = False
    has_own_order: bool = True

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
    class_order : {"lexicographic", "numeric"}, optional
        Number folders as classes by their position: '0', '1', '10', '2', ... as torchvision, SpikingJelly and the
        official code do, or 0, 1, 2, ..., 10. Without it, classes are matched with the network's by their names.
    """

    split: str = "test"
    download: bool = False
    class_order: str | None = None

    def __post_init__(self) -> None:
        if self.split not in ("test", "train"):
            raise RecordingError(f"split {self.split!r}: expected test or train")
        if self.class_order not in (None, *CLASS_ORDERS):
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
    """Labels renumbered to a network's class names; a class of the dataset that the network does not name is refused.

    The dataset may hold some of the network's classes. Where only one side has names, labels stay as they are if they
    are numbers by their nature (stored in the file, or fixed by the data set's publishers), and are refused if they
    would be numbered by the order of folders alone. With ``by_position``, the user has told how to number them.

    Raises
    ------
    RecordingError
        Names that do not match; both lists are shown.
    """
    ours = dataset.class_names
    if dataset.by_position:
        return replace(dataset, notes=(*dataset.notes, _numbered(ours, names)))
    if ours is None:
        return _renumbered_by_number(dataset, names)
    if not names:
        if dataset.has_own_order or _are_numbers_in_order(ours):
            return dataset
        raise RecordingError(f"the network's classes have no names, the dataset has {_list(ours)}: {_TELL}")
    index = [find_class(name, names) for name in ours]
    if None in index or len(set(index)) < len(index):
        wrong = next(name for place, name in zip(index, ours, strict=True) if place is None or index.count(place) > 1)
        raise RecordingError(
            f"class {wrong!r} of the dataset is not exactly one of the network's: the dataset has {_list(ours)}; the "
            f"network {_list(names)}: {_TELL}"
        )
    if index == list(range(len(ours))) and len(ours) == len(names):
        return dataset
    items = tuple(replace(item, label=index[item.label]) for item in dataset.items)
    order = "the same classes in another order" if len(ours) == len(names) else f"{len(names)} classes, the dataset has"
    some = "" if len(ours) == len(names) else f" {len(ours)} of them"
    note = f"the network numbers {order}{some}; labels were matched by class name"
    return replace(dataset, items=items, class_names=tuple(names), notes=(*dataset.notes, note))


_TELL = "--class-order lexicographic or numeric numbers the dataset's classes by their position"


def _renumbered_by_number(dataset: Dataset, names: Sequence[str] | None) -> Dataset:
    """Numbers stored in the recordings, where the network's classes are called by numbers, mean those."""
    index = {item.label: find_class(item.label, names) for item in dataset.items}
    unknown = [label for label, place in index.items() if place is None and 0 <= label < len(names)]
    if unknown:
        raise RecordingError(f"label {unknown[0]} of the dataset is none of the network's classes {_list(names)}")
    index = {label: label if place is None else place for label, place in index.items()}  # out of range: see `_check`
    if all(label == place for label, place in index.items()):
        return dataset
    note = "the recordings' labels were matched to classes of the same number, which the network has in another order"
    items = tuple(replace(item, label=index[item.label]) for item in dataset.items)
    return replace(dataset, items=items, notes=(*dataset.notes, note))


def _are_numbers_in_order(names: Sequence[str]) -> bool:
    """0, 1, 2, ...: any way to number them is the same."""
    return list(names) == [str(number) for number in range(len(names))]


def _numbered(ours: Sequence[str] | None, names: Sequence[str] | None) -> str:
    shown = [f"{name} is output {i}" + (f" ({names[i]})" if names and i < len(names) else "")
             for i, name in enumerate(ours or ())]  # fmt: skip
    return f"classes are numbered by position, as told: {_list(shown)}"


def _list(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


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
