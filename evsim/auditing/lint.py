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
    ReadoutArrays,
    Sum,
    Synapses,
)

__all__ = ["Claim", "Place", "check_claims", "find_places", "operations"]

_OPERATIONS = ("acs", "macs", "masks", "bias_adds", "residual_adds", "scalings", "updates", "comparisons")


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
    """One claim of the paper.

    Parameters
    ----------
    words : str
        What is claimed.
    holds : bool
        For this run, to the letter.
    evidence : str
        The numbers that say so.
    share : float or None
        How much of the run breaks it: of all operations, or of the delivered events where the claim is about these;
        None where it is about an order of growth, or nobody counted.
    """

    words: str
    holds: bool
    evidence: str
    share: float | None = None


def operations(counts: OpCounts) -> int:
    """Every arithmetic operation of the ledger, memory and queue left out."""
    return sum(getattr(counts, name) for name in _OPERATIONS)


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
        n = counts.residual_adds + counts.acs
        yield Place(layer.name, "average before the head", n, f"{n:,} additions of real or integer values to a mean")
    if isinstance(geometry, Attention) and counts.scalings and not geometry.scales_by_shift:
        yield Place(layer.name, "scaled product", counts.scalings, f"{counts.scalings:,} products by a scale")
    if isinstance(geometry, Product) and counts.scalings:
        yield Place(layer.name, "scaled product", counts.scalings, f"{counts.scalings:,} products by a scale")
    if isinstance(geometry, Elementwise | FixedMap) and counts.scalings:
        words = f"{counts.scalings:,} products of finished sums by a constant"
        yield Place(layer.name, "scaled values", counts.scalings, words)
    if isinstance(geometry, DenseArray):
        n = counts.dense_macs + counts.comparisons
        words = f"{counts.dense_macs:,} products and {counts.comparisons:,} comparisons on whole arrays, events or not"
        yield Place(layer.name, "dense operation", n, words)
    if isinstance(geometry, ReadoutArrays) and counts.macs:
        words = f"{counts.macs:,} products by formula, on whole arrays behind the last neurons, zeros among them"
        yield Place(layer.name, "readout on whole arrays", counts.macs, words)
    if isinstance(geometry, Neurons) and (counts.silent_updates or geometry.n_sleepless):
        words = f"{counts.silent_updates:,} of {counts.updates:,} updates are of neurons that no event reached"
        if geometry.n_sleepless:
            words += f"; {geometry.n_sleepless:,} neurons reach the threshold by their bias alone"
        yield Place(layer.name, "awake without events", counts.silent_updates, words)


def _synapses(layer: Layer, counts: OpCounts) -> Iterator[Place]:
    operand = layer.operand
    if operand.is_real:
        kind = "real-valued stem" if layer.is_first else "real-valued head" if layer.is_classifier else "soft values"
        zeros = f", {counts.zero_macs:,} of them on exactly 0" if counts.zero_macs else ""
        yield Place(layer.name, kind, counts.macs, f"{counts.macs:,} MACs on {operand.source}{zeros}")
    elif not operand.is_binary:
        kind = "event counts as input" if layer.is_first else "integer spikes"
        values = ", ".join(f"{value:g}" for value in operand.values)
        words = f"values {values}, ... from {operand.source}: {counts.graded_acs:,} additions carry more than one spike"
        yield Place(layer.name, kind, counts.graded_acs, words)


def check_claims(run: AuditedRun) -> list[Claim]:
    """The four claims, one by one."""
    return [_nothing_on_zero(run), _binary(run), _linear(run), _mask_and_add(run)]


def _nothing_on_zero(run: AuditedRun) -> Claim:
    """Kernels run for events only; membranes move without one, and traces of earlier versions have zero means."""
    claim, totals = "nothing is computed on zero", run.totals
    words = f"each of {totals.acs:,} additions was caused by an event"
    if any(x.geometry.n_sleepless is None for x in _populations(run)):
        return Claim(claim, False, f"{words}; products and updates without one are not in a trace of version 1")
    if totals.membrane_adds:
        return Claim(claim, False, f"{words}; updates without one are not told apart in a run without layer barriers")
    on_zero = totals.zero_macs + totals.silent_updates
    share = on_zero / (operations(totals) or 1)
    of_arrays = sum(layer.counts.macs for layer in run.layers if isinstance(layer.geometry, ReadoutArrays))
    if totals.macs > of_arrays:
        n_zero = f"{totals.zero_macs:,}" if totals.zero_macs else "none"
        words += f"; {n_zero} of {totals.macs - of_arrays:,} products had an operand of exactly 0"
    if of_arrays:
        words += f"; {of_arrays:,} products of the readout are on whole arrays, where nobody counted zeros"
    words += (
        f"; {totals.silent_updates:,} of {totals.updates:,} membrane updates had no event (a bias keeps the neuron "
        f"awake, or it makes up for silent steps): together {100 * share:.2f} % of all operations"
    )
    return Claim(claim, on_zero == 0 and not of_arrays, words, None if of_arrays else share)


def _binary(run: AuditedRun) -> Claim:
    """Events between handlers whose payload is one."""
    delivered = [(layer.name, operand) for layer in run.layers for operand in layer.operands.values()]
    total = sum(int(operand.events.sum()) for _, operand in delivered)
    other = [(name, o) for name, o in delivered if not o.is_binary or o.is_real]
    n_other = sum(int(operand.events.sum()) for _, operand in other)
    words = f"{total - n_other:,} of {total:,} delivered events come from sources that send only zeros and ones"
    if other:
        words += f"; others reach {', '.join(name for name, _ in other[:3])}" + (", ..." if len(other) > 3 else "")
    return Claim("spikes are binary", not other, words, n_other / total if total else 0.0)


def _linear(run: AuditedRun) -> Claim:
    """The worst case of the mechanism, and what the run did per token and channel."""
    layers = [layer for layer in run.layers if isinstance(layer.geometry, Attention)]
    if not layers:
        return Claim("attention is linear in tokens and channels", True, "the network has no attention")
    mechanisms = sorted({layer.geometry.mechanism for layer in layers})
    done = sum(layer.counts.acs + layer.counts.masks for layer in layers)
    sizes = {layer.name.rpartition(".")[0]: layer.geometry.n_attending for layer in layers}
    per_place = done / (sum(sizes.values()) * run.n_steps)
    worst = {"sdsa": "3 N D", "qka": "2 N D", "dssa": "N P D, P patches"}
    worst["ssa"] = "min(N^2 D, N D^2 / heads), squared in N or in D"
    words = "; ".join(f"{name.upper()} costs at most of the order {worst[name]}" for name in mechanisms)
    words += f"; measured {done:,} masks and additions, {per_place:.3g} for each token, channel and step"
    return Claim("attention is linear in tokens and channels", set(mechanisms) <= {"sdsa", "qka"}, words)


def _mask_and_add(run: AuditedRun) -> Claim:
    """Inside the attention, everything that is neither a mask nor an addition; a shift is no product."""
    layers = [layer for layer in run.layers if isinstance(layer.geometry, Attention)]
    total = sum((layer.counts for layer in layers), start=OpCounts())
    shifts = sum(layer.counts.scalings for layer in layers if layer.geometry.scales_by_shift)
    products = total.macs + total.scalings - shifts
    words = f"attention did {total.masks:,} masks, {total.acs:,} additions, {products:,} products"
    words += f" and {shifts:,} shifts (its scale is a power of two)" if shifts else ""
    elsewhere = run.totals.macs - total.macs
    if elsewhere:
        words += f"; outside of it there are {elsewhere:,} products on real values"
    share = products / (operations(run.totals) or 1)
    return Claim("only masks and additions between Q, K and V", not products, words, share)


def _populations(run: AuditedRun) -> list[Layer]:
    return [layer for layer in run.layers if isinstance(layer.geometry, Neurons)]
