"""Probe and Trace: the spikes of every population of a run, and the HDF5 file that keeps them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from evsim.engine.ledger import COUNTS, Ledger, OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.spikes import Spikes
from evsim.errors import TraceError

__all__ = ["Layer", "Probe", "Trace", "read_trace", "write_trace"]

FORMAT = "evsim-trace"
VERSION = 1
MOST_STEPS = 1_000_000
MOST_PLACES = 2**31
"""What addresses of 32 bits can reach; a larger shape is a damaged file."""


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
    """

    layers: dict[str, Layer]
    logits: np.ndarray
    n_steps: int
    ledger: Ledger
    provenance: dict = field(default_factory=dict)

    @staticmethod
    def collect(network: Network, probe: Probe, result, provenance: Mapping[str, object]) -> Trace:
        """The trace of a finished run."""
        layers = {INPUT: probe.layer(INPUT, network.input_shape, "row,col,channel")}
        layers |= {p.name: probe.layer(p.name, p.shape, p.axes) for p in network.populations()}
        for name, by_step in getattr(result, "order", {}).items():
            if name in layers:
                layers[name] = replace(layers[name], order=_join(by_step, np.int64))
        return Trace(layers, result.logits, result.n_steps, result.ledger, dict(provenance))


def write_trace(path: str | os.PathLike, trace: Trace) -> None:
    """Write an HDF5 file readable without evsim, under a temporary name that is then renamed.

    ``spikes/<module>`` holds ``step`` (int32), ``address`` (int64) and, for graded events, ``payload``; its
    attributes are ``shape`` and ``axes``. ``ledger`` holds one row a handler and step. The attribute
    ``provenance`` is JSON.
    """
    import h5py

    temporary = f"{os.fspath(path)}.part"
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(format=FORMAT, format_version=VERSION, n_steps=trace.n_steps)
            file.attrs["provenance"] = json.dumps(trace.provenance)
            file.attrs["layer_order"] = list(trace.layers)
            file["logits"] = trace.logits
            for name, layer in trace.layers.items():
                _write_layer(file.create_group(f"spikes/{name}"), layer)
            _write_ledger(file.create_group("ledger"), trace.ledger)
        os.replace(temporary, path)
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def read_trace(path: str | os.PathLike) -> Trace:
    """Read and check a trace file.

    Raises
    ------
    TraceError
        Not a trace, damaged, or its addresses reach outside its shapes.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise TraceError(f"{path}: an HDF5 file, but not an evsim trace (no attribute format={FORMAT!r})")
            if file.attrs.get("format_version") != VERSION:
                found = file.attrs.get("format_version")
                raise TraceError(f"{path}: trace format version {found}, expected {VERSION}")
            n_steps = int(file.attrs["n_steps"])
            if not 1 <= n_steps <= MOST_STEPS:
                raise TraceError(f"{path}: n_steps is {n_steps}, expected 1 to {MOST_STEPS:,}")
            layers = {name: _read_layer(path, name, group, n_steps) for name, group in file["spikes"].items()}
            order = [INPUT, *(name for name in file.attrs.get("layer_order", []) if name in layers)]
            ledger = _read_ledger(file["ledger"])
            provenance = json.loads(file.attrs["provenance"])
            logits = file["logits"][()]
            if not isinstance(provenance, dict):
                raise TraceError(f"{path}: the attribute provenance is not a JSON object")
    except TraceError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise TraceError(f"{path}: not a readable evsim trace ({error})") from None
    ordered = {name: layers[name] for name in [*order, *layers] if name in layers}
    return Trace(ordered, logits, n_steps, ledger, provenance)


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


def _read_layer(path, name: str, group, n_steps: int) -> Layer:
    shape = tuple(int(n) for n in group.attrs["shape"])
    step, address = group["step"][()], group["address"][()]
    payload, order = (group[name][()] if name in group else None for name in ("payload", "order"))
    axes = str(group.attrs["axes"])
    size = math.prod(shape)
    if len(set(axes.split(","))) != len(shape) or min(shape) < 0 or size > MOST_PLACES:
        raise TraceError(f"{path}: spikes/{name}: the shape {shape} does not fit the axes {axes!r}, or is too large")
    if step.shape != address.shape or step.ndim != 1 or (payload is not None and payload.shape != step.shape):
        raise TraceError(f"{path}: spikes/{name}: {step.shape} steps and {address.shape} addresses, expected as many")
    if step.size and not (0 <= step.min() and step.max() < n_steps and 0 <= address.min() and address.max() < size):
        raise TraceError(f"{path}: spikes/{name}: a step or address lies outside {n_steps} steps x {size} places")
    if order is not None and (order.shape != step.shape or order.dtype.kind not in "iu" or order.min(initial=0) < 0):
        raise TraceError(f"{path}: spikes/{name}: an order of {order.shape} {order.dtype}, expected places from 0 up")
    return Layer(shape, axes, step, address, payload, order)


def _write_ledger(group, ledger: Ledger) -> None:
    rows = list(ledger.rows())
    group["handler"] = np.array([name for name, _, _ in rows], dtype="S")
    group["step"] = np.array([step for _, step, _ in rows], np.int32)
    for count in COUNTS:
        group[count] = np.array([getattr(counts, count) for _, _, counts in rows], np.int64)


def _read_ledger(group) -> Ledger:
    ledger = Ledger()
    names = [name.decode() for name in group["handler"][()]]
    columns = [group[count][()].tolist() if count in group else [0] * len(names) for count in COUNTS]
    for name, step, *counts in zip(names, group["step"][()].tolist(), *columns, strict=True):
        ledger.charge(name, step, OpCounts(*counts))
    return ledger


def _join(parts: list[np.ndarray], dtype) -> np.ndarray:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(0, dtype)
