"""The energy panel: compute, weight memory, state memory and routing of the spiking run and of its dense twins.

    spiking   sum over the ledger of count * price
    dense     the same layers once, on real numbers:             MACs * mac
    matched   the same layers once, activations of b bits:       MACs * b * add,   b = ceil(log2(T + 1))

    break-even density s* = s (E_dense - E_fixed) / E_events

s is the fan-out-weighted density of the run, E_events what scales with the number of events (additions, masks, weight
reads, deliveries), E_fixed the rest (membranes, biases, state). Every row carries what was assumed for it and what the
model has no price for: a ratio without them could be misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evsim.auditing.dense import Dense, dense_twin, matched_bits
from evsim.auditing.energy_model import EnergyModel
from evsim.auditing.layers import AuditedRun, Layer
from evsim.handlers.geometry import Synapses

__all__ = ["PANEL_PARTS", "Panel", "PanelRow", "compute_pj", "density", "energy_panel"]

PANEL_PARTS = ("compute", "weights", "state", "routing")

_PRICED = {
    "synop": ("compute", ("acs",)),
    "add": ("compute", ("bias_adds", "residual_adds")),
    "mac": ("compute", ("macs",)),
    "multiply": ("compute", ("scalings",)),
    "mask": ("compute", ("masks",)),
    "compare": ("compute", ("comparisons",)),
    "update": ("compute", ("updates",)),
    "weight_read": ("weights", ("weight_reads",)),
    "state_read": ("state", ("state_reads",)),
    "state_write": ("state", ("state_writes",)),
    "event": ("routing", ("events_in",)),
}
_BY_EVENTS = ("acs", "macs", "masks", "weight_reads", "events_in")
"""Counts that grow with the number of spikes; the rest is there at any rate."""


@dataclass(frozen=True)
class PanelRow:
    """One way to run the network.

    Parameters
    ----------
    name : str
    parts : dict of str to (float or None)
        pJ by `PANEL_PARTS`; None where the model has no price.
    ratio : float or None
        Energy of this row over that of the spiking run, over the parts that both have.
    break_even : float or None
        Mean density of the operands at which the spiking run would cost as much as this row.
    assumptions : list of str
    """

    name: str
    parts: dict[str, float | None]
    ratio: float | None = None
    break_even: float | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        return sum(value for value in self.parts.values() if value is not None)


@dataclass(frozen=True)
class Panel:
    """All rows of one model for one run.

    Parameters
    ----------
    model : EnergyModel
    rows : list of PanelRow
        The spiking run first.
    density : float
        Fan-out-weighted density of the run's operands.
    """

    model: EnergyModel
    rows: list[PanelRow]
    density: float


def density(run: AuditedRun) -> float:
    """Literal additions and products of all synaptic layers over the dense ones of all steps."""
    done = sum(layer.counts.event_acs + layer.counts.macs for layer in run.synapses)
    dense = sum(layer.geometry.inner_macs * len(layer.steps) for layer in run.synapses)
    return done / dense if dense else 0.0


def energy_panel(run: AuditedRun, model: EnergyModel) -> Panel:
    """Price a run and its dense twins."""
    spiking, by_events, left_out = _spiking(run, model)
    twin = dense_twin(run)
    s = density(run)
    rows = [PanelRow("spiking, literal", spiking, 1.0, None, _words(run, model, left_out))]
    for name, mac, bits, words in _twins(run, model):
        if mac is None:
            rows.append(
                PanelRow(name, dict.fromkeys(PANEL_PARTS), None, None, ("the model has no price for a product",))
            )
            continue
        parts = _dense(run, twin, model, mac, bits)
        parts = {part: parts[part] if spiking[part] is not None else None for part in PANEL_PARTS}
        total = sum(value for value in parts.values() if value is not None)
        measured = sum(value for value in spiking.values() if value is not None)
        even = s * (total - (measured - by_events)) / by_events if by_events else None
        ratio = total / measured if measured else None
        rows.append(PanelRow(name, parts, ratio, even, words))
    return Panel(model, rows, s)


def compute_pj(counts: Mapping[str, float], model: EnergyModel) -> float:
    """The panel's compute part of the spiking run from counts alone: what arithmetic costs, no layer's size matters."""
    total = 0.0
    for operation, (part, names) in _PRICED.items():
        price = model.price(_synop(operation, model)) if part == "compute" else None
        total += price * sum(counts[name] for name in names) if price is not None else 0.0
    return total


def _synop(operation: str, model: EnergyModel) -> str:
    """A synaptic operation is priced as such where a model knows them, else as an addition."""
    return "add" if operation == "synop" and operation not in model.constants else operation


def _twins(run: AuditedRun, model: EnergyModel):
    """Name, price of a product, bits of an activation and assumptions of each twin."""
    bits = matched_bits(run.n_steps)
    shared = "one pass, same layers; softmax attention where the network attends; a weight read per product, no reuse"
    mac, add = model.price("mac"), model.price("add")
    yield f"dense ANN, {model.word_bits} bit", mac, model.word_bits, (shared, "activation functions left out")
    matched = None if add is None else bits * add
    words = (f"activations of {bits} bits = ceil(log2({run.n_steps} + 1)), a product as {bits} additions", shared)
    yield f"quantised ANN, {bits} bit", matched, bits, words


_WORDS = {"acs": "ACs (a payload of n as n)", "macs": "MACs", "events_in": "events delivered"}


def _words(run: AuditedRun, model: EnergyModel, left_out: list[str]) -> tuple[str, ...]:
    """What a reader must know of the row of the spiking run: what is in it, and what is not."""
    totals = run.totals
    counted = [name for _, names in _PRICED.values() for name in names if getattr(totals, name)]
    words = ["made of " + ", ".join(_named(name) for name in counted if name not in left_out)]
    if left_out:
        words.append("no price for " + ", ".join(map(_named, left_out)))
    if model.unverified:
        words.append("unverified: " + ", ".join(model.unverified))
    return tuple(words)


def _named(count: str) -> str:
    return _WORDS.get(count, count.replace("_adds", " additions").replace("_", " "))


def _spiking(run: AuditedRun, model: EnergyModel) -> tuple[dict[str, float | None], float, list[str]]:
    """pJ by part, pJ that scale with events, and the counts that have no price."""
    parts: dict[str, float | None] = dict.fromkeys(PANEL_PARTS)
    by_events, left_out = 0.0, []
    for operation, (part, names) in _PRICED.items():
        operation = _synop(operation, model)
        for name in names:
            counted = sum(getattr(layer.counts, name, 0) for layer in run.layers)
            if operation not in model.constants:
                if counted:
                    left_out.append(name)
                continue
            pj = sum(_pj(layer, name, operation, model) for layer in run.layers)
            parts[part] = (parts[part] or 0.0) + pj
            by_events += pj if name in _BY_EVENTS else 0.0
    return parts, by_events, left_out


def _pj(layer: Layer, name: str, operation: str, model: EnergyModel) -> float:
    count = getattr(layer.counts, name, 0)
    return count * model.price(operation, _bytes(layer, operation, model.word_bits)) if count else 0.0


def _bytes(layer: Layer, operation: str, bits: float) -> float:
    """Size of the memory behind a read or write: the layer's weights, or its accumulators or membranes."""
    geometry = layer.geometry
    if operation == "weight_read":
        return geometry.n_weights * bits / 8 if isinstance(geometry, Synapses) else 0.0
    n_words = getattr(geometry, "n_neurons", getattr(geometry, "n_outputs", getattr(geometry, "n_channels", 0)))
    return n_words * bits / 8


def _dense(run: AuditedRun, twin: dict[str, Dense], model: EnergyModel, mac: float, bits: int) -> dict[str, float]:
    parts = dict.fromkeys(PANEL_PARTS, 0.0)
    width = bits / model.word_bits  # an activation of fewer bits moves fewer bits
    for layer in run.layers:
        cost = twin.get(layer.name)
        if cost is None:
            continue
        parts["compute"] += cost.macs * mac + cost.biases * (model.price("add") or 0.0)
        for part, operation, count in (
            ("weights", "weight_read", cost.weight_reads),
            ("state", "state_read", cost.words_read * width),
            ("state", "state_write", cost.words_written * width),
        ):
            parts[part] += count * (model.price(operation, _bytes(layer, operation, model.word_bits)) or 0.0)
    return parts
