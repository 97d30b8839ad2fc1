"""The one place where what a file says becomes a Recording: nothing hostile or ambiguous passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.clock import Clock
from evsim.recordings.options import ReadOptions
from evsim.recordings.places import check_sensor, guess_sensor, outside, places
from evsim.recordings.polarity import Polarities
from evsim.recordings.recording import EventRecording, FrameRecording, ImageRecording, Recording
from evsim.recordings.time_order import TimeOrder

__all__ = ["EventCheck", "RawEvents", "check"]

FASTEST = 1e9
"""Events a second that no camera sends (the fastest send about a billion)."""


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
        "us", "ms", "s", "ns"; None when the format does not fix it (whole numbers are then microseconds).
    order : str or None
        The order of columns that was inferred, as a user could say it.
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
    order: str | None = None


def check(
    path, found: RawEvents | FrameRecording | ImageRecording, options: ReadOptions, reader: str = "events"
) -> Recording:
    """A sound Recording from what a reader found, or a RecordingError that says what is wrong with it.

    Parameters
    ----------
    reader : str
        Name of the reader, which a user may say to vouch for its columns.
    """
    if isinstance(found, RawEvents):
        events = EventCheck(path, options, reader)
        recording = events.piece(found)
        return replace(recording, notes=recording.notes + events.finish())
    _refuse_options_of_events(path, found, options)
    if isinstance(found, FrameRecording):
        frames = _real_array(path, "frames", found.frames, "n_steps, n_channels, height, width")
        return replace(found, frames=frames, path=str(path))
    image = _real_array(path, "image", found.image, "n_channels, height, width")
    return replace(found, image=image, path=str(path))


class EventCheck:
    """Checks the events of one recording, in one piece or several: what one piece says binds the next.

    Parameters
    ----------
    path
        For messages.
    options : ReadOptions
    reader : str
        Name of the reader.
    """

    def __init__(self, path, options: ReadOptions, reader: str = "events") -> None:
        if options.normalise not in (None, "raw"):
            raise RecordingError(f"{path}: --normalise {options.normalise} is for images; these are events")
        if options.axes is not None:
            raise RecordingError(f"{path}: --axes {options.axes} is for arrays of frames; these are events")
        self._path, self._options, self._reader = path, options, reader
        self._clock, self._polarities = Clock(path, options.unit), Polarities(path)
        self._order = TimeOrder(path)
        self._guessed: tuple[int, int] | None = None
        self._n = self._n_dropped = 0
        self._span = (0, 0)
        self._layout = reader

    def piece(self, raw: RawEvents) -> EventRecording:
        """Some events as a sound recording, in order of time."""
        _check_lengths(self._path, raw)
        t = self._clock.read(raw.t, raw.unit)
        self._layout = raw.order or self._reader
        stated = self._options.sensor or raw.sensor or self._guessed
        t, x, y, p = self._inside(t, raw, stated)
        p = self._polarities.read(p)
        notes = [*raw.notes, *self._clock.notes, *self._polarities.notes]
        if stated is None:
            stated = self._guessed = guess_sensor(self._path, (int(y.max()), int(x.max())))
        if stated == self._guessed:
            notes.append("the sensor size {}x{} was inferred from the furthest event".format(*stated))
        self._order.watch(t)
        self._span = (min(self._span[0], int(t.min())), max(self._span[1], int(t.max()))) if self._n else (
            int(t.min()), int(t.max()),
        )  # fmt: skip
        self._n += t.size
        t, x, y, p = _sorted(t, x, y, p, notes)
        return EventRecording(t, x, y, p, stated, raw.layout, raw.label, tuple(notes), str(self._path))

    def finish(self, any_order: bool = False) -> tuple[str, ...]:
        """Judge all pieces together; notes that hold for the whole.

        Parameters
        ----------
        any_order : bool
            Whoever takes the pieces puts them in order, as windows of a stream do.

        Raises
        ------
        RecordingError
            Disorder that is no jitter.
        """
        self._polarities.finish()
        if not any_order:
            self._order.judge(self._options.layout is not None, self._layout)
        return tuple(self._late_notes())

    def _late_notes(self):
        if self._n_dropped:
            yield f"{self._n_dropped} events outside the sensor were left out"
        duration = self._span[1] - self._span[0]
        if self._n > 1 and not duration:
            yield f"all {self._n} events have the same time stamp, {self._span[0]} us"
        elif self._n > 1000 and self._n > duration * FASTEST / 1e6:
            yield (
                f"{self._n} events in {duration} us are more than any camera sends: if the time stamps are no "
                "microseconds, say --unit"
            )

    def _inside(self, t: np.ndarray, raw: RawEvents, sensor: tuple[int, int] | None) -> tuple[np.ndarray, ...]:
        """The columns without the events outside the sensor, or an error that names the first of them."""
        drop = self._options.drop_outside
        if sensor is not None:
            sensor = check_sensor(self._path, sensor)
        elif drop:
            raise RecordingError(
                f"{self._path}: --drop-outside needs the size of the sensor, which the file does not say; say --sensor "
                "HEIGHTxWIDTH too"
            )
        x, y = np.asarray(raw.x), np.asarray(raw.y)
        out = outside(self._path, x, y, sensor, drop, self._n + self._n_dropped)
        if out is None:
            return t, places(x), places(y), np.asarray(raw.p)
        n = int(np.count_nonzero(out))
        if n == out.size:
            raise RecordingError(
                f"{self._path}: all {n} events lie outside the sensor of {sensor[0]}x{sensor[1]} (height x width)"
            )
        self._n_dropped += n
        keep = ~out
        return t[keep], places(x[keep]), places(y[keep]), np.asarray(raw.p)[keep]


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


def _sorted(t, x, y, p, notes: list[str]) -> tuple[np.ndarray, ...]:
    backwards = int(np.count_nonzero(t[1:] < t[:-1]))
    if not backwards:
        return t, x, y, p
    notes.append(f"{backwards} time stamps ran backwards; the events were sorted by time (ties keep their order)")
    order = np.argsort(t, kind="stable")
    return t[order], x[order], y[order], p[order]


def _refuse_options_of_events(path, found: FrameRecording | ImageRecording, options: ReadOptions) -> None:
    kind = "frames" if isinstance(found, FrameRecording) else "an image"
    for name, value in (("unit", options.unit), ("sensor", options.sensor), ("drop-outside", options.drop_outside)):
        if value:
            raise RecordingError(f"{path}: --{name} is for events; the file holds {kind}")
    if kind == "frames" and options.normalise not in (None, "raw"):
        raise RecordingError(f"{path}: --normalise {options.normalise} is for images; the file holds frames")


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
