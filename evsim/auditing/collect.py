"""From files to described runs: simulate every recording, or read traces, and say where everything came from."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from evsim import __version__
from evsim.auditing.inputs import expand, sha256
from evsim.auditing.layers import AuditedRun, audit_run
from evsim.auditing.replay import describe_trace
from evsim.errors import EvsimError, TraceError
from evsim.loading.importing import load_network
from evsim.runs.run import Preparation, prepare_input
from evsim.traces.trace import read_trace

__all__ = ["audit_recordings", "audit_traces", "versions"]

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
    sources = expand(inputs, preparation.index)
    runs, notes = [], []
    for done, source in enumerate(sources, start=1):
        chosen = Preparation(preparation.split_by, preparation.fit, source.index)
        steps = prepare_input(network, weights, source.path, chosen)
        runs.append(audit_run(network, steps.spikes, order)[0])
        notes += [note for note in steps.notes if note not in notes]
        advance(done, len(sources))
    hashes = {path: sha256(path) for path in dict.fromkeys(source.path for source in sources)}
    provenance = {
        "network": f"{weights.header.get('title', '')} ({weights.header['family']})",
        "weights": f"{Path(weights_path).name} SHA-256 {sha256(weights_path)}",
        "input": [f"{source.name} SHA-256 {hashes[source.path]}" for source in sources],
        "notes": notes if len(sources) == 1 else [],
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
    weights = {trace.provenance.get("weights", {}).get("sha256") for trace in traces}
    if len(weights) > 1:
        raise TraceError(f"{paths[0]}, ...: the traces are of {len(weights)} different weights files, expected one")
    known = traces[0].provenance
    inputs = [trace.provenance.get("input", {}) for trace in traces]
    provenance = {
        "network": known["network"],
        "weights": f"{known['weights'].get('file')} SHA-256 {known['weights'].get('sha256')}",
        "input": [f"{one.get('file')} SHA-256 {one.get('sha256')}" for one in inputs],
        "trace": [f"{Path(path).name} SHA-256 {sha256(path)}" for path in paths],
        "versions": f"{versions()}; traced by evsim {known.get('version')}",
    }
    return runs, provenance


def _described(path: str, trace) -> AuditedRun:
    try:
        return describe_trace(trace)
    except EvsimError as error:
        raise TraceError(f"{path}: {error}") from None


def versions() -> str:
    """evsim and what it computes with."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "scipy"))
    return f"evsim {__version__}, Python {platform.python_version()}, {libraries}"
