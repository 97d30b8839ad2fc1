"""run: one recording through one network, with everything a person wants to know of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from evsim import __version__
from evsim.checkpoints.weights import Weights
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import Observer, Result, simulate
from evsim.loading.importing import load_network
from evsim.recordings.fit_text import parse_fit
from evsim.recordings.read import read_recording
from evsim.recordings.recording import EventRecording, FrameRecording, ImageRecording, Recording
from evsim.recordings.steps import Steps, to_steps
from evsim.runs.run_report import RunReport, layer_rows
from evsim.traces.trace import Probe, Trace

__all__ = ["Preparation", "file_sha256", "fit_recording", "peak_memory_bytes", "prepare_input", "run"]


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
    """

    split_by: str | None = None
    fit: str | None = None
    index: int | str | None = None
    crop_pct: float | None = None


def prepare_input(network: Network, weights: Weights, path: str, preparation: Preparation) -> Steps:
    """Read a recording and cut it into the steps of `network`; what was decided is in the notes."""
    normalisation = weights.header.get("normalisation")
    pixels = (normalisation["mean"], normalisation["std"]) if normalisation else None
    picture = (
        {} if preparation.crop_pct is None else {"size": network.input_shape[:2], "crop_pct": preparation.crop_pct}
    )
    recording = read_recording(path, index=preparation.index, normalise=pixels, **picture)
    return fit_recording(network, weights, recording, preparation)


def fit_recording(network: Network, weights: Weights, recording: Recording, preparation: Preparation) -> Steps:
    """Cut a recording into the steps of `network`, as the user says or the weights file remembers."""
    remembered = weights.header.get("input") or {}
    height, width, n_channels = network.input_shape
    return to_steps(
        recording,
        n_steps=network.n_steps,
        n_channels=n_channels,
        height=height,
        width=width,
        split_by=preparation.split_by or remembered.get("split_by") or "number",
        fit=parse_fit(preparation.fit or _remembered_fit(remembered, recording)),
    )


def _remembered_fit(remembered: Mapping[str, str | None], recording: Recording) -> str | None:
    """The fit of the training, for recordings of the sensor it was made for; any other must be fitted by the user."""
    size = recording.sensor if isinstance(recording, EventRecording) else _pixels_of(recording).shape[-2:]
    return remembered.get("fit") if remembered.get("sensor") == f"{size[0]}x{size[1]}" else None


def _pixels_of(recording: FrameRecording | ImageRecording) -> np.ndarray:
    """The array of a recording that is not events."""
    return recording.frames if isinstance(recording, FrameRecording) else recording.image


def run(
    weights_path: str,
    input_path: str,
    preparation: Preparation | None = None,
    order: str = "stage",
    watch: Callable[[Network, int], Watcher] | None = None,
    threads: int = 1,
    keeps_spikes: bool = True,
    precision: str | None = None,
) -> tuple[RunReport, Trace | None]:
    """Simulate one recording and report it.

    Parameters
    ----------
    weights_path, input_path : str
    preparation : Preparation, optional
    order : {"step", "stage"}
    watch : callable, optional
        Given the network and the number of steps, makes an observer that is closed after the run.
    threads : int
        See `simulate`: the result does not depend on their number.
    keeps_spikes : bool
        Without, no trace is made: the spikes of a large network take more memory than its weights.
    precision : {"float32", "int16", "int8"}, optional
        None takes what the weights file says, which is float32 unless it was imported otherwise.

    Raises
    ------
    EvsimError
        Weights or recording unreadable, or they do not fit each other.
    """
    network, weights = load_network(weights_path, precision)
    steps = prepare_input(network, weights, input_path, preparation or Preparation())
    probe = Probe([INPUT, *(p.name for p in network.populations())] if keeps_spikes else [])
    with _compile_clock() as compiled, _watched(watch, network, len(steps)) as watchers:
        begin = time.perf_counter()
        result = simulate(network, steps.spikes, [probe, *watchers], order, threads)
        elapsed = time.perf_counter() - begin
    report = _report(network, weights, steps, result, (weights_path, input_path), elapsed, compiled.seconds)
    return report, Trace.collect(network, probe, result, _provenance(report)) if keeps_spikes else None


class Watcher(Observer, Protocol):
    """An observer that must be told when the run is over."""

    def close(self) -> None: ...


@contextmanager
def _watched(watch: Callable[[Network, int], Watcher] | None, network: Network, n_steps: int):
    watchers = [] if watch is None else [watch(network, n_steps)]
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()


def _report(
    network: Network,
    weights: Weights,
    steps: Steps,
    result: Result,
    paths: tuple[str, str],
    elapsed: float,
    compile_seconds: float,
) -> RunReport:
    names = weights.header.get("class_names")
    return RunReport(
        network=weights.header["family"],
        title=weights.header.get("title", ""),
        hyper_parameters=weights.header["hyper_parameters"],
        weights={"file": Path(paths[0]).name, "sha256": file_sha256(paths[0]), "source": weights.header.get("source")},
        input={"file": Path(paths[1]).name, "sha256": file_sha256(paths[1]), "layout": steps.layout},
        notes=list(steps.notes),
        precision=network.precision,
        n_steps=result.n_steps,
        prediction=result.prediction,
        label=names[result.prediction] if names else None,
        true_class=steps.label,
        logits=[float(value) for value in result.logits],
        layers=layer_rows(network, result),
        wall_seconds=elapsed - compile_seconds,
        compile_seconds=compile_seconds,
        peak_memory_bytes=peak_memory_bytes(),
        version=__version__,
    )


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far; 0 where the operating system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _provenance(report: RunReport) -> dict:
    keys = ("network", "hyper_parameters", "weights", "input", "notes", "precision", "version")
    return {key: getattr(report, key) for key in keys}


def file_sha256(path: str) -> str:
    """SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class _Clock:
    seconds = 0.0


@contextmanager
def _compile_clock():
    """Adds up the time Numba spends compiling kernels or loading them from its cache."""
    from numba.core import event

    clock = _Clock()

    def add(seconds: float) -> None:
        clock.seconds += seconds

    with event.install_timer("numba:compiler_lock", add):
        yield clock
