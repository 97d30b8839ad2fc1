"""The description of a run from its trace alone: no weights, no second run.

The trace holds what the recording and every population sent, and the ledger. Handlers that only pass spikes on (pools,
masks, sums of streams) have no weights, so they are called again on the recorded spikes; the rest need not be. The
network is built with every tensor set to one: only its shape is used; what follows from its weights, the trace holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evsim import networks
from evsim.auditing.layers import AuditedRun, describe, log_for
from evsim.auditing.layers import Layer as Described
from evsim.checkpoints.header import read_header_values
from evsim.engine.current import bounded
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import EvsimError, TraceError
from evsim.handlers.geometry import Neurons
from evsim.handlers.neurons import Population
from evsim.recordings.discover import one_line
from evsim.traces.trace import Layer, Trace

__all__ = ["describe_trace", "shape_of_network"]

MOST_WEIGHTS, MOST_PLACES = 2**28, 2**27
VALUES_PER_PLACE = 16
"""Every current is read by a population of the trace, or pooled on the way to one."""


class _Recorded:
    """Sends what a population sent when the trace was written."""

    wakes_itself = True

    def __init__(self, name: str, layer: Layer) -> None:
        self.name = name
        self._layer = layer

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        return _spikes(self._layer, step), OpCounts()

    def reset(self) -> None:
        """Nothing is remembered between steps."""


class _Silent:
    """Stands for a handler that writes a current: nothing reads it here."""

    def __init__(self, handler) -> None:
        self.name = handler.name

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        return Spikes.none(), OpCounts()

    def reset(self) -> None:
        """Nothing is remembered between steps."""


def describe_trace(trace: Trace) -> AuditedRun:
    """The run that a trace recorded, described.

    Raises
    ------
    TraceError
        The trace does not say of which network it is, or does not fit it.
    """
    network = shape_of_network(trace)
    _check(network, trace)
    log = log_for(network)
    original, readout = list(network.handlers), network.readout
    sends = {source for ports in network.sources for source in ports.values()}
    network.handlers[:-1] = [_stand_in(handler, trace, handler.name in sends) for handler in original[:-1]]
    try:
        steps = [_spikes(trace.layers[INPUT], step) for step in range(trace.n_steps)]
        simulate(network, steps, [log])
    finally:
        network.handlers[:-1] = original[:-1]
        readout.reset()
    described = describe(network, log, trace.ledger, trace.n_steps)
    return replace(described, layers=tuple(_with_known_neurons(layer, trace) for layer in described.layers))


def _with_known_neurons(layer: Described, trace: Trace) -> Described:
    """Which neurons a bias keeps awake follows from weights: it is the trace that knows, not the network of ones."""
    if not isinstance(layer.geometry, Neurons):
        return layer
    return replace(layer, geometry=replace(layer.geometry, n_sleepless=trace.sleepless.get(layer.name)))


def shape_of_network(trace: Trace) -> Network:
    """The network a trace is of, every tensor one."""
    known = trace.provenance
    if known.get("network") == "recorded":
        raise TraceError(
            "the trace is of a recorded network, whose shape its graph file alone knows; --weights FILE and --input "
            "RECORDING in place of --trace count it"
        )
    try:
        module = networks.family(known["network"])
        hp = read_header_values("provenance", known["hyper_parameters"] or {}, module.HyperParameters)
        n_places = _check_places(hp, trace)
        shapes = module.tensor_shapes(hp)[0]
        n_weights = sum(math.prod(shape) for shape in shapes.values())
        if n_weights > MOST_WEIGHTS:
            raise TraceError(f"{n_weights:,} weights, expected at most {MOST_WEIGHTS:,}")
        tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
        with bounded(VALUES_PER_PLACE * n_places, 1):
            return module.build(tensors, hp)
    except (EvsimError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TraceError(f"the trace's provenance does not describe a network of evsim ({one_line(error)})") from None


def _check_places(hp, trace: Trace) -> int:
    """Before anything is allocated: the input is the recorded one, and no more blocks than layers were recorded.

    Returns how many places the trace has in all.
    """
    size = hp.height, hp.width, hp.in_channels
    found = trace.layers[INPUT].shape if INPUT in trace.layers else None
    if found != size:
        raise TraceError(f"an input of {size}, but the spikes of {INPUT!r} have the shape {found}")
    n_blocks = sum(value for name in ("depth", "depths") for value in np.atleast_1d(getattr(hp, name, 0)))
    n_places = sum(math.prod(layer.shape) for layer in trace.layers.values())
    if n_blocks > len(trace.layers) or n_places > MOST_PLACES:
        raise TraceError(f"{n_blocks:,} blocks in {len(trace.layers):,} layers of {n_places:,} places; too many")
    return n_places


def _stand_in(handler, trace: Trace, sends_spikes: bool):
    if isinstance(handler, Population):
        return _Recorded(handler.name, trace.layers[handler.name])
    return handler if sends_spikes else _Silent(handler)


def _spikes(layer: Layer, step: int) -> Spikes:
    first, end = np.searchsorted(layer.step, [step, step + 1])
    payload = None if layer.payload is None else layer.payload[first:end]
    return Spikes(layer.address[first:end].astype(np.int32), payload)


def _check(network: Network, trace: Trace) -> None:
    """Every population recorded in its own shape, every row of the ledger of a handler."""
    expected = {p.name: tuple(p.shape) for p in network.populations()} | {INPUT: tuple(network.input_shape)}
    for name, shape in expected.items():
        if name not in trace.layers:
            raise TraceError(f"the trace has no spikes of {name}, expected those of every population and the input")
        if tuple(trace.layers[name].shape) != shape:
            raise TraceError(f"spikes of {name} have shape {trace.layers[name].shape}, expected {shape}")
    known = {handler.name for handler in network.handlers}
    for name, step, _ in trace.ledger.rows():
        if name not in known or not 0 <= step < trace.n_steps:
            raise TraceError(f"the trace's ledger has a row of {name} at step {step}, unknown to this network")
