"""follow: a prediction for each window of time, while the events arrive."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from evsim.checkpoints.weights import Weights
from evsim.engine.ledger import with_former_names
from evsim.engine.network import Network
from evsim.engine.simulator import simulate
from evsim.errors import RecordingError
from evsim.loading.warm_up import warm_up
from evsim.recordings.check import EventCheck, RawEvents
from evsim.recordings.duration import parse_microseconds
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import EventRecording
from evsim.recordings.streaming.decoder import StreamDecoder
from evsim.recordings.streaming.pipeline import WindowReader
from evsim.recordings.streaming.source import arriving_bytes
from evsim.recordings.streaming.windows import Window, Windows
from evsim.runs.preparation import Preparation, fit_recording

__all__ = ["Follower", "Stream", "WindowPrediction", "parse_microseconds", "parse_sensor"]


@dataclass(frozen=True)
class Stream:
    """Where events come from and how they are cut.

    Parameters
    ----------
    path : str
        A growing file, a pipe, or "-".
    window, hop : int
        Microseconds.
    layout : str, optional
        See `StreamDecoder`.
    sensor : (int, int), optional
        Height and width; else as the format or the weights file tells, else inferred once, from the first window.
    idle_seconds : float, optional
        See `arriving_bytes`.
    unit : {"us", "ms", "s", "ns"}, optional
        Of the time stamps.
    drop_outside : bool
        Leave out events outside the sensor.
    """

    path: str
    window: int = 100_000
    hop: int | None = None
    layout: str | None = None
    sensor: tuple[int, int] | None = None
    idle_seconds: float | None = None
    unit: str | None = None
    drop_outside: bool = False


@dataclass(frozen=True)
class WindowPrediction:
    """What the network said about one window.

    Parameters
    ----------
    number : int
        From 0, silent windows not counted.
    t_begin, t_end : int
        Microseconds of the sensor.
    n_events : int
    is_complete : bool
        False for the last window of a stream that ended inside it.
    prediction : int
    label : str or None
        Name of the predicted class.
    logits : list of float
    latency_ms : float
        From the moment the window was closed by an event to the prediction, waiting in the queue included.
    compute_ms : float
        Of it, the time to cut and simulate.
    counts : dict of str to int
        `OpCounts` over the network.
    """

    number: int
    t_begin: int
    t_end: int
    n_events: int
    is_complete: bool
    prediction: int
    label: str | None
    logits: list[float]
    latency_ms: float
    compute_ms: float
    counts: dict[str, int]

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self) | {"counts": with_former_names(self.counts)}


class Follower:
    """Iterates over the predictions of a stream. Each window starts from a network at rest.

    Parameters
    ----------
    network : Network
    weights : Weights
    stream : Stream
    preparation : Preparation, optional
        How a window becomes the steps of the network.

    Attributes
    ----------
    windows : Windows
        Counts silent windows and late events.
    reader : WindowReader
        Knows how long the source was held back.
    """

    def __init__(
        self, network: Network, weights: Weights, stream: Stream, preparation: Preparation | None = None
    ) -> None:
        self.network, self.weights, self.stream = network, weights, stream
        self.preparation = preparation or Preparation()
        told = ReadOptions(layout=stream.layout, unit=stream.unit, drop_outside=stream.drop_outside)
        self._decoder = StreamDecoder(stream.path, options=told)
        self.windows = Windows(stream.window, stream.hop or stream.window)
        self.reader = WindowReader(arriving_bytes(stream.path, stream.idle_seconds), self._decoder, self.windows)
        self._remembered = parse_sensor((weights.header.get("input") or {}).get("sensor"))
        self._sensor = stream.sensor
        self._check: EventCheck | None = None

    def __iter__(self) -> Iterator[WindowPrediction]:
        if self._sensor is not None:
            self._refuse_a_size_that_does_not_fit(self._sensor)
        warm_up(self.network)
        for number, (window, closed) in enumerate(self.reader):
            yield self._predict(number, window, closed)

    def _refuse_a_size_that_does_not_fit(self, sensor: tuple[int, int]) -> None:
        """What is known before the first event is said before the first event."""
        zero = np.zeros(1, np.int64)
        one_event = EventRecording(zero, zero, zero, zero, sensor, "followed events", path=self.stream.path)
        fit_recording(self.network, self.weights, one_event, self.preparation)

    def _predict(self, number: int, window: Window, closed: float) -> WindowPrediction:
        begin = time.perf_counter()
        steps = fit_recording(self.network, self.weights, self._recording(window), self.preparation)
        result = simulate(self.network, steps.spikes)
        end = time.perf_counter()
        names = self.weights.header.get("class_names")
        return WindowPrediction(
            number=number,
            t_begin=window.t_begin,
            t_end=window.t_end,
            n_events=len(window.events),
            is_complete=window.is_complete,
            prediction=result.prediction,
            label=names[result.prediction] if names else None,
            logits=[float(value) for value in result.logits],
            latency_ms=1000 * (end - closed),
            compute_ms=1000 * (end - begin),
            counts=result.ledger.total().as_dict(),
        )

    def _recording(self, window: Window) -> EventRecording:
        """The window's events, checked like those of any file."""
        events = window.events
        raw = RawEvents(events.t, events.x, events.y, events.p, "followed events", unit="us")
        if self._check is None:
            sensor = self._sensor or self._decoder.sensor or self._remembered
            options = ReadOptions(sensor=sensor, drop_outside=self.stream.drop_outside)
            self._check = EventCheck(self.stream.path, options)
        return self._check.piece(raw)


def parse_sensor(text: str | None) -> tuple[int, int] | None:
    """``HEIGHTxWIDTH`` as two numbers."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    if not found:
        raise RecordingError(f"--sensor {text}: expected HEIGHTxWIDTH, such as 128x128")
    return int(found[1]), int(found[2])
