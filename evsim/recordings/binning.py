"""Events to frames, exactly as SpikingJelly integrates them."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.recording import EventRecording

__all__ = ["bin_events", "check_steps", "split_by_number", "split_by_time", "step_edges"]

MAX_FRAME_VALUES = 2**30


def bin_events(recording: EventRecording, n_steps: int, split_by: str = "number") -> np.ndarray:
    """Count the events of each step, polarity and pixel.

    Parameters
    ----------
    recording : EventRecording
        With at least one event.
    n_steps : int
        Number of frames.
    split_by : {"number", "time"}
        Steps of an equal number of events, or of equal duration. Both round down, and what is left over goes to
        the last step. Without enough events (or time) for n_steps, all of them are in the last step.

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


def step_edges(recording: EventRecording, n_steps: int, split_by: str) -> np.ndarray:
    """First event of each step, and the end (int64 [n_steps + 1]), in either way to split."""
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


def split_by_time(t: np.ndarray, n_steps: int) -> np.ndarray:
    """First event of each step, and the end: int64 [n_steps + 1], steps of equal whole microseconds."""
    duration = int(t[-1] - t[0]) // n_steps
    edges = np.searchsorted(t, t[0] + duration * np.arange(n_steps + 1, dtype=np.int64), side="left")
    edges[-1] = t.size
    return edges
