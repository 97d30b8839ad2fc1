"""Probe and Trace: the spikes of every population of a run, and the HDF5 file that keeps them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from evsim.engine.ledger import COUNTS, Ledger
from evsim.engine.network import INPUT, Network
from evsim.engine.spikes import Spikes
from evsim.errors import TraceError
from evsim.outputs import output_hdf5
from evsim.traces.checked_trace import open_trace

__all__ = ["ASYNCHRONOUS_NOTE", "Layer", "Probe", "Trace", "read_trace", "write_trace"]

FORMAT = "evsim-trace"
VERSION = 2
FORMER_VERSIONS = (1,)
"""Read as well: version 1 calls `event_acs` acs and `acs` unit_acs, and knows neither some counts nor `sleepless`."""

ASYNCHRONOUS_NOTE = (
    "an asynchronous run, without layer barriers: its own spikes and additions, withdrawn ones included; counting "
    "conventions are written for layers that wait"
)


@dataclass(frozen=True, eq=False)
class Layer:
    """The events of one source over a whole run.

    Parameters
    ----------
    shape : tuple of int
    axes : str
        Names of the axes of `shape`, comma separated.
    step : int32 [n]
        Non-decreasing.
    address : int64 [n]
        Flat row-major index into `shape`; rising within a step.
    payload : int32 or float32 [n], or None
    order : int64 [n], or None
        Of a run without layer barriers: the place of each event in the sequence of all spikes of its step.
    """

    shape: tuple[int, ...]
    axes: str
    step: np.ndarray
    address: np.ndarray
    payload: np.ndarray | None = None
    order: np.ndarray | None = None

    def to_dense(self, n_steps: int) -> np.ndarray:
        """[n_steps, *shape]; int32 unless the payload is real."""
        size = int(np.prod(self.shape))
        dense = np.zeros((n_steps, size), np.int32 if self.payload is None else self.payload.dtype)
        dense[self.step, self.address] = 1 if self.payload is None else self.payload
        return dense.reshape(n_steps, *self.shape)


class Probe:
    """Keeps what the named sources sent; an observer for `simulate`.

    Parameters
    ----------
    names : iterable of str
        Sources to keep; all when None.
    """

    def __init__(self, names: Iterable[str] | None = None) -> None:
        self._names = None if names is None else set(names)
        self._seen: dict[str, dict[int, Spikes]] = {}

    def show(self, name: str, step: int, spikes: Spikes) -> None:
        """Called by the simulator after each handler."""
        if self._names is None or name in self._names:
            self._seen.setdefault(name, {})[step] = spikes

    def spikes(self, name: str, step: int) -> Spikes:
        """What `name` sent at `step`; no spikes when it was never called."""
        return self._seen.get(name, {}).get(step, Spikes.none())

    def layer(self, name: str, shape: tuple[int, ...], axes: str) -> Layer:
        """All events of one source in order of step."""
        sent = sorted(self._seen.get(name, {}).items())
        steps = [np.full(len(spikes), step, np.int32) for step, spikes in sent]
        payloads = [spikes.payload for _, spikes in sent]
        graded = any(payload is not None for payload in payloads)
        ones = [np.ones(len(s), np.int32) if s.payload is None else s.payload for _, s in sent] if graded else []
        return Layer(
            shape,
            axes,
            _join(steps, np.int32),
            _join([spikes.address for _, spikes in sent], np.int64),
            np.concatenate(ones) if graded else None,
        )


@dataclass(frozen=True, eq=False)
class Trace:
    """A run as it is kept on disk.

    Parameters
    ----------
    layers : dict of str to Layer
        The input and every population, in run order, by the checkpoint's module names.
    logits : float32 [n_classes]
    n_steps : int
    ledger : Ledger
    provenance : dict
        Family, hyper-parameters, SHA-256 of weights and input, versions.
    sleepless : dict of str to int
        Neurons of each population that their bias alone wakes at every step: they follow from weights, which a trace
        does not hold. A trace of version 1 names none.
    format_version : int
    """

    layers: dict[str, Layer]
    logits: np.ndarray
    n_steps: int
    ledger: Ledger
    provenance: dict = field(default_factory=dict)
    sleepless: dict[str, int] = field(default_factory=dict)
    format_version: int = VERSION

    @property
    def is_asynchronous(self) -> bool:
        """Whether the run had no layer barriers."""
        return self.provenance.get("mode") == "asynchronous"

    @staticmethod
    def collect(network: Network, probe: Probe, result, provenance: Mapping[str, object]) -> Trace:
        """The trace of a finished run."""
        layers = {INPUT: probe.layer(INPUT, network.input_shape, "row,col,channel")}
        layers |= {p.name: probe.layer(p.name, p.shape, p.axes) for p in network.populations()}
        for name, by_step in getattr(result, "order", {}).items():
            if name in layers:
                layers[name] = replace(layers[name], order=_join(by_step, np.int64))
        sleepless = {p.name: p.geometry.n_sleepless for p in network.populations()}
        return Trace(layers, result.logits, result.n_steps, result.ledger, dict(provenance), sleepless)


def write_trace(path: str | os.PathLike, trace: Trace) -> None:
    """Write an HDF5 file readable without evsim.

    ``spikes/<module>`` holds ``step`` (int32), ``address`` (int64) and, for graded events, ``payload``; its
    attributes are ``shape`` and ``axes``, and ``n_sleepless`` for a population. ``ledger`` holds one row a handler and
    step. The attribute ``provenance`` is JSON.

    Raises
    ------
    EvsimError
        The file cannot be written.
    """
    with output_hdf5(path) as file:
        file.attrs.update(format=FORMAT, format_version=VERSION, n_steps=trace.n_steps)
        file.attrs["provenance"] = json.dumps(trace.provenance)
        file.attrs["layer_order"] = list(trace.layers)
        file["logits"] = trace.logits
        for name, layer in trace.layers.items():
            group = file.create_group(f"spikes/{name}")
            _write_layer(group, layer)
            if name in trace.sleepless:
                group.attrs["n_sleepless"] = trace.sleepless[name]
        _write_ledger(file.create_group("ledger"), trace.ledger)


def read_trace(path: str | os.PathLike) -> Trace:
    """Read and check a trace file.

    Raises
    ------
    TraceError
        Not a trace, damaged, hostile, or its addresses reach outside its shapes.
    """
    with open_trace(path) as stored:
        found = stored.attribute("format"), stored.attribute("format_version")
        if not isinstance(found[0], str) or found[0] != FORMAT:
            raise TraceError(f"{path}: an HDF5 file, but not an evsim trace (no attribute format={FORMAT!r})")
        version = found[1]
        if np.ndim(version) or version not in (*FORMER_VERSIONS, VERSION):
            raise TraceError(f"{path}: trace format version {version}, expected 1 to {VERSION}")
        ledger = stored.ledger(of_former_version=version in FORMER_VERSIONS)
        n_steps = stored.n_steps(sum(1 for _ in ledger.rows()))
        layers, sleepless = {}, {}
        for name in stored.layers():
            shape, axes = stored.shape(name)
            step, address, payload = stored.events(name, n_steps, math.prod(shape))
            layers[name] = Layer(shape, axes, step, address, payload, stored.order(name, step.size))
            n_sleepless = stored.n_sleepless(name, math.prod(shape))
            sleepless |= {} if n_sleepless is None else {name: n_sleepless}
        return Trace(layers, stored.logits(), n_steps, ledger, stored.provenance(), sleepless, int(version))


def _write_layer(group, layer: Layer) -> None:
    options = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    group.attrs["shape"] = np.asarray(layer.shape, np.int64)
    group.attrs["axes"] = layer.axes
    group.create_dataset("step", data=layer.step.astype(np.int32), **options)
    group.create_dataset("address", data=layer.address.astype(np.int64), **options)
    if layer.payload is not None:
        group.create_dataset("payload", data=layer.payload, **options)
    if layer.order is not None:
        group.create_dataset("order", data=layer.order.astype(np.int64), **options)


def _write_ledger(group, ledger: Ledger) -> None:
    rows = list(ledger.rows())
    group["handler"] = np.array([name for name, _, _ in rows], dtype="S")
    group["step"] = np.array([step for _, step, _ in rows], np.int32)
    for count in COUNTS:
        group[count] = np.array([getattr(counts, count) for _, _, counts in rows], np.int64)


def _join(parts: list[np.ndarray], dtype) -> np.ndarray:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(0, dtype)
