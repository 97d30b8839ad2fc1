"""spikingjelly: SynOpCounter, ACCounter and MACCounter of SpikingJelly 2.

    conv, linear   x in {0, 1}: ACs = conv(x, 1), exact, bias ignored;   else MACs = dense, T times
    q k^T          both binary: ACs = sum(out);   A v with A integer: ACs = nnz(v) * N
    k^T v          both binary: ACs = sum(out);   q (k^T v): ACs = nnz(q) * d, or sum(out) where k^T v is binary too
    y x, x spikes  ACs = nnz(x) * rows of y
    add            both binary: nnz + nnz; else numel(out);   sum, mean: numel(in) - numel(out)
    BatchNorm      ACs = numel + C, MACs = numel (affine);   multiplications by element (masks, scales) count nothing

Counts torch operators as they are called, so a LIF of SpikingJelly's own torch backend counts its internal
operators: 6 ACs an update. (At a step where current and membrane of a whole population are zeros and ones, as a gate's
can be, SpikingJelly counts the ones alone; that is not followed here.) Additions of a shortcut, column sums and means
over steps are dense: a column sum of 43 coincidences in 640 places counts 640 minus the number of columns. A bias is
ignored, which holds where PyTorch adds it inside the product: a linear layer on tokens that lie transposed in memory
adds it by itself, and SpikingJelly then counts it.

Source: spikingjelly 2.0.0, activation_based/op_counter/ac.py, synop.py, mac.py. The synaptic part alone
(SynOpCounter) is in the remarks.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import dense_steps, pair_energy
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Mean, Neurons, Output, Sum, Synapses

NAME = "spikingjelly"
TITLE = "SpikingJelly 2"
SHORT = "SJ 2"
SOURCE = "spikingjelly 2.0.0, activation_based/op_counter"
CITES = ("fang2023spikingjelly",)

ACS_AN_UPDATE = 6


def count(run: AuditedRun) -> Tally:
    """Operator by operator; element-wise additions are dense."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    synops = sum(synaptic(layer).acs for layer in run.layers)
    remarks = [
        f"of these ACs, {synops:,.0f} are synaptic (SynOpCounter)",
        "its energy models add memory traffic, which is left out of the energy here: see the panel",
    ]
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def _charge(layer: Layer) -> Charge:
    charge, n_steps = synaptic(layer), len(layer.steps)
    geometry = layer.geometry
    if isinstance(geometry, Attention) and geometry.part == "sum":
        n_sums = geometry.n_channels if geometry.mechanism == "sdsa" else geometry.n_tokens * geometry.n_heads
        return Charge.literal(layer).to("attention", acs=(geometry.n_places - n_sums) * n_steps)
    if isinstance(geometry, Neurons):
        return charge.plus("neurons", acs=ACS_AN_UPDATE * geometry.n_neurons * n_steps)
    if isinstance(geometry, Mean):
        return charge.plus("mean", acs=(geometry.n_tokens - 1) * geometry.n_channels * n_steps)
    if isinstance(geometry, Output):
        return charge.plus("mean", acs=(n_steps - 1) * geometry.n_classes if geometry.is_averaged else 0)
    if isinstance(geometry, Synapses):
        return _projection(layer, charge)
    if isinstance(geometry, Sum):
        return charge.plus("residual", acs=_sum_additions(layer))
    return charge


def _projection(layer: Layer, charge: Charge) -> Charge:
    """BatchNorm, shortcut, and the mean over the steps in front of a layer that runs once."""
    geometry, n_calls = layer.geometry, layer.n_calls
    if layer.norm:
        elements = geometry.n_outputs * n_calls
        charge = charge.plus("batch norm", acs=elements + geometry.n_out, macs=elements)
    if geometry.is_once:
        charge = charge.plus("mean", acs=(len(layer.steps) - 1) * geometry.n_inputs)
    return charge.plus("residual", acs=layer.n_residual_adds * n_calls)


def synaptic(layer: Layer) -> Charge:
    """What SynOpCounter and MACCounter say."""
    literal = Charge.literal(layer)
    if isinstance(layer.geometry, Attention):
        return _attention(layer, literal)
    if not isinstance(layer.geometry, Synapses):
        return literal.to("skipped", 0, 0)
    cause = "first layer" if layer.is_first else "real values" if layer.seen.is_real else "integer spikes"
    if not layer.seen.is_binary:
        return literal.to(cause, acs=0, macs=dense_steps(layer))
    if layer.seen is layer.operand and not layer.operand.is_real:
        return literal
    return literal.to(cause, acs=int(layer.seen.events.sum()) * layer.geometry.n_out, macs=0)


def _attention(layer: Layer, literal: Charge) -> Charge:
    geometry = layer.geometry
    if geometry.mechanism == "dssa":
        return literal
    if geometry.mechanism in ("sdsa", "qka"):
        return literal.to("attention skipped", 0, 0)
    coincidences = layer.pairs[geometry.starts_with]
    return literal.to("attention", acs=coincidences + _second_product(layer, coincidences))


def _second_product(layer: Layer, coincidences: int) -> int:
    """The product with what the first one gave, which may be binary itself: all zeros, or unscaled zeros and ones."""
    geometry = layer.geometry
    q, v = (int(layer.operands[port].events.sum()) for port in "qv")
    if geometry.starts_with == "qk":  # the official code scales Q K^T before it goes on
        return v * geometry.n_tokens if coincidences else 0
    return q * geometry.head_channels if layer.pairs["kv_largest"] > 1 else layer.pairs["output"]


def _sum_additions(layer: Layer) -> int:
    """Two binary tensors: their spikes; else every element."""
    stream, branch = layer.operands["stream"], layer.operands["branch"]
    if stream.is_binary and branch.is_binary:
        return int(stream.events.sum() + branch.events.sum())
    return stream.size * len(layer.steps)
