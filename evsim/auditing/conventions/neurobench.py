"""neurobench: effective synaptic operations of NeuroBench 2.3.

    ops  = sum of layer(x != 0) with weights (w != 0), bias 0: exact at borders, strides and groups
    ACs  = ops if every x is -1, 0 or 1;   MACs = ops otherwise

One event is one operation whatever its payload. Only Linear, convolution and recurrent modules are hooked, so no
attention is counted. Neuron operations are a metric of their own and know snnTorch neurons only.

Source: neurobench 2.3.0, metrics/utils/layers/macs.py and metrics/workload/synaptic_operations.py. Weights that are
exactly zero are skipped there; a trained network has hardly any, and they are not looked for here.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import pair_energy
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Synapses

NAME = "neurobench"
TITLE = "NeuroBench 2.3"
SHORT = "NeuroB"
SOURCE = "neurobench 2.3.0, metrics/utils/layers/macs.py"
CITES = ("yik2025neurobench",)


def count(run: AuditedRun) -> Tally:
    """Nonzero inputs times their fan-out, as additions or as products."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    remarks = ["gives no energy itself; the pair of 4.6 and 0.9 pJ is applied for comparison"]
    if any(isinstance(layer.geometry, Attention) for layer in run.layers):
        remarks.append("counts nothing for the attention: only layer modules are hooked")
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def _charge(layer: Layer) -> Charge:
    literal, counts = Charge.literal(layer), layer.counts
    if isinstance(layer.geometry, Attention):
        return literal.to("attention skipped", 0, 0)
    if not isinstance(layer.geometry, Synapses):
        return literal.to("skipped", 0, 0)
    if layer.seen.is_real:
        return literal.to("first layer" if layer.is_first else "real values", acs=0, macs=_real_operations(layer))
    if all(value in (-1, 1) for value in layer.operand.values):
        return literal.to("integer spikes", acs=counts.event_acs)
    return literal.to("integer spikes", acs=0, macs=counts.event_acs)


def _real_operations(layer: Layer) -> float:
    """A still image is multiplied at every step here, once in evsim; a mean over steps once here, where it is not 0."""
    if not layer.is_first and layer.seen.has_values:
        return float(layer.seen.events.sum() * layer.geometry.n_out)
    steps_done = sum(1 for counts in layer.steps if counts.macs)
    return layer.counts.macs * layer.n_calls / steps_done if steps_done else 0.0
