"""DVS128 Gesture: tonic's `ibmGestureTest/<user>/<n>.npy` or SpikingJelly's `events_np/test/<n>/*.npz`.

Both number the gestures 0 ... 10. The official networks were trained on folders in lexicographic order
('0', '1', '10', '2', ...), so their output 2 is gesture 10: labels are renumbered so, and the user is told.
"""

from __future__ import annotations

from pathlib import Path

from evsim.checkpoints.class_names import class_names
from evsim.errors import RecordingError
from evsim.evaluation.class_folders import first_folder, order_note, recordings_in
from evsim.evaluation.dataset import Dataset, FindOptions, Item
from evsim.evaluation.fetch import fetch

N_GESTURES = 11
TONIC = {"test": "ibmGestureTest", "train": "ibmGestureTrain"}


def find(root: Path, options: FindOptions) -> Dataset:
    """The recordings of whichever layout is there."""
    if options.download:
        fetch("DVSGesture", root, train=options.split == "train")
    split, tonic = options.split, TONIC[options.split]
    places = (tonic, f"DVSGesture/{tonic}", f"events_np/{split}", f"DVS128Gesture/events_np/{split}", split, "")
    folder = first_folder(root, places)
    is_tonic = folder.name == tonic
    order = list(range(N_GESTURES)) if options.class_order == "numeric" else sorted(range(N_GESTURES), key=str)
    items = [_item(folder, path, is_tonic, order) for path in recordings_in(folder)]
    names = dict(zip(sorted(range(N_GESTURES), key=str), class_names("dvsgesture", N_GESTURES), strict=True))
    notes = order_note([str(gesture) for gesture in order], options.class_order)
    return Dataset("dvsgesture", tuple(items), tuple(names[gesture] for gesture in order), notes)


def _item(folder: Path, path: Path, is_tonic: bool, order: list[int]) -> Item:
    """tonic names the file after the gesture, SpikingJelly the folder."""
    gesture = path.stem if is_tonic else path.parent.name
    if not gesture.isdecimal() or int(gesture) not in order:
        raise RecordingError(f"{path}: {gesture!r} is not a gesture number from 0 to {N_GESTURES - 1}")
    return Item(path.relative_to(folder).as_posix(), str(path), order.index(int(gesture)))
