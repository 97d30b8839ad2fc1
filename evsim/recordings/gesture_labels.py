"""The label file beside a DVS128 Gesture recording: `user01_led_labels.csv`, rows of class, begin and end.

One recording holds about a dozen gestures one after the other; each row is a recording of its own for a network.
Classes are numbered from 1 in the file and from 0 here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings.discover import choose

__all__ = ["Trial", "gesture_classes", "gesture_trial"]

MAX_BYTES = 2**16
WHOLE = "whole"


@dataclass(frozen=True)
class Trial:
    """One gesture: events with ``begin <= t < end``, as SpikingJelly cuts them."""

    label: int
    begin: int
    end: int
    notes: tuple[str, ...]


def gesture_trial(path: Path, index: int | str | None) -> Trial | None:
    """The gesture asked for; None without a label file, or with index="whole".

    Raises
    ------
    RecordingError
        When the label file is damaged, or has no such row.
    """
    labels = path.with_name(f"{path.stem}_labels.csv")
    if index == WHOLE or not labels.is_file():
        return None
    trials = _rows(labels)
    row, notes = choose(labels, range(len(trials)), index)
    label, begin, end = trials[int(row)]
    cut = f"gesture {row} of {labels.name}: class {label + 1} of 1..11, {begin} to {end} us (index='whole' reads all)"
    return Trial(label, begin, end, (cut, *notes))


def gesture_classes(path: Path) -> list[int]:
    """The class of each gesture of a recording, from 0, in the order of the label file beside it."""
    labels = path.with_name(f"{path.stem}_labels.csv")
    if not labels.is_file():
        raise RecordingError(f"{path}: no label file {labels.name} beside it")
    return [label for label, _, _ in _rows(labels)]


def _rows(labels: Path) -> list[tuple[int, int, int]]:
    if labels.stat().st_size > MAX_BYTES:
        raise RecordingError(f"{labels}: is larger than a label file of {MAX_BYTES} bytes")
    rows = []
    for number, line in enumerate(labels.read_text("latin-1").splitlines()):
        fields = [field.strip() for field in line.split(",")]
        if not line.strip() or (number == 0 and not fields[0].isdigit()):
            continue
        if len(fields) != 3 or not all(field.isascii() and field.isdigit() and len(field) < 19 for field in fields):
            raise RecordingError(f"{labels}: line {number + 1} is {line[:60]!r}; expected class,startTime,endTime")
        rows.append((int(fields[0]) - 1, int(fields[1]), int(fields[2])))
    return rows
