"""What an array means that holds events or an image, refused when two readings are possible."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import RawEvents
from evsim.recordings.options import ReadOptions
from evsim.recordings.pixels import normalise_pixels
from evsim.recordings.recording import ImageRecording
from evsim.recordings.resize_image import resize_image

__all__ = ["FIELD_NAMES", "column_order", "columns_of", "image_of", "rows_of", "single_label"]

FIELD_NAMES = {
    "t": ("t", "ts", "timestamp", "timestamps", "time"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "polarity", "pol"),
}
COLUMN_ORDERS = ("txyp", "xypt", "xytp")


def columns_of(names) -> dict[str, str] | None:
    """Which of `names` are the t, x, y and p of events; None unless all four are there."""
    found = {}
    for short, aliases in FIELD_NAMES.items():
        matches = [name for name in aliases if name in names]
        if not matches:
            return None
        found[short] = matches[0]
    return found


def rows_of(path, rows: np.ndarray, options: ReadOptions, what: str) -> RawEvents:
    """Events from an (N, 4) array or a structured array, one row an event."""
    if rows.dtype.names:
        return _structured(path, rows, what)
    order = options.layout if options.layout in COLUMN_ORDERS else column_order(path, rows, what)
    column = {name: rows[:, place] for place, name in enumerate(order)}
    notes = () if options.layout in COLUMN_ORDERS else (f"the column order {order} was inferred from the values",)
    # tonic's DVS Gesture files are exactly this: float columns x, y, p, t with t in milliseconds.
    unit = "ms" if order == "xypt" and rows.dtype.kind == "f" and options.unit is None else None
    if unit:
        notes += ("float columns x, y, p, t were taken as tonic's DVS Gesture layout: t in ms",)
    layout = f"{what}: rows of {', '.join(order)}"
    return RawEvents(column["t"], column["x"], column["y"], column["p"], layout, unit=unit, notes=notes)


def _structured(path, rows: np.ndarray, what: str) -> RawEvents:
    fields = columns_of(rows.dtype.names)
    if fields is None:
        raise RecordingError(f"{path}: {what} has fields {', '.join(rows.dtype.names)}; expected t, x, y and p")
    flat = rows.reshape(-1)
    t, x, y, p = (flat[fields[name]] for name in "txyp")
    return RawEvents(t, x, y, p, f"{what}: records of {', '.join(fields.values())}")


def column_order(path, rows: np.ndarray, what: str) -> str:
    """The one order of columns in which time never runs backwards and polarity has two values, or an error."""
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "biuf":
        raise RecordingError(f"{path}: {what} has shape {list(rows.shape)} of {rows.dtype}; expected (N, 4) numbers")
    # Without a row there is nothing to infer from; the check for "no events" comes later and says so.
    fits = [order for order in COLUMN_ORDERS if _fits(rows, order)] if len(rows) else ["txyp"]
    if len(fits) != 1:
        raise RecordingError(
            f"{path}: the columns of {what} could be {' or '.join(fits or COLUMN_ORDERS)}; say which with layout="
        )
    return fits[0]


def _fits(rows: np.ndarray, order: str) -> bool:
    t, p = rows[:, order.index("t")], rows[:, order.index("p")]
    return bool(np.isin(p, (-1, 0, 1)).all() and np.all(t[1:] >= t[:-1]))


def image_of(path, image: np.ndarray, options: ReadOptions, what: str, label=None) -> ImageRecording:
    """A still image, channels first, resized and normalised as the options say."""
    axes = options.layout if options.layout in ("chw", "hwc") else _image_axes(path, image, what)
    if image.ndim != len(axes):
        raise RecordingError(f"{path}: {what} has shape {list(image.shape)}; expected {len(axes)} axes ({axes})")
    last = {"hw": lambda: image[..., None], "chw": lambda: np.moveaxis(image, 0, -1), "hwc": lambda: image}
    channels_last = last[axes]()
    resized, resize_note = resize_image(path, channels_last, options)
    pixels, note = normalise_pixels(path, np.moveaxis(resized, -1, 0), options.normalise)
    notes = (note,) if resize_note is None else (resize_note, note)
    return ImageRecording(pixels, f"{what} {list(image.shape)} {image.dtype}", single_label(label), notes)


def _image_axes(path, image: np.ndarray, what: str) -> str:
    if image.ndim == 2:
        return "hw"
    fits = [] if image.ndim != 3 else [axes for axes, place in (("chw", 0), ("hwc", 2)) if image.shape[place] <= 4]
    if len(fits) != 1:
        raise RecordingError(
            f"{path}: {what} has shape {list(image.shape)}; expected [n_channels, height, width] or "
            "[height, width, n_channels] with at most 4 channels (layout='chw' or 'hwc' says which)"
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
