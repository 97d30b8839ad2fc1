"""A run as every counting convention sees it: the handlers in run order, their sizes, operands and literal counts.

    network + simulate(..., probes=[log]) -> AuditedRun -> any convention

Nothing here estimates: the literal counts are the ledger's, the operands are sums over the spikes that were sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evsim.auditing.heads import count_pairs, split_heads
from evsim.auditing.reference_operand import mean_operand, real_operand, sources_to_keep
from evsim.auditing.source_log import Operand, SourceLog
from evsim.engine.ledger import Ledger, OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import Result, simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.geometry import Attention, Geometry, Neurons, Pool, Sum, Synapses, geometry_of
from evsim.handlers.neurons import Population
from evsim.handlers.readout import Readout

__all__ = ["AuditedRun", "Layer", "audit_run", "describe", "log_for"]


@dataclass(frozen=True, eq=False)
class Layer:
    """One handler over a whole run.

    Parameters
    ----------
    name, kind : str
        The checkpoint's module name; the handler's type.
    geometry : Geometry
    operands : dict of str to Operand
        By port.
    reference : Operand or None
        What the reference hands the layer, where that is a mean over the steps.
    steps : tuple of OpCounts
        The literal counts, step by step.
    heads : tuple of OpCounts or None
        The literal additions and masks of each attention head; they add up to those of the handler.
    population_rate : float or None
        Spikes per neuron and step of the population behind the operand, before any pooling.
    is_first, is_classifier : bool
        Reads the recording; writes the logits.
    n_residual_adds : int
        Values a step that a framework would add to an earlier result (membrane shortcut), and evsim adds in place.
    norm : str or None
        Name of the BatchNorm that was folded into the weights.
    pairs : dict of str to int
        Of spiking self-attention, over all steps; see `evsim.handlers.attention.ssa.SSA.pairs`.
    """

    name: str
    kind: str
    geometry: Geometry
    operands: dict[str, Operand]
    steps: tuple[OpCounts, ...]
    heads: tuple[OpCounts, ...] | None = None
    population_rate: float | None = None
    is_first: bool = False
    is_classifier: bool = False
    n_residual_adds: int = 0
    norm: str | None = None
    pairs: dict[str, int] = field(default_factory=dict)
    reference: Operand | None = None

    @property
    def counts(self) -> OpCounts:
        """The literal counts of the whole run."""
        return sum(self.steps, start=OpCounts())

    @property
    def n_calls(self) -> int:
        """How often the official model runs the layer."""
        return 1 if isinstance(self.geometry, Synapses) and self.geometry.is_once else len(self.steps)

    @property
    def operand(self) -> Operand:
        """The spikes of a handler that has one port."""
        return self.operands["spikes"]

    @property
    def seen(self) -> Operand:
        """What a hook of the reference sees: the operand, or its mean over the steps."""
        return self.reference or self.operand


@dataclass(frozen=True, eq=False)
class AuditedRun:
    """A finished run, described.

    Parameters
    ----------
    network : str
        Family.
    n_steps : int
    layers : tuple of Layer
        In run order.
    provenance : dict
        Weights and input with their SHA-256, versions, notes.
    """

    network: str
    n_steps: int
    layers: tuple[Layer, ...]
    provenance: dict = field(default_factory=dict)

    @property
    def synapses(self) -> list[Layer]:
        """Convolutions and linear layers."""
        return [layer for layer in self.layers if isinstance(layer.geometry, Synapses)]

    @property
    def totals(self) -> OpCounts:
        """The literal counts of all handlers and steps."""
        return sum((layer.counts for layer in self.layers), start=OpCounts())


def audit_run(network: Network, recording: Sequence[Spikes], order: str = "stage") -> tuple[AuditedRun, Result]:
    """Simulate and describe."""
    log = log_for(network)
    result = simulate(network, recording, [log], order)
    return describe(network, log, result.ledger, result.n_steps), result


def log_for(network: Network) -> SourceLog:
    """An observer that splits what feeds an attention by head."""
    heads, keep = {}, sources_to_keep(network)
    for handler, ports in zip(network.handlers, network.sources, strict=True):
        geometry = geometry_of(handler)
        if isinstance(geometry, Attention):
            heads |= dict.fromkeys(ports.values(), (geometry.n_heads, geometry.head_channels))
            keep |= set(ports.values()) if geometry.keeps_spikes else set()
    return SourceLog(heads, keep)


def describe(network: Network, log: SourceLog, ledger: Ledger, n_steps: int) -> AuditedRun:
    """Put together what the network is, what its sources sent, and what the ledger says."""
    by_step: dict[str, list[OpCounts]] = {h.name: [OpCounts()] * n_steps for h in network.handlers}
    for name, step, counts in ledger.rows():
        by_step[name][step] += counts
    layers = tuple(_layer(network, stage, log, tuple(by_step[h.name])) for stage, h in enumerate(network.handlers))
    return AuditedRun(network.name, n_steps, layers)


def _layer(network: Network, stage: int, log: SourceLog, steps: tuple[OpCounts, ...]) -> Layer:
    handler, ports = network.handlers[stage], network.sources[stage]
    geometry = geometry_of(handler)
    n_steps = len(steps)
    operands = {port: log.operand(source, _size(network, source), n_steps) for port, source in ports.items()}
    reference = None
    if isinstance(geometry, Synapses) and not operands:
        by_step, reference = real_operand(network, stage, log, n_steps)
        operands = {"spikes": by_step or _real_operand(geometry, steps)}
    elif isinstance(geometry, Synapses) and geometry.is_once:
        reference = mean_operand(log, ports["spikes"], geometry.n_inputs, n_steps)
    writes_logits = isinstance(network.handlers[-1], Readout) and _target(handler) is network.readout.current
    return Layer(
        name=handler.name,
        kind=type(handler).__name__,
        geometry=geometry,
        operands=operands,
        steps=steps,
        heads=split_heads(handler, operands, steps, log),
        population_rate=_population_rate(network, ports.get("spikes"), log, n_steps),
        is_first=INPUT in ports.values(),
        is_classifier=writes_logits and not isinstance(handler, Readout),
        n_residual_adds=_residual_adds(handler),
        norm=getattr(handler, "norm", None),
        pairs=count_pairs(handler, operands, steps, log),
        reference=reference if isinstance(geometry, Synapses) and geometry.is_once else None,
    )


def _real_operand(geometry: Synapses, steps: tuple[OpCounts, ...]) -> Operand:
    """A layer that reads real values: how many were nonzero follows from its products; their sum is not kept.

    Exactly, of a linear layer; on the average over the map, of a convolution.
    """
    fan_out = geometry.inner_macs / geometry.n_inputs
    events = np.array([round((counts.macs - counts.zero_macs) / fan_out) for counts in steps], np.int64)
    several = (float("-inf"), 0.5, float("inf"))  # of no use as values: neither binary nor between 0 and 1
    return Operand("real values", geometry.n_inputs, events, np.full(len(steps), np.nan), several, is_real=True)


def _size(network: Network, source: str) -> int:
    """Places of what a source sends."""
    if source == INPUT:
        height, width, n_channels = network.input_shape
        return height * width * n_channels
    handler = _handler(network, source)
    geometry = geometry_of(handler)
    if isinstance(geometry, Neurons):
        return geometry.n_neurons
    if isinstance(geometry, Pool):
        return geometry.n_outputs
    if isinstance(geometry, (Attention, Sum)):
        return geometry.n_places
    return getattr(handler, "n_outputs", handler.n_inputs)


def _population_rate(network: Network, source: str | None, log: SourceLog, n_steps: int) -> float | None:
    """The rate of the population that a chain of pools leads back to."""
    while source not in (None, INPUT):
        handler = _handler(network, source)
        if isinstance(handler, Population):
            return log.operand(source, handler.n_neurons, n_steps).density
        if not isinstance(geometry_of(handler), Pool):
            return None
        source = network.sources[network.handlers.index(handler)].get("spikes")
    return None


def _handler(network: Network, name: str):
    return next(h for h in network.handlers if h.name == name)


def _target(handler):
    """The current a handler writes, if it writes one."""
    return getattr(handler, "target", getattr(handler, "current", None))


def _residual_adds(handler) -> int:
    """A second writer of a current is a shortcut: a framework adds the two maps, evsim adds in place."""
    current = _target(handler)
    if current is None or handler.name not in current.writers[1:]:
        return 0
    return current.n_places * current.n_channels
