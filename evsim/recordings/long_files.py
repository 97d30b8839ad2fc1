"""bin_file: the frames of a file that need not fit in memory."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.binning import check_steps
from evsim.recordings.recording import FrameRecording
from evsim.recordings.stream import CHUNK_EVENTS, iter_events

__all__ = ["bin_file"]


def bin_file(
    path, n_steps: int, split_by: str = "number", chunk_events: int = CHUNK_EVENTS, **options
) -> FrameRecording:
    """What ``bin_events(read_recording(path), ...)`` gives, read in pieces, once to count and once to bin.

    Parameters
    ----------
    path, options
        As for `iter_events`.
    n_steps, split_by
        As for `bin_events`.
    chunk_events : int
        How many events are in memory at a time.
    """
    if split_by not in ("number", "time"):
        raise RecordingError(f"split_by is {split_by!r}; expected 'number' or 'time'")
    n, first, last, sensor = _measure(iter_events(path, chunk_events, **options))
    check_steps(n_steps, sensor)
    height, width = sensor
    total = np.zeros(n_steps * 2 * height * width, np.float32)
    done = 0
    for piece in iter_events(path, chunk_events, **(options | {"sensor": sensor})):
        clock, unit = (
            (np.arange(done, done + piece.t.size), n) if split_by == "number" else (piece.t - first, last - first)
        )
        _add(total, _steps(clock, unit // n_steps, n_steps), piece)
        done += piece.t.size
    notes = (*piece.notes, f"{n} events were cut into {n_steps} steps by {split_by}, a piece of the file at a time")
    frames = total.reshape(n_steps, 2, height, width)
    return FrameRecording(frames, piece.layout, piece.label, notes, piece.path)


def _measure(pieces) -> tuple[int, int, int, tuple[int, int]]:
    """How many events, the first and the last time, the sensor."""
    first, n = None, 0
    for piece in pieces:
        first = int(piece.t[0]) if first is None else first
        n += piece.t.size
    return n, first, int(piece.t[-1]), piece.sensor


def _steps(clock: np.ndarray, share: int, n_steps: int) -> np.ndarray:
    """The step of each event; what is left over, or cannot be shared out, goes to the last."""
    if share == 0:
        return np.full(clock.size, n_steps - 1)
    return np.minimum(clock // share, n_steps - 1)


def _add(total: np.ndarray, step: np.ndarray, piece) -> None:
    height, width = piece.sensor
    place = ((step * 2 + piece.p) * height + piece.y) * width + piece.x
    # Steps never decrease, so one piece touches a short stretch of the frames.
    low = int(step[0]) * 2 * height * width
    counts = np.bincount(place - low)
    total[low : low + counts.size] += counts
