"""spikingjelly: SynOpCounter, ACCounter and MACCounter of SpikingJelly 2.

    conv, linear   x in {0, 1}: ACs = conv(x, 1), exact, bias ignored;   else MACs = dense, T times
    q k^T          both binary: ACs = sum(out);   A v with A integer: ACs = nnz(v) * N
    k^T v          both binary: ACs = sum(out);   q (k^T v): ACs = nnz(q) * d
    y x, x spikes  ACs = nnz(x) * rows of y
    add            both binary: nnz + nnz; else numel(out);   sum, mean: numel(in) - numel(out)
    BatchNorm      numel + C;   multiplications by element (masks, scales) count nothing

Counts torch operators as they are called, so a LIF of SpikingJelly's own torch backend counts its internal
operators: 6 ACs an update. Additions of a shortcut and column sums are dense: a column sum of 43 coincidences in
640 places counts 640 minus the number of columns.

Source: spikingjelly 2.0.0, activation_based/op_counter/ac.py, synop.py, mac.py. The synaptic part alone
(SynOpCounter) is in the remarks.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import dense_steps, pair_energy
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Mean, Neurons, Sum, Synapses

NAME = "spikingjelly"
TITLE = "SpikingJelly 2"
SHORT = "SJ 2"
SOURCE = "spikingjelly 2.0.0, activation_based/op_counter"

ACS_AN_UPDATE = 6


def count(run: AuditedRun) -> Tally:
    """Operator by operator; element-wise additions are dense."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    synops = sum(_synaptic(layer).acs for layer in run.layers)
    remarks = [
        f"of these ACs, {synops:,.0f} are synaptic (SynOpCounter)",
        "its energy models add memory traffic, which is left out of the energy here: see the panel",
    ]
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def _charge(layer: Layer) -> Charge:
    charge, n_calls = _synaptic(layer), layer.n_calls
    geometry = layer.geometry
    if isinstance(geometry, Attention) and geometry.part == "sum":
        column_sum = (geometry.n_tokens - 1) * geometry.n_channels * n_calls
        return Charge.literal(layer).to("attention", acs=column_sum)
    if isinstance(geometry, Neurons):
        return charge.plus("neurons", acs=ACS_AN_UPDATE * geometry.n_neurons * n_calls)
    if isinstance(geometry, Mean):
        return charge.plus("mean", acs=(geometry.n_tokens - 1) * geometry.n_channels * n_calls)
    if isinstance(geometry, Synapses) and layer.norm:
        charge = charge.plus("batch norm", acs=geometry.n_outputs * n_calls + geometry.n_out)
    if isinstance(geometry, Sum):
        return charge.plus("residual", acs=_sum_additions(layer))
    return charge.plus("residual", acs=layer.n_residual_adds * n_calls)


def _synaptic(layer: Layer) -> Charge:
    """What SynOpCounter and MACCounter say."""
    literal = Charge.literal(layer)
    if isinstance(layer.geometry, Attention):
        return _attention(layer, literal)
    if not isinstance(layer.geometry, Synapses):
        return literal.to("skipped", 0, 0)
    if layer.operand.is_binary and not layer.operand.is_real:
        return literal
    cause = "first layer" if layer.is_first else "real values" if layer.operand.is_real else "integer spikes"
    return literal.to(cause, acs=0, macs=dense_steps(layer))


def _attention(layer: Layer, literal: Charge) -> Charge:
    geometry = layer.geometry
    if geometry.mechanism == "dssa":
        return literal
    if geometry.mechanism == "sdsa":
        return literal.to("attention skipped", 0, 0)
    q, v = (int(layer.operands[port].events.sum()) for port in "qv")
    coincidences = layer.pairs[geometry.starts_with]
    second = v * geometry.n_tokens if geometry.starts_with == "qk" else q * geometry.head_channels
    return literal.to("attention", acs=coincidences + second)


def _sum_additions(layer: Layer) -> int:
    """Two binary tensors: their spikes; else every element."""
    stream, branch = layer.operands["stream"], layer.operands["branch"]
    if stream.is_binary and branch.is_binary:
        return int(stream.events.sum() + branch.events.sum())
    return stream.size * len(layer.steps)
