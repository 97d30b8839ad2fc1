"""Steps: a recording cut into the steps of a network, as the spikes its first layer receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from evsim.engine.spikes import Spikes, check_places
from evsim.errors import RecordingError
from evsim.recordings.arrival import arrival_order
from evsim.recordings.binning import bin_events, step_edges
from evsim.recordings.duration import written
from evsim.recordings.fit import Fit, fit_frames
from evsim.recordings.recording import EventRecording, ImageRecording, Recording

__all__ = ["Steps", "frame_spikes", "image_spikes", "to_steps"]

MAX_ADDRESS = 2**31 - 1
"""Addresses are int32."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The input of a network, step by step.

    Parameters
    ----------
    spikes : tuple of Spikes
        One a step; addresses on a map of `shape`.
    constant : bool
        Every step is the same object (a direct-coded image), so that a stem may compute it once.
    shape : (int, int, int)
        Height, width and n_channels of the map.
    layout, label, notes
        As in the recording; notes also say what was done to it on the way.
    arrival : callable, optional
        Of a recording of events: for each step the indices of its events in the order of their time stamps, see
        `evsim.recordings.arrival.arrival_order`.
    """

    spikes: tuple[Spikes, ...]
    constant: bool
    shape: tuple[int, int, int]
    layout: str
    label: int | None = None
    notes: tuple[str, ...] = ()
    arrival: Callable[[], tuple[np.ndarray, ...]] | None = None

    def __len__(self) -> int:
        return len(self.spikes)


def to_steps(
    recording: Recording,
    n_steps: int,
    n_channels: int,
    height: int,
    width: int,
    split_by: str | int = "number",
    fit: Fit | None = None,
) -> Steps:
    """Cut a recording into the input of a network that takes n_channels x height x width.

    Events are binned into n_steps, see `evsim.recordings.binning.bin_events`. Frames keep their own number of steps, as
    the official code lets the data decide.
    An image is repeated n_steps times.

    Raises
    ------
    RecordingError
        When channels or sizes do not fit (and `fit` does not allow the change).
    """
    notes = list(recording.notes)
    try:
        frames = _fitted(recording, n_steps, (n_channels, height, width), split_by, fit or Fit(), notes)
    except RecordingError as error:
        raise RecordingError(f"{recording.path}: {error}" if recording.path else str(error)) from None
    constant = isinstance(recording, ImageRecording)
    spikes = (image_spikes(frames[0]),) * n_steps if constant else frame_spikes(frames)
    shape, fit = (height, width, n_channels), fit or Fit()
    arrival = None
    if isinstance(recording, EventRecording) and fit.resize is None:  # resized counts are real values, taken whole
        arrival = partial(arrival_order, recording, spikes, split_by, fit, shape)
    return Steps(spikes, constant, shape, recording.layout, recording.label, tuple(notes), arrival)


def _fitted(
    recording: Recording, n_steps: int, shape: tuple[int, int, int], split_by: str | int, fit: Fit, notes: list[str]
) -> np.ndarray:
    """Frames whose n_channels, height and width are `shape`."""
    if n_steps < 1:
        raise RecordingError(f"n_steps is {n_steps}; expected at least 1")
    frames = _frames(recording, n_steps, split_by, notes)
    n_channels, height, width = shape
    if n_channels * height * width > MAX_ADDRESS:
        raise RecordingError(f"maps of {n_channels}x{height}x{width} have more than {MAX_ADDRESS} addresses")
    found = frames.shape[-2:]
    if fit.channels is None and frames.shape[1] != n_channels:
        raise RecordingError(
            f"the recording has {frames.shape[1]} channels but the network takes {n_channels} ({recording.layout})"
            + ("; --fit on_off_sum appends their sum" if (frames.shape[1], n_channels) == (2, 3) else "")
            + ("; if channels are its last axis, say --axes 'T H W C'" if frames.shape[-1] == n_channels else "")
        )
    frames = fit_frames(frames, height, width, fit)
    if frames.shape[1] != n_channels:
        raise RecordingError(f"{fit} gives {frames.shape[1]} channels but the network takes {n_channels}")
    if fit != Fit():
        notes.append(f"frames of {found[0]}x{found[1]} were fitted to {height}x{width} by {fit}")
    return frames


def _frames(recording: Recording, n_steps: int, split_by: str | int, notes: list[str]) -> np.ndarray:
    """float32 [n_steps, n_channels, height, width]; an image is one step."""
    if isinstance(recording, EventRecording):
        notes.append(_cut(recording, n_steps, split_by))
        return bin_events(recording, n_steps, split_by)
    if isinstance(recording, ImageRecording):
        return recording.image[None]
    if len(recording.frames) != n_steps:
        notes.append(f"the file has {len(recording.frames)} frames, the network was asked for {n_steps}: the file wins")
    return recording.frames


def _cut(recording: EventRecording, n_steps: int, split_by: str | int) -> str:
    """What a note says of it."""
    n = recording.t.size
    if isinstance(split_by, str):
        return f"{n} events were cut into {n_steps} steps by {split_by}"
    n_in = int(step_edges(recording, n_steps, split_by)[-1])
    n_later = n - n_in
    left = f"; {n_later:,} later event{'s' * (n_later > 1)} left out" if n_later else ""
    return f"{n_in} events were cut into {n_steps} steps of {written(split_by)} from the first event on{left}"


def frame_spikes(frames: np.ndarray) -> tuple[Spikes, ...]:
    """The spikes of each frame of [n_steps, n_channels, height, width]; counts are int32 payloads."""
    return tuple(Spikes.from_dense(np.moveaxis(frame, 0, -1)) for frame in frames)


def image_spikes(image: np.ndarray) -> Spikes:
    """Real-valued spikes of an image [n_channels, height, width]: every nonzero value is one event, payload float32."""
    flat = np.ascontiguousarray(np.moveaxis(image, 0, -1), dtype=np.float32).reshape(-1)
    check_places(flat.size)
    address = np.flatnonzero(flat).astype(np.int32)
    return Spikes(address, flat[address])
