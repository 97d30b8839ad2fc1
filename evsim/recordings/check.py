"""The one place where what a file says becomes a Recording: nothing hostile or ambiguous passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import EventRecording, FrameRecording, ImageRecording, Recording

__all__ = ["KNOWN_SENSORS", "RawEvents", "check", "guess_sensor"]

# Height, width: N-MNIST, DVS128, DAVIS240, ATIS, DAVIS346, EVK3 / Samsung VGA, EVK4.
KNOWN_SENSORS = ((34, 34), (128, 128), (180, 240), (240, 304), (260, 346), (480, 640), (720, 1280))
MICROSECONDS = {"us": 1, "ms": 1_000, "s": 1_000_000}
# Differences of time stamps must fit an int64 too.
MAX_TIME = 2**62
MAX_SIDE = 2**15


@dataclass(frozen=True, eq=False)
class RawEvents:
    """Event columns as a file holds them, before any check.

    Parameters
    ----------
    t, x, y, p : array [n]
        Of any numeric type; `t` in `unit`.
    layout : str
        What was found, in words.
    sensor : (int, int) or None
        Height and width, where the file says so.
    unit : str or None
        "us", "ms", "s"; None when the format does not fix it (whole numbers are then microseconds).
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    layout: str
    sensor: tuple[int, int] | None = None
    label: int | None = None
    unit: str | None = None
    notes: tuple[str, ...] = ()


def check(path, found: RawEvents | FrameRecording | ImageRecording, options: ReadOptions) -> Recording:
    """A sound Recording from what a reader found, or a RecordingError that says what is wrong with it."""
    if isinstance(found, RawEvents):
        return _check_events(path, found, options)
    if isinstance(found, FrameRecording):
        frames = _real_array(path, "frames", found.frames, "n_steps, n_channels, height, width")
        return replace(found, frames=frames, path=str(path))
    image = _real_array(path, "image", found.image, "n_channels, height, width")
    return replace(found, image=image, path=str(path))


def _check_events(path, raw: RawEvents, options: ReadOptions) -> EventRecording:
    _check_lengths(path, raw)
    notes = list(raw.notes)
    t = _microseconds(path, raw, options, notes)
    x, y = _places(path, "x", raw.x), _places(path, "y", raw.y)
    p = _polarity(path, raw.p, notes)
    sensor = _sensor(path, (int(y.max()), int(x.max())), options.sensor or raw.sensor, notes)
    t, x, y, p = _in_order(t, x, y, p, notes)
    return EventRecording(t, x, y, p, sensor, raw.layout, raw.label, tuple(notes), str(path))


def _check_lengths(path, raw: RawEvents) -> None:
    columns = {name: np.asarray(getattr(raw, name)) for name in "txyp"}
    for name, column in columns.items():
        if column.ndim != 1 or column.dtype.kind not in "biuf":
            raise RecordingError(
                f"{path}: {name} must be a list of numbers, found shape {column.shape} of type {column.dtype}"
            )
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise RecordingError(
            f"{path}: the columns differ in length: " + ", ".join(f"{k} {v}" for k, v in sizes.items())
        )
    if sizes["t"] == 0:
        raise RecordingError(f"{path}: holds no events ({raw.layout})")


def _microseconds(path, raw: RawEvents, options: ReadOptions, notes: list[str]) -> np.ndarray:
    unit = options.unit or raw.unit
    if unit is not None and unit not in MICROSECONDS:
        raise RecordingError(f"{path}: unknown time unit {unit!r}; expected one of {', '.join(MICROSECONDS)}")
    scale = MICROSECONDS[unit or "us"]
    t = np.asarray(raw.t)
    if t.dtype.kind == "f":
        return _whole_microseconds(path, t.astype(np.float64) * scale, unit)
    extreme = max(abs(int(t.min())), abs(int(t.max()))) * scale
    if extreme > MAX_TIME:
        raise RecordingError(f"{path}: a time stamp of {extreme} us is out of range")
    if scale > 1:
        notes.append(f"time stamps were in {unit}")
    return t.astype(np.int64, copy=False) * scale if scale > 1 else t.astype(np.int64, copy=False)


def _whole_microseconds(path, t: np.ndarray, unit: str | None) -> np.ndarray:
    bad = np.flatnonzero(~(np.abs(t) <= MAX_TIME))
    if bad.size:
        raise RecordingError(f"{path}: time stamp number {bad[0]} is {t[bad[0]]}, not a time")
    whole = np.rint(t)
    if unit is None and not np.array_equal(whole, t):
        raise RecordingError(
            f"{path}: time stamps with fractions ({t[whole != t][0]:g}): say their unit with unit='us', 'ms' or 's'"
        )
    return whole.astype(np.int64)


def _places(path, name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    bad = ~((values >= 0) & (values < MAX_SIDE))
    if values.dtype.kind == "f":
        bad |= values != np.floor(values)
    if bad.any():
        first = int(np.argmax(bad))
        raise RecordingError(
            f"{path}: {name} of event {first} is {values[first]}; expected a whole number from 0 to {MAX_SIDE - 1}"
        )
    return values.astype(np.int32, copy=False)


def _polarity(path, values: np.ndarray, notes: list[str]) -> np.ndarray:
    values = np.asarray(values)
    on, off, minus = values == 1, values == 0, values == -1
    if np.all(on | off):
        return on.astype(np.int8)
    if np.all(on | minus):
        notes.append("polarity -1 was read as 0")
        return on.astype(np.int8)
    first = int(np.argmin(on | off | minus)) if not np.all(on | off | minus) else int(np.argmax(minus))
    raise RecordingError(
        f"{path}: polarity of event {first} is {values[first]}; expected 0 and 1, -1 and 1, or False and True"
    )


def _sensor(path, furthest: tuple[int, int], stated: tuple[int, int] | None, notes: list[str]) -> tuple[int, int]:
    row, col = furthest
    if stated is not None:
        height, width = (int(side) for side in stated)
        if row >= height or col >= width:
            raise RecordingError(
                f"{path}: an event at row {row} or column {col} lies outside the sensor of {height}x{width} "
                "(height x width)"
            )
        return height, width
    height, width = guess_sensor(path, furthest)
    notes.append(f"the sensor size {height}x{width} was inferred from the furthest event")
    return height, width


def guess_sensor(path, furthest: tuple[int, int]) -> tuple[int, int]:
    """The smallest known sensor that has a pixel at row and column `furthest`."""
    row, col = furthest
    for height, width in KNOWN_SENSORS:
        if row < height and col < width:
            return height, width
    raise RecordingError(
        f"{path}: events reach row {row} and column {col}, beyond every known sensor; say sensor=(height, width)"
    )


def _in_order(t, x, y, p, notes: list[str]) -> tuple[np.ndarray, ...]:
    backwards = int(np.count_nonzero(t[1:] < t[:-1]))
    if not backwards:
        return t, x, y, p
    notes.append(f"{backwards} time stamps ran backwards; the events were sorted by time (ties keep their order)")
    order = np.argsort(t, kind="stable")
    return t[order], x[order], y[order], p[order]


def _real_array(path, name: str, values: np.ndarray, axes: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != len(axes.split(",")) or values.dtype.kind not in "biuf" or values.size == 0:
        raise RecordingError(
            f"{path}: {name} must be numbers of shape [{axes}], found {list(values.shape)} of {values.dtype}"
        )
    with np.errstate(over="ignore"):
        real = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(real).all():
        raise RecordingError(f"{path}: {name} holds values that are not finite numbers")
    return real
