"""Recording: what a file holds before it is cut into the steps of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["EventRecording", "FrameRecording", "ImageRecording", "Recording"]


@dataclass(frozen=True, eq=False)
class EventRecording:
    """Address events of one event camera, in order of time.

    Parameters
    ----------
    t : int64 [n]
        Time stamps in microseconds of the sensor, non-decreasing.
    x, y : int32 [n]
        Column and row, 0 at the left and at the top.
    p : int8 [n]
        Polarity, 0 (off) or 1 (on).
    sensor : (int, int)
        Height and width of the sensor in pixels.
    layout : str
        In words, what was found in the file ("HDF5 group 'events' with x, y, p, t").
    label : int or None
        The class, where the file carries one.
    notes : tuple of str
        What a reader had to do or assume (sorted the time stamps, guessed the sensor size), for the user to see.
    path : str
        The file it was read from, for messages; empty when it was made in memory.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    sensor: tuple[int, int]
    layout: str
    label: int | None = None
    notes: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, eq=False)
class FrameRecording:
    """Frames already cut into steps: `frames` [n_steps, n_channels, height, width], counts or real values."""

    frames: np.ndarray
    layout: str
    label: int | None = None
    notes: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, eq=False)
class ImageRecording:
    """One still image, float32 [n_channels, height, width], already normalised; repeated at every step."""

    image: np.ndarray
    layout: str
    label: int | None = None
    notes: tuple[str, ...] = ()
    path: str = ""


Recording = EventRecording | FrameRecording | ImageRecording
