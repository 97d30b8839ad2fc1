"""DVS128 Gesture: as published (`trials_to_test.txt` and .aedat files), tonic's .npy or SpikingJelly's .npz files.

tonic keeps `ibmGestureTest/<user>/<n>.npy`, SpikingJelly `events_np/test/<n>/*.npz`; both number the gestures 0 ... 10.
The official networks were trained on folders in lexicographic order ('0', '1', '10', '2', ...), so their output 2 is
gesture 10: labels are renumbered so, and the user is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evsim.checkpoints.class_names import class_names
from evsim.errors import RecordingError
from evsim.evaluation.class_folders import first_folder, order_note, recordings_in
from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.fetch import fetch
from evsim.recordings.gesture_labels import gesture_classes

N_GESTURES = 11
TONIC = {"test": "ibmGestureTest", "train": "ibmGestureTrain"}


def find(root: Path, options: FindOptions) -> Dataset:
    """The recordings of whichever layout is there."""
    if options.download:
        fetch("DVSGesture", root, train=options.split == "train")
    split, tonic = options.split, TONIC[options.split]
    places = (tonic, f"DVSGesture/{tonic}", f"events_np/{split}", f"DVS128Gesture/events_np/{split}", split, "")
    order = list(range(N_GESTURES)) if options.class_order == "numeric" else sorted(range(N_GESTURES), key=str)
    published = [place for place in (root, root / "DvsGesture") if (place / f"trials_to_{split}.txt").is_file()]
    if published:
        items = list(_trials(published[0], split, order))
    else:
        folder = first_folder(root, places)
        items = [_item(folder, path, folder.name == tonic, order) for path in recordings_in(folder)]
    names = dict(zip(sorted(range(N_GESTURES), key=str), class_names("dvsgesture", N_GESTURES), strict=True))
    notes = order_note([str(gesture) for gesture in order], options.class_order or "lexicographic")
    return Dataset("dvsgesture", tuple(items), tuple(names[gesture] for gesture in order), notes)


def _item(folder: Path, path: Path, is_tonic: bool, order: list[int]) -> Item:
    """tonic names the file after the gesture, SpikingJelly the folder."""
    gesture = path.stem if is_tonic else path.parent.name
    if not gesture.isdecimal() or int(gesture) not in order:
        raise RecordingError(f"{path}: {gesture!r} is not a gesture number from 0 to {N_GESTURES - 1}")
    return Item(path.relative_to(folder).as_posix(), str(path), order.index(int(gesture)))


def _trials(folder: Path, split: str, order: list[int]) -> Iterator[Item]:
    """Every gesture of the recordings that the split names; one file holds about a dozen."""
    for name in (folder / f"trials_to_{split}.txt").read_text("latin-1").split():
        path = folder / Path(name).name
        for number, gesture in enumerate(gesture_classes(path)):
            if gesture not in order:
                raise RecordingError(f"{path}: gesture {gesture + 1} of its label file is none of 1 to {N_GESTURES}")
            yield Item(f"{path.stem}/{number}", str(path), order.index(gesture), number)
