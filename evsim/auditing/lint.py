"""lint: is this network spike-driven? Where it is not, and what share of the work that is.

The claims are those of Yao et al., Spike-driven Transformer (NeurIPS 2023): (1) nothing is computed on zero, (2) spikes
are binary, (3) attention is linear in tokens and channels, (4) between Q, K and V there are only masks and additions.
Each is checked on a measured run, with the integers of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evsim.auditing.layers import AuditedRun, Layer
from evsim.engine.ledger import OpCounts
from evsim.handlers.geometry import (
    Attention,
    DenseArray,
    Elementwise,
    FixedMap,
    Mean,
    Neurons,
    Pool,
    Product,
    Sum,
    Synapses,
)

__all__ = ["Claim", "Place", "check_claims", "find_places", "operations"]

_OPERATIONS = ("unit_acs", "macs", "masks", "bias_adds", "residual_adds", "scalings", "updates", "comparisons")


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere the network is not spike-driven.

    Parameters
    ----------
    layer : str
    kind : str
        What is wrong there, in two or three words.
    operations : int
        Of the ledger, that are of this kind there.
    words : str
        The same with its numbers.
    """

    layer: str
    kind: str
    operations: int
    words: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the paper: whether it holds for this run, and the numbers that say so."""

    words: str
    holds: bool
    evidence: str


def operations(counts: OpCounts) -> int:
    """Every arithmetic operation of the ledger, memory and queue left out."""
    return sum(getattr(counts, name, 0) for name in _OPERATIONS)


def find_places(run: AuditedRun) -> list[Place]:
    """Every place, in run order."""
    return [place for layer in run.layers for place in _places_of(layer)]


def _places_of(layer: Layer) -> Iterator[Place]:
    counts, geometry = layer.counts, layer.geometry
    if isinstance(geometry, Pool) and not geometry.of_spikes:
        n = counts.comparisons
        yield Place(layer.name, "max-pool on membrane values", n, f"{n:,} comparisons of real-valued currents")
    if isinstance(geometry, Synapses):
        yield from _synapses(layer, counts)
    if isinstance(geometry, Sum):
        n = counts.residual_adds
        yield Place(layer.name, "sum of spikes (SEW)", n, f"{n:,} additions make integer values, not spikes")
    if isinstance(geometry, Mean):
        n = counts.residual_adds + counts.unit_acs
        yield Place(layer.name, "average before the head", n, f"{n:,} additions of real or integer values to a mean")
    scalings = getattr(counts, "scalings", 0)
    if isinstance(geometry, Attention | Product) and scalings:
        yield Place(layer.name, "scaled product", scalings, f"{scalings:,} products by a scale")
    if isinstance(geometry, Elementwise | FixedMap) and scalings:
        yield Place(layer.name, "scaled values", scalings, f"{scalings:,} products of finished sums by a constant")
    if isinstance(geometry, DenseArray):
        n = counts.dense_macs + counts.comparisons
        words = f"{counts.dense_macs:,} products and {counts.comparisons:,} comparisons on whole arrays, events or not"
        yield Place(layer.name, "dense operation", n, words)
    if isinstance(geometry, Neurons) and geometry.n_sleepless:
        n = geometry.n_sleepless * len(layer.steps)
        words = f"{geometry.n_sleepless:,} neurons reach the threshold by their bias alone: up to {n:,} updates"
        yield Place(layer.name, "awake without events", min(n, counts.updates), words)


def _synapses(layer: Layer, counts: OpCounts) -> Iterator[Place]:
    operand = layer.operand
    if operand.is_real:
        kind = "real-valued stem" if layer.is_first else "real-valued head" if layer.is_classifier else "soft values"
        yield Place(layer.name, kind, counts.macs, f"{counts.macs:,} MACs on {operand.source}")
    elif not operand.is_binary:
        kind = "event counts as input" if layer.is_first else "integer spikes"
        values = ", ".join(f"{value:g}" for value in operand.values)
        words = f"values {values}, ... from {operand.source}: {counts.graded_acs:,} additions carry more than one spike"
        yield Place(layer.name, kind, counts.graded_acs, words)


def check_claims(run: AuditedRun) -> list[Claim]:
    """The four claims, one by one."""
    return [_nothing_on_zero(run), _binary(run), _linear(run), _mask_and_add(run)]


def _nothing_on_zero(run: AuditedRun) -> Claim:
    """Kernels run for events only; what is left are membranes that move without one."""
    caught_up = sum(
        max(0, x.counts.updates - x.counts.comparisons // x.geometry.n_thresholds) for x in _populations(run)
    )
    sleepless = sum(x.geometry.n_sleepless * len(x.steps) for x in _populations(run))
    updates = sum(x.counts.updates for x in _populations(run))
    words = (
        f"all {run.totals.acs + run.totals.macs:,} weight additions and products were caused by a nonzero event; of "
        f"{updates:,} membrane updates {caught_up:,} make up for silent steps, and up to {sleepless:,} are of neurons "
        "that their bias keeps awake"
    )
    return Claim("nothing is computed on zero", caught_up == 0 and sleepless == 0, words)


def _binary(run: AuditedRun) -> Claim:
    """Events between handlers whose payload is one."""
    delivered = [(layer.name, operand) for layer in run.layers for operand in layer.operands.values()]
    total = sum(int(operand.events.sum()) for _, operand in delivered)
    other = [(name, o) for name, o in delivered if not o.is_binary or o.is_real]
    n_other = sum(int(operand.events.sum()) for _, operand in other)
    words = f"{total - n_other:,} of {total:,} delivered events come from sources that send only zeros and ones"
    if other:
        words += f"; others reach {', '.join(name for name, _ in other[:3])}" + (", ..." if len(other) > 3 else "")
    return Claim("spikes are binary", not other, words)


def _linear(run: AuditedRun) -> Claim:
    """The worst case of the mechanism, and what the run did per token and channel."""
    layers = [layer for layer in run.layers if isinstance(layer.geometry, Attention)]
    if not layers:
        return Claim("attention is linear in tokens and channels", True, "the network has no attention")
    mechanisms = sorted({layer.geometry.mechanism for layer in layers})
    done = sum(layer.counts.acs + layer.counts.masks for layer in layers)
    sizes = {layer.name.rpartition(".")[0]: layer.geometry.n_tokens * layer.geometry.n_channels for layer in layers}
    per_place = done / (sum(sizes.values()) * run.n_steps)
    worst = {"sdsa": "3 N D", "ssa": "min(N^2 D, N D^2 / heads), squared in N or in D", "dssa": "N P D, P patches"}
    words = "; ".join(f"{name.upper()} costs at most of the order {worst[name]}" for name in mechanisms)
    words += f"; measured {done:,} masks and additions, {per_place:.3g} for each token, channel and step"
    return Claim("attention is linear in tokens and channels", mechanisms == ["sdsa"], words)


def _mask_and_add(run: AuditedRun) -> Claim:
    """Inside the attention, everything that is neither a mask nor an addition."""
    layers = [layer for layer in run.layers if isinstance(layer.geometry, Attention)]
    total = sum((layer.counts for layer in layers), start=OpCounts())
    scalings = getattr(total, "scalings", 0)
    words = (
        f"attention did {total.masks:,} masks, {total.acs:,} additions, {total.macs:,} products, {scalings:,} scalings"
    )
    elsewhere = run.totals.macs - total.macs
    if elsewhere:
        words += f"; outside of it there are {elsewhere:,} products on real values"
    return Claim("only masks and additions between Q, K and V", not total.macs and not scalings, words)


def _populations(run: AuditedRun) -> list[Layer]:
    return [layer for layer in run.layers if isinstance(layer.geometry, Neurons)]
