"""Recordings of which a random part of the events is left, and the networks that run them: what `events_line` measures.

layer             one convolution alone: no bias, no neurons
gesture_quiet     the gesture network without any bias: no neuron fires unless events reach it
gesture           the same as it is: random biases, of which some drive their neurons over the threshold alone
nmnist            the bundled trained network: so do some of those that it has learnt
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evsim.engine.current import Current
from evsim.engine.network import Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.loading.importing import load_network
from evsim.loading.zoo import DEFAULT_WEIGHTS, find_weights, zoo_folder
from evsim.recordings.fit_text import parse_fit
from evsim.recordings.read import read_recording
from evsim.recordings.recording import EventRecording
from evsim.recordings.steps import to_steps
from tools.benchmarks.workload import Workload
from tools.benchmarks.workloads import gesture

__all__ = ["SUBJECTS", "Run", "thin", "without_biases"]

CLIP = "gesture_clip_01.h5"
DIGIT = "nmnist_digit_3.h5"


@dataclass(frozen=True)
class Run:
    """One thinned recording, ready to run.

    Parameters
    ----------
    fraction : float
    events : int
        Of the input.
    call : callable
        Runs it once.
    counts : callable
        Additions and membrane updates of a run.
    """

    fraction: float
    events: int
    call: Callable[[], object]
    counts: Callable[[], tuple[int, int]]


Runs = tuple[str, list[Run]]


def thin(recording: EventRecording, fraction: float, seed: int = 0) -> EventRecording:
    """The first part of a random order of the events, back in order of time: 5 % of them are among the 10 %, too."""
    n = recording.t.size
    kept = np.sort(np.random.default_rng(seed).permutation(n)[: round(fraction * n)])
    return replace(recording, t=recording.t[kept], x=recording.x[kept], y=recording.y[kept], p=recording.p[kept])


def without_biases(workload: Workload) -> Workload:
    """The same weights; every bias, of a layer or a BatchNorm, is zero."""
    dead = (".bias", ".running_mean")
    tensors = {name: np.zeros_like(t) if name.endswith(dead) else t for name, t in workload.tensors.items()}
    return replace(workload, tensors=tensors)


def _layer(fractions: Sequence[float], shared: Path | None, n_in: int = 64, n_out: int = 128, side: int = 32) -> Runs:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((n_out, n_in, 3, 3)).astype(np.float32)
    current = Current(side * side, n_out)
    layer = Conv2d("conv", weight, None, Window(side, side, 3, 1, 1), current)
    current.join_reader("benchmark")
    places = rng.permutation(side * side * n_in)[: side * side * n_in // 5]

    def run(fraction: float) -> Run:
        spikes = Spikes(np.sort(places[: round(fraction * places.size)]).astype(np.int32))

        def call():
            counts = layer.handle(0, {"spikes": spikes})[1]
            current.release(0, "benchmark")
            return counts

        return Run(fraction, len(spikes), call, lambda: (call().event_acs, 0))

    return f"one convolution 3x3, {n_in} to {n_out}, {side}x{side}, up to 20 % of the input", [
        run(f) for f in fractions
    ]


def _gesture(fractions: Sequence[float], shared: Path | None, quiet: bool = False) -> Runs:
    tensors, hp = gesture.read_network(shared)
    inputs = np.zeros((1, hp.n_steps, hp.in_channels, hp.height, hp.width), np.float32)
    workload = Workload("gesture", gesture.TITLE, gesture.sdt, tensors, hp, inputs)
    title = f"{gesture.TITLE}, " + ("without biases" if quiet else "biases that wake neurons")
    network = (without_biases(workload) if quiet else workload).network()
    return title, _runs(network, read_recording(zoo_folder() / CLIP), fractions)


def _nmnist(fractions: Sequence[float], shared: Path | None) -> Runs:
    network, weights = load_network(find_weights(DEFAULT_WEIGHTS))
    title = "SDT-2-64 N-MNIST, T=4, 32x32, trained: biases that wake neurons"
    return title, _runs(network, read_recording(zoo_folder() / DIGIT), fractions, weights.header["input"]["fit"])


def _runs(network: Network, recording: EventRecording, fractions: Sequence[float], fit: str | None = None) -> list[Run]:
    height, width, n_channels = network.input_shape
    size = {"height": height, "width": width, "n_channels": n_channels, "n_steps": network.n_steps}

    def run(fraction: float) -> Run:
        thinned = thin(recording, fraction)
        steps = [Spikes.none()] * network.n_steps
        if thinned.t.size:
            steps = to_steps(thinned, split_by="number", fit=parse_fit(fit), **size).spikes

        def counts():
            total = simulate(network, steps).ledger.total()
            return total.event_acs, total.updates

        return Run(fraction, int(thinned.t.size), lambda: simulate(network, steps), counts)

    return [run(fraction) for fraction in fractions]


SUBJECTS: dict[str, Callable[[Sequence[float], Path | None], Runs]] = {
    "layer": _layer,
    "gesture_quiet": lambda fractions, shared: _gesture(fractions, shared, quiet=True),
    "gesture": _gesture,
    "nmnist": _nmnist,
}
