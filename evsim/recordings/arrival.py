"""Arrival: in which order the events of a step reach a network that takes them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evsim.engine.spikes import Spikes
from evsim.recordings.binning import step_edges
from evsim.recordings.fit import Fit, fit_frames
from evsim.recordings.recording import EventRecording

__all__ = ["arrival_order"]


def arrival_order(
    recording: EventRecording, spikes: Sequence[Spikes], split_by: str | int, fit: Fit, shape: tuple[int, int, int]
) -> tuple[np.ndarray, ...]:
    """For each step the indices of its events in the order of their time stamps.

    A count of several events arrives as one, when its last event does: before, it is not known. Counts whose last
    events came at one time stand in the order of the file.

    Parameters
    ----------
    recording : EventRecording
    spikes : sequence of Spikes
        The steps that were made of it.
    split_by, fit
        As they were made.
    shape : (int, int, int)
        Height, width and n_channels of the network's input.
    """
    height, width = recording.sensor
    edges = step_edges(recording, len(spikes), split_by)
    place = (recording.p.astype(np.int64) * height + recording.y) * width + recording.x
    last = np.zeros((len(spikes), 2 * height * width))
    for step in range(len(spikes)):
        here = place[edges[step] : edges[step + 1]]
        last[step, here] = np.arange(1, here.size + 1)  # of several events of a place, the last one stays
    fitted = _fitted(last.reshape(len(spikes), 2, height, width), fit, shape)
    return tuple(
        np.argsort(np.moveaxis(frame, 0, -1).reshape(-1)[events.address], kind="stable")
        for frame, events in zip(fitted, spikes, strict=True)
    )


def _fitted(last: np.ndarray, fit: Fit, shape: tuple[int, int, int]) -> np.ndarray:
    """As `fit_frames` moves counts, but what is added up there arrives here with its last part."""
    n = fit.downsample
    blocks = last.reshape(*last.shape[:2], last.shape[2] // n, n, last.shape[3] // n, n).max(axis=(3, 5))
    moved = fit_frames(blocks, *shape[:2], replace(fit, downsample=1, average=False, channels=None))
    return moved if fit.channels is None else np.concatenate([moved, moved.max(axis=1, keepdims=True)], axis=1)
