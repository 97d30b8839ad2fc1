"""Arrays of many images: which one is asked for, and what it is labelled."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import image_of, single_label
from evsim.recordings.discover import choose
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import ImageRecording

__all__ = ["image_of_set", "split_of"]

PREFERRED = ("test", "val", "valid", "train", "")


def split_of(path, splits: list[str], index: int | str | None) -> tuple[str, int | str | None, tuple[str, ...]]:
    """The split and the number meant by ``test:12`` or by 12, and a note where the split was chosen here."""
    name, colon, number = index.partition(":") if isinstance(index, str) else ("", "", index)
    if colon:
        if name not in splits:
            raise RecordingError(f"{path}: there is no split {name!r}; it has {', '.join(splits)}")
        return name, number, ()
    chosen = next(split for split in (*PREFERRED, *splits) if split in splits)
    others = [f"'{split}:NUMBER'" for split in splits if split != chosen]
    note = (f"the {chosen} split was taken; index={' or '.join(others)} takes another",) if others else ()
    return chosen, index, note


def image_of_set(
    path, images: np.ndarray, labels: np.ndarray | None, options: ReadOptions, what: str, notes: tuple[str, ...] = ()
) -> ImageRecording:
    """One image of uint8 [n, height, width], [n, height, width, 3] or [n, 3, height, width]."""
    if images.ndim not in (3, 4):
        raise RecordingError(f"{path}: {what} has shape {list(images.shape)}; expected images [n, height, width, ...]")
    key, said = choose(path, range(len(images)), options.index)
    label = single_label(labels[int(key)]) if labels is not None and len(labels) == len(images) else None
    found = image_of(path, images[int(key)], options, f"{what}, image {key}", label)
    return ImageRecording(found.image, found.layout, found.label, (*notes, *said, *found.notes))
