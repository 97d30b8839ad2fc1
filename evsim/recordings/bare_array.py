"""A bare array as recordings: events, frames, still images, or a batch of these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import image_of, refuse_order, rows_of, single_label
from evsim.recordings.axes import arrange_axes, axes_of, parse_axes
from evsim.recordings.check import RawEvents
from evsim.recordings.discover import choose, only_one
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import FrameRecording, ImageRecording

__all__ = ["batch_of", "recording_of"]

Found = RawEvents | FrameRecording | ImageRecording


def recording_of(path, array: np.ndarray, options: ReadOptions, what: str, labels=None) -> Found:
    """The one recording in an array, or the one that ``options.index`` chooses.

    Raises
    ------
    RecordingError
        It can be read in two ways, or in none.
    """
    found = batch_of(path, array, options, what, labels)
    if len(found) == 1:
        only_one(path, options.index)
        return found[0]
    key, notes = choose(path, [str(number) for number in range(len(found))], options.index)
    chosen = found[int(key)]
    return type(chosen)(**{**_fields(chosen), "notes": (*chosen.notes, *notes)})


def batch_of(path, array: np.ndarray, options: ReadOptions, what: str, labels=None) -> list[Found]:
    """All recordings in an array: one, unless it has an axis B.

    Rows of events have two axes or named fields. Anything else is read by ``options.axes``, or where nobody named its
    axes by `evsim.recordings.axes.axes_of`.
    """
    is_picture, is_rows = options.layout in _PICTURES, bool(array.dtype.names) or array.ndim == 2
    if options.layout == ("frames" if is_rows and options.axes is None else "events"):
        raise RecordingError(f"{path}: --layout {options.layout}, but {what} of shape {list(array.shape)} holds none")
    if options.axes is None and is_picture:
        return [image_of(path, array, options, what, labels)]
    if options.axes is None and is_rows:
        return [replace(rows_of(path, array, options, what), label=single_label(labels))]
    refuse_order(path, options.layout, f"{what} of shape {list(array.shape)} holds no rows of events")
    axes = _axes(path, array, options, what, np.size(labels) if labels is not None else 0)
    ordered = arrange_axes(path, array, axes, what)
    several = np.ravel(labels) if labels is not None else np.empty(0)
    each = several if several.size == len(ordered) else [None] * len(ordered)
    layout = f"{what} {list(array.shape)}"
    if "T" in axes:
        note = f"its axes were read as {' '.join(axes)}" + ("" if options.axes else "; --axes names others")
        return [FrameRecording(f, layout, single_label(label), (note,)) for f, label in zip(ordered, each, strict=True)]
    channels_first = replace(options, layout="chw", axes=None)
    return [
        _image(path, image[0], channels_first, f"{layout} {array.dtype}", label)
        for image, label in zip(ordered, each, strict=True)
    ]


_PICTURES = ("image", "chw", "hwc")


def _axes(path, array: np.ndarray, options: ReadOptions, what: str, n_labels: int) -> str:
    """As the user names them; as many labels as entries make the first axis a batch; else what the shape tells."""
    if options.axes is not None:
        return parse_axes(options.axes)
    if array.ndim == 5 and n_labels == array.shape[0] != array.shape[1]:
        return "BTCHW"
    return axes_of(path, array.shape, what, options.n_steps)


def _image(path, image: np.ndarray, options: ReadOptions, layout: str, label) -> ImageRecording:
    found = image_of(path, image, options, "image", label)
    return ImageRecording(found.image, layout, found.label, found.notes)


def _fields(found: Found) -> dict:
    return {name: getattr(found, name) for name in found.__dataclass_fields__}
