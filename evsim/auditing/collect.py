"""From files to described runs: simulate every recording, or read traces, and say where everything came from."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from evsim import __version__
from evsim.auditing.inputs import Source, expand
from evsim.auditing.layers import AuditedRun, audit_run
from evsim.auditing.replay import describe_trace
from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.errors import EvsimError, TraceError
from evsim.loading.importing import load_network
from evsim.recordings.steps import Steps
from evsim.runs.measures import file_sha256
from evsim.runs.preparation import Preparation, prepare_input
from evsim.runs.run import origin_of
from evsim.traces.trace import ASYNCHRONOUS_NOTE, FORMER_VERSIONS, Trace, read_trace

__all__ = ["Prepared", "audit_prepared", "audit_recordings", "audit_traces", "prepare_files", "versions"]

Advance = Callable[[int, int], None]
"""Told after each recording how many are done, of how many."""


def audit_recordings(
    weights_path: str,
    inputs: Sequence[str],
    preparation: Preparation | None = None,
    order: str = "stage",
    advance: Advance = lambda done, total: None,
) -> tuple[list[AuditedRun], dict[str, object]]:
    """Simulate every recording; the runs, and their provenance.

    Raises
    ------
    EvsimError
        Weights or a recording unreadable, or they do not fit each other.
    """
    preparation = preparation or Preparation()
    network, weights = load_network(weights_path)
    found = prepare_files(network, weights, inputs, preparation)
    return audit_prepared(network, weights, origin_of(weights_path), found, order, advance)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A recording that is about to be run.

    Parameters
    ----------
    name, sha256 : str
    prepare : callable
        Reads it and cuts it into steps, when its turn comes.
    """

    name: str
    sha256: str
    prepare: Callable[[], Steps]


def prepare_files(
    network: Network, weights: Weights, inputs: Sequence[str], preparation: Preparation
) -> list[Prepared]:
    """Every recording of the files and folders named."""
    sources = expand(inputs, preparation.index)
    hashes = {path: file_sha256(path) for path in dict.fromkeys(source.path for source in sources)}

    def steps_of(source: Source) -> Steps:
        return prepare_input(network, weights, source.path, replace(preparation, index=source.index))

    return [Prepared(source.name, hashes[source.path], partial(steps_of, source)) for source in sources]


def audit_prepared(
    network: Network,
    weights: Weights,
    origin: dict,
    found: Sequence[Prepared],
    order: str = "stage",
    advance: Advance = lambda done, total: None,
) -> tuple[list[AuditedRun], dict[str, object]]:
    """Simulate every recording; the runs, and their provenance.

    Parameters
    ----------
    network : Network
    weights : Weights
        Its header is enough.
    origin : dict
        `file` and `sha256` of the weights.
    found : sequence of Prepared
    order : {"step", "stage"}
    advance : callable
    """
    runs, notes = [], []
    for done, one in enumerate(found, start=1):
        steps = one.prepare()
        runs.append(audit_run(network, steps.spikes, order)[0])
        notes += [note for note in steps.notes if note not in notes]
        advance(done, len(found))
    provenance = {
        "network": f"{weights.header.get('title', '')} ({weights.header['family']})",
        "weights": f"{origin['file']} SHA-256 {origin['sha256']}",
        "input": [f"{one.name} SHA-256 {one.sha256}" for one in found],
        "notes": notes if len(found) == 1 else [],
        "versions": versions(),
    }
    return runs, {key: value for key, value in provenance.items() if value}


def audit_traces(paths: Sequence[str]) -> tuple[list[AuditedRun], dict[str, object]]:
    """Describe recorded runs of one network.

    Raises
    ------
    EvsimError
        A trace is damaged, or they are of different weights.
    """
    traces = [read_trace(path) for path in paths]
    runs = [_described(path, trace) for path, trace in zip(paths, traces, strict=True)]
    weights = {_told(trace, "weights").get("sha256") for trace in traces}
    if len(weights) > 1:
        raise TraceError(f"{paths[0]}, ...: the traces are of {len(weights)} different weights files, expected one")
    known = traces[0].provenance
    inputs = [_told(trace, "input") for trace in traces]
    told = _told(traces[0], "weights")
    provenance = {
        "network": known["network"],
        "weights": f"{told.get('file')} SHA-256 {told.get('sha256')}",
        "input": [f"{one.get('file')} SHA-256 {one.get('sha256')}" for one in inputs],
        "trace": [f"{Path(path).name} SHA-256 {file_sha256(path)}" for path in paths],
        "versions": f"{versions()}; traced by evsim {known.get('version')}",
    }
    if notes := _notes(traces):
        provenance["notes"] = notes
    return runs, provenance


def _notes(traces: Sequence[Trace]) -> list[str]:
    """What sets traces apart from a run of now, in its usual mode."""
    notes = []
    if any(trace.format_version in FORMER_VERSIONS for trace in traces):
        notes.append(
            "a trace of format version 1: products with an operand of 0, updates without an event, the choice of order "
            "and the neurons that a bias keeps awake were not recorded"
        )
    n_asynchronous = sum(trace.is_asynchronous for trace in traces)
    if n_asynchronous:
        notes.append(f"{n_asynchronous} of {len(traces)} traces: {ASYNCHRONOUS_NOTE}")
    return notes


def _told(trace: Trace, name: str) -> dict:
    """A part of a trace's provenance, which a trace of another origin may lack."""
    return trace.provenance.get(name) or {}


def _described(path: str, trace: Trace) -> AuditedRun:
    try:
        return describe_trace(trace)
    except EvsimError as error:
        raise TraceError(f"{path}: {error}") from None


def versions() -> str:
    """evsim and what it computes with."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "scipy"))
    return f"evsim {__version__}, Python {platform.python_version()}, {libraries}"
