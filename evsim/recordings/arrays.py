"""What an array means that holds events or an image, refused when two readings are possible."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.column_order import infer_order, is_order, split_order
from evsim.recordings.field_names import columns_of, parse_name
from evsim.recordings.options import ReadOptions
from evsim.recordings.pixels import normalise_pixels
from evsim.recordings.recording import ImageRecording
from evsim.recordings.resize_image import resize_image

__all__ = ["image_of", "refuse_order", "rows_of", "single_label"]


def rows_of(path, rows: np.ndarray, options: ReadOptions, what: str, sample: np.ndarray | None = None) -> RawEvents:
    """Events from an (N, 4) array or a structured array, one row an event.

    Parameters
    ----------
    sample : array [n, 4], optional
        Rows from all over the file, where `rows` are only a part of it: what the order is inferred from.
    """
    if rows.dtype.names:
        refuse_order(path, options.layout, f"the fields of {what} have names")
        return _structured(path, rows, what)
    is_told = is_order(options.layout)
    order = options.layout if is_told else infer_order(path, rows if sample is None else sample, what)
    if rows.ndim != 2:
        raise RecordingError(f"{path}: {what} has shape {list(rows.shape)}; expected rows of t, x, y and p")
    place = split_order(path, order, rows.shape[1], what)
    t, x, y, p = (rows[:, place[name]] for name in "txyp")
    notes = () if is_told else (f"the column order {order} was inferred from the values",)
    # tonic's DVS Gesture files are exactly this: float columns x, y, p, t with t in milliseconds.
    unit = None
    if order == "xypt" and rows.dtype.kind == "f" and options.unit is None:
        if np.array_equal(t, np.rint(t)):
            raise RecordingError(
                f"{path}: float columns x, y, p, t of {what} with whole times could be microseconds or the "
                "milliseconds of tonic's DVS Gesture; say which: --unit us or --unit ms"
            )
        unit = "ms"
        notes += ("float columns x, y, p, t were taken as tonic's DVS Gesture layout: t in ms",)
    return RawEvents(t, x, y, p, f"{what}: rows of {', '.join(order)}", unit=unit, notes=notes, order=order)


def refuse_order(path, layout: str | None, why: str) -> None:
    """Refuse an order of columns where nobody needs one."""
    if is_order(layout):
        raise RecordingError(f"{path}: --layout {layout} is for columns without names, but {why}")


def _structured(path, rows: np.ndarray, what: str) -> RawEvents:
    fields = columns_of(path, rows.dtype.names)
    if fields is None:
        raise RecordingError(f"{path}: {what} has fields {', '.join(rows.dtype.names)}; expected t, x, y and p")
    flat = rows.reshape(-1)
    t, x, y, p = (flat[fields[name]] for name in "txyp")
    return RawEvents(t, x, y, p, f"{what}: records of {', '.join(fields.values())}", unit=parse_name(fields["t"]).unit)


def image_of(path, image: np.ndarray, options: ReadOptions, what: str, label=None) -> ImageRecording:
    """A still image, channels first, resized and normalised as the options say."""
    if options.axes is not None:
        raise RecordingError(
            f"{path}: --axes {options.axes} is for arrays whose axes have no names; {what} is an image"
        )
    axes = options.layout if options.layout in ("chw", "hwc") else _image_axes(path, image, what)
    if image.ndim != len(axes):
        raise RecordingError(f"{path}: {what} has shape {list(image.shape)}; expected {len(axes)} axes ({axes})")
    last = {"hw": lambda: image[..., None], "chw": lambda: np.moveaxis(image, 0, -1), "hwc": lambda: image}
    channels_last = last[axes]()
    resized, resize_note = resize_image(path, channels_last, options)
    how = (options.normalise, options.trained_with)
    pixels, said = normalise_pixels(path, np.moveaxis(resized, -1, 0), *how)
    notes = said if resize_note is None else (resize_note, *said)
    return ImageRecording(pixels, f"{what} {list(image.shape)} {image.dtype}", single_label(label), notes)


def _image_axes(path, image: np.ndarray, what: str) -> str:
    if image.ndim == 2:
        return "hw"
    fits = [] if image.ndim != 3 else [axes for axes, place in (("chw", 0), ("hwc", 2)) if image.shape[place] <= 4]
    if len(fits) != 1:
        raise RecordingError(
            f"{path}: {what} has shape {list(image.shape)}; expected [n_channels, height, width] or "
            "[height, width, n_channels] with at most 4 channels (--layout says which; layout='chw' or 'hwc')"
        )
    return fits[0]


def single_label(value) -> int | None:
    """A class number from a scalar or an array of one; None from anything else."""
    if value is None:
        return None
    flat = np.ravel(value)
    if flat.size != 1 or flat.dtype.kind not in "iub":
        return None
    return int(flat[0])
