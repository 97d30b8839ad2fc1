"""Preparation: how a recording becomes the steps of a network, as the user says or the weights file remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.errors import RecordingError
from evsim.recordings.fit_text import parse_fit
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import read_recording
from evsim.recordings.recording import EventRecording, FrameRecording, ImageRecording, Recording
from evsim.recordings.steps import Steps, to_steps
from evsim.runs.cutting import Cut, cut_of, takes_any_steps

__all__ = ["Preparation", "fit_recording", "prepare_input", "read_options"]


@dataclass(frozen=True)
class Preparation:
    """How a recording becomes the steps of a network; None leaves it to what the weights file remembers.

    Parameters
    ----------
    split_by : {"number", "time"}, optional
    fit : str, optional
        See `evsim.recordings.fit_text.parse_fit`.
    index : int or str, optional
        Which recording of a file that holds several: its number or its key.
    crop_pct : float, optional
        Resize a picture to the network's size / crop_pct and cut out its middle, as timm does; without it a picture
        must have the network's size.
    reading : ReadOptions
        What the user knows better than the file.
    dt : int, optional
        Cut events into steps of so many microseconds, in place of `split_by`.
    steps : int, optional
        How many steps, where the network takes any number of them.
    """

    split_by: str | None = None
    fit: str | None = None
    index: int | str | None = None
    crop_pct: float | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)
    dt: int | None = None
    steps: int | None = None

    @property
    def cut(self) -> Cut:
        """What it says of the steps."""
        return Cut(self.split_by, self.dt, self.steps)


def read_options(network: Network, weights: Weights, preparation: Preparation) -> ReadOptions:
    """What the user says, and for the rest what the network and its weights file know."""
    told = preparation.reading
    remembered = weights.header.get("normalisation")
    pixels = (remembered["mean"], remembered["std"]) if remembered else None
    if preparation.crop_pct is not None:
        told = replace(told, size=network.input_shape[:2], crop_pct=preparation.crop_pct)
    if preparation.index is not None:
        told = replace(told, index=preparation.index)
    n_steps = preparation.steps if takes_any_steps(weights) else network.n_steps
    return replace(told, trained_with=pixels or told.trained_with, n_steps=n_steps)


def prepare_input(network: Network, weights: Weights, path: str, preparation: Preparation) -> Steps:
    """Read a recording and cut it into the steps of `network`; what was decided is in the notes."""
    options = read_options(network, weights, preparation)
    recording = read_recording(path, **{entry.name: getattr(options, entry.name) for entry in fields(options)})
    return fit_recording(network, weights, recording, preparation)


def fit_recording(network: Network, weights: Weights, recording: Recording, preparation: Preparation) -> Steps:
    """Cut a recording into the steps of `network`, as the user says or the weights file remembers."""
    remembered = weights.header.get("input") or {}
    height, width, n_channels = network.input_shape
    try:
        n_steps, split_by = cut_of(network, weights, recording, preparation.cut)
    except RecordingError as error:
        raise RecordingError(f"{recording.path}: {error}" if recording.path else str(error)) from None
    return to_steps(
        recording,
        n_steps=n_steps,
        n_channels=n_channels,
        height=height,
        width=width,
        split_by=split_by,
        fit=parse_fit(preparation.fit or _remembered_fit(remembered, recording)),
    )


def _remembered_fit(remembered: Mapping[str, str | None], recording: Recording) -> str | None:
    """The fit of the training, for recordings of the sensor it was made for; any other must be fitted by the user."""
    size = recording.sensor if isinstance(recording, EventRecording) else _pixels_of(recording).shape[-2:]
    return remembered.get("fit") if remembered.get("sensor") == f"{size[0]}x{size[1]}" else None


def _pixels_of(recording: FrameRecording | ImageRecording) -> np.ndarray:
    """The array of a recording that is not events."""
    return recording.frames if isinstance(recording, FrameRecording) else recording.image
