"""Events to frames, exactly as SpikingJelly integrates them."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.recording import EventRecording

__all__ = [
    "bin_events", "check_steps", "split_by_length", "split_by_number", "split_by_time", "step_edges", "steps_filled",
]  # fmt: skip

MAX_FRAME_VALUES = 2**30


def bin_events(recording: EventRecording, n_steps: int, split_by: str | int = "number") -> np.ndarray:
    """Count the events of each step, polarity and pixel.

    Parameters
    ----------
    recording : EventRecording
        With at least one event.
    n_steps : int
        Number of frames.
    split_by : {"number", "time"} or int
        Steps of an equal number of events, or of equal duration. Both round down, and what is left over goes to
        the last step. Without enough events (or time) for n_steps, all of them are in the last step.
        A number is the length of a step in microseconds, see `split_by_length`: nothing is left over, and what comes
        behind the last step is in none.

    Returns
    -------
    float32 [n_steps, 2, height, width]
        Channel 0 counts polarity 0 (off), channel 1 polarity 1 (on).
    """
    check_steps(n_steps, recording.sensor)
    edges = step_edges(recording, n_steps, split_by)
    height, width = recording.sensor
    size = 2 * height * width
    place = (recording.p.astype(np.int64) * height + recording.y) * width + recording.x
    frames = np.empty((n_steps, size), np.float32)
    for step in range(n_steps):
        frames[step] = np.bincount(place[edges[step] : edges[step + 1]], minlength=size)
    return frames.reshape(n_steps, 2, height, width)


def step_edges(recording: EventRecording, n_steps: int, split_by: str | int) -> np.ndarray:
    """First event of each step, and the end (int64 [n_steps + 1]), in any way to split."""
    if isinstance(split_by, int):
        return split_by_length(recording.t, n_steps, split_by)
    splits = {"number": split_by_number, "time": split_by_time}
    if split_by not in splits:
        raise RecordingError(f"split_by is {split_by!r}; expected 'number' or 'time'")
    return splits[split_by](recording.t, n_steps)


def check_steps(n_steps: int, sensor: tuple[int, int]) -> None:
    """Refuse a number of steps that is none, or whose frames would not fit in memory."""
    height, width = sensor
    most = MAX_FRAME_VALUES // (2 * height * width)
    if not 1 <= n_steps <= most:
        raise RecordingError(f"{n_steps} steps of 2x{height}x{width}; expected 1 to {most} at this sensor size")


def split_by_number(t: np.ndarray, n_steps: int) -> np.ndarray:
    """First event of each step, and the end: int64 [n_steps + 1], steps of an equal number of events."""
    edges = np.arange(n_steps + 1, dtype=np.int64) * (t.size // n_steps)
    edges[-1] = t.size
    return edges


def steps_filled(t: np.ndarray, length: int) -> int:
    """Steps of so many microseconds from the first event to the last one."""
    return int(t[-1] - t[0]) // length + 1


def split_by_length(t: np.ndarray, n_steps: int, length: int) -> np.ndarray:
    """First event of each step, and the end: int64 [n_steps + 1], steps of `length` microseconds.

    Step k holds the events at  t[0] + k length <= t < t[0] + (k + 1) length. Steps behind the last event are empty;
    events behind the last step are left out, so the last edge may be less than their number.
    """
    length = min(length, int(t[-1] - t[0]) + 1)  # a longer step holds no more; so that no product overflows
    starts = length * np.minimum(np.arange(n_steps + 1, dtype=np.int64), steps_filled(t, length))
    return np.searchsorted(t - t[0], starts, side="left").astype(np.int64)


def split_by_time(t: np.ndarray, n_steps: int) -> np.ndarray:
    """First event of each step, and the end: int64 [n_steps + 1], steps of equal whole microseconds."""
    duration = int(t[-1] - t[0]) // n_steps
    edges = np.searchsorted(t, t[0] + duration * np.arange(n_steps + 1, dtype=np.int64), side="left")
    edges[-1] = t.size
    return edges
