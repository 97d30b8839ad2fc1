"""run: one recording through one network, with everything a person wants to know of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from evsim import __version__
from evsim.checkpoints.class_names import find_class
from evsim.checkpoints.weights import Weights
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import Observer, Result, simulate
from evsim.loading.compiled_together import compiled_together
from evsim.loading.importing import load_network
from evsim.recordings.steps import Steps
from evsim.runs.measures import compile_clock, file_sha256, peak_memory_bytes
from evsim.runs.preparation import Preparation, prepare_input
from evsim.runs.run_report import RunReport, layer_rows
from evsim.traces.trace import Probe, Trace

if TYPE_CHECKING:
    from evsim.asynchronous.options import Asynchrony
    from evsim.asynchronous.simulate import AsynchronousResult

__all__ = ["Finished", "origin_of", "run", "run_asynchronously", "run_steps"]


class Watcher(Observer, Protocol):
    """An observer that must be told when the run is over."""

    def close(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Finished:
    """A run that is over.

    Parameters
    ----------
    report : RunReport
    result : Result
    probe : Probe
        What the sources sent that were to be kept.
    """

    report: RunReport
    result: Result
    probe: Probe

    def trace(self, network: Network) -> Trace:
        """The spikes of the input and of every population, with their provenance."""
        keys = ("network", "hyper_parameters", "weights", "input", "notes", "precision", "version", "mode")
        provenance = {key: getattr(self.report, key) for key in keys}
        return Trace.collect(network, self.probe, self.result, provenance)


def run(
    weights_path: str,
    input_path: str,
    preparation: Preparation | None = None,
    order: str = "stage",
    watch: Callable[[Network, int], Watcher] | None = None,
    threads: int = 1,
    keeps_spikes: bool = True,
    precision: str | None = None,
    asynchronous: Asynchrony | None = None,
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
    asynchronous : Asynchrony, optional
        Without layer barriers, in this order; `order` and `threads` then mean nothing.

    Raises
    ------
    EvsimError
        Weights or recording unreadable, or they do not fit each other.
    """
    network, weights = load_network(weights_path, precision)
    steps = prepare_input(network, weights, input_path, preparation or Preparation())
    kept = [INPUT, *(p.name for p in network.populations())] if keeps_spikes else []
    origins = origin_of(weights_path), origin_of(input_path)
    finished = run_steps(network, weights, steps, origins, kept, order, watch, threads, asynchronous)
    return finished.report, finished.trace(network) if keeps_spikes else None


def run_steps(
    network: Network,
    weights: Weights,
    steps: Steps,
    origins: tuple[dict, dict],
    kept: Iterable[str] | None = (),
    order: str = "stage",
    watch: Callable[[Network, int], Watcher] | None = None,
    threads: int = 1,
    asynchronous: Asynchrony | None = None,
) -> Finished:
    """Simulate steps that are ready.

    Parameters
    ----------
    network : Network
    weights : Weights
        Its header is enough.
    steps : Steps
    origins : (dict, dict)
        Of the weights and of the input: `file` and `sha256`, for the report.
    kept : iterable of str or None
        Sources whose spikes are kept; all when None.
    order, watch, threads, asynchronous
        As in `run`.
    """
    probe = Probe(kept)
    mode = "synchronous" if asynchronous is None else "asynchronous"
    together = compiled_together([weights.header["family"]], network.precision, mode)
    with together, compile_clock() as compiled, _watched(watch, network, len(steps)) as watchers:
        begin = time.perf_counter()
        if asynchronous is None:
            result = simulate(network, steps.spikes, [probe, *watchers], order, threads)
        else:
            result = run_asynchronously(network, steps, asynchronous, [probe, *watchers])
        elapsed = time.perf_counter() - begin
    return Finished(_report(network, weights, steps, result, origins, elapsed, compiled.seconds), result, probe)


def run_asynchronously(
    network: Network, steps: Steps, how: Asynchrony, probes: Sequence[Observer] = (), keeps_curve: bool = False
) -> AsynchronousResult:
    """Spike by spike, the events of a recording in the order of their time stamps."""
    from evsim.asynchronous.simulate import simulate_asynchronously

    entry = None if steps.arrival is None else steps.arrival()
    return simulate_asynchronously(network, steps.spikes, how, probes, entry=entry, keeps_curve=keeps_curve)


def origin_of(path: str) -> dict:
    """A file's own name and digest."""
    return {"file": Path(path).name, "sha256": file_sha256(path)}


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
    origins: tuple[dict, dict],
    elapsed: float,
    compile_seconds: float,
) -> RunReport:
    names = weights.header.get("class_names")
    return RunReport(
        network=weights.header["family"],
        title=weights.header.get("title", ""),
        hyper_parameters=weights.header["hyper_parameters"],
        weights={**origins[0], "source": weights.header.get("source")},
        input={**origins[1], "layout": steps.layout},
        notes=list(steps.notes),
        precision=network.precision,
        n_steps=result.n_steps,
        prediction=result.prediction,
        label=names[result.prediction] if names else None,
        true_class=find_class(steps.label, names),
        logits=[float(value) for value in result.logits],
        layers=layer_rows(network, result),
        wall_seconds=elapsed - compile_seconds,
        compile_seconds=compile_seconds,
        peak_memory_bytes=peak_memory_bytes(),
        version=__version__,
        asynchronous=result.as_dict() if hasattr(result, "how") else None,
    )
