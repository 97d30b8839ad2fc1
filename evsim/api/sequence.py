"""Any sequence of (recording, label) as a dataset: tonic's, PyTorch's, or a list."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from evsim.api.recordings import is_path, recordings_of
from evsim.errors import RecordingError
from evsim.evaluation.dataset import Dataset, Item
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import read_recording
from evsim.recordings.recording import Recording

__all__ = ["SequenceReader", "dataset_of"]


def dataset_of(entries: Sequence) -> Dataset:
    """A dataset whose recordings stay where they are, and are fetched when their turn comes.

    Labels are read first, from the sequence's attribute `targets` (or `labels`) where it has one as long as itself,
    else by fetching every entry once.

    Raises
    ------
    RecordingError
        No length, or an entry that is no (recording, label).
    """
    if not hasattr(entries, "__getitem__") or not hasattr(entries, "__len__"):
        raise RecordingError(
            f"a dataset of type {type(entries).__name__}: expected a name, a path, or a sequence of (recording, label)"
        )
    items = tuple(Item(str(i), f"entry {i}", label, i) for i, label in enumerate(_labels(entries)))
    names = getattr(entries, "classes", None)
    known = tuple(map(str, names)) if isinstance(names, (list, tuple)) and names else None
    sensor = _sensor(getattr(entries, "sensor_size", None))
    return Dataset("sequence", items, known, reader=SequenceReader(entries, sensor))


class SequenceReader:
    """Fetches entries one at a time: a dataset of others need not bear several threads.

    Parameters
    ----------
    entries : sequence of (recording, label)
    sensor : (int, int) or None
        Height and width, where the sequence knows them.
    """

    def __init__(self, entries: Sequence, sensor: tuple[int, int] | None) -> None:
        self._entries, self._sensor = entries, sensor
        self._fetching = threading.Lock()

    def read(self, item: Item, options: ReadOptions) -> Recording:
        """The recording of one entry."""
        with self._fetching:
            recording = _entry(self._entries, item.index)[0]
        if is_path(recording):
            return read_recording(recording, **{**vars(options), "index": None})
        told = ReadOptions(**{**vars(options), "sensor": options.sensor or self._sensor})
        found = recordings_of(recording, told)
        if len(found) != 1:
            raise RecordingError(f"entry {item.index}: a batch of {len(found)} recordings, expected one")
        return found[0]


def _labels(entries: Sequence) -> list[int]:
    for name in ("targets", "labels"):
        told = getattr(entries, name, None)
        if told is not None and len(told) == len(entries) and getattr(entries, "target_transform", None) is None:
            return [_label(i, label) for i, label in enumerate(told)]
    return [_label(i, _entry(entries, i)[1]) for i in range(len(entries))]


def _entry(entries: Sequence, i: int) -> tuple:
    entry = entries[i]
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise RecordingError(f"entry {i} of the dataset is a {type(entry).__name__}, expected (recording, label)")
    return tuple(entry)


def _label(i: int, label: object) -> int:
    try:
        number = int(label)
    except (TypeError, ValueError):
        raise RecordingError(f"the label of entry {i} is {label!r}, expected the number of a class") from None
    if number != label:
        raise RecordingError(f"the label of entry {i} is {label!r}, expected a whole number")
    return number


def _sensor(size: object) -> tuple[int, int] | None:
    """tonic's sensor_size is (width, height, polarities)."""
    if isinstance(size, (tuple, list)) and len(size) == 3:
        return int(size[1]), int(size[0])
    return None
