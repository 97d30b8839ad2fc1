"""syops: dense operations x mean value, module by module.

    conv    dense = H_out W_out k^2 C_in (C_out / g) + bias * H_out W_out C_out,  of all steps in one call
    linear  dense = tokens * C_in * C_out + bias * C_out                          (the bias once a call)
    input of at most two values, all in [0, 1]:  ACs = dense * sum(x) / numel(x);  else MACs = dense
    LIF     1 AC an input element;   BatchNorm 2 a element;   max-pool 1 a element, times the rate

Products written as functions (@, einsum, F.*) are not modules and count nothing, so no spiking attention is counted.
Modules are found by their exact type: a class derived from nn.Conv2d counts nothing there. Here a convolution is one.

Source: syops 0.0.5, ops.py. In a multi-step model whose first axis is time, syops divides the total by T instead of
by the batch; here the network takes its batch first, as the official models do, and nothing is divided.
"""

from __future__ import annotations

from evsim.auditing.conventions.spikingformer_tool import zero_one_charge
from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import dense_steps, pair_energy
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Neurons, Pool, Synapses

NAME = "syops"
TITLE = "syops 0.0.5"
SHORT = "syops"
SOURCE = "syops 0.0.5 (iCGY96/syops-counter), ops.py"
CITES = ("syops",)


def count(run: AuditedRun) -> Tally:
    """Each module by its hook; the energy is what its users multiply by hand."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    remarks = ["gives no energy itself: its users multiply by 4.6 and 0.9 pJ"]
    if any(isinstance(layer.geometry, Attention) for layer in run.layers):
        remarks.append("counts nothing for the attention: its products are functions, not modules")
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def _charge(layer: Layer) -> Charge:
    literal, geometry, n_steps = Charge.literal(layer), layer.geometry, len(layer.steps)
    if isinstance(geometry, Attention):
        return literal.to("attention skipped", 0, 0)
    if isinstance(geometry, Neurons):
        return literal.plus("neurons", acs=geometry.n_neurons * n_steps)
    if isinstance(geometry, Pool):
        return _pool(layer, literal)
    if isinstance(geometry, Synapses):
        charge = zero_one_charge(layer, dense_operations(layer))
        return charge.plus("batch norm", macs=2 * geometry.n_outputs * n_steps) if layer.norm else charge
    return literal.to("skipped", 0, 0)


def dense_operations(layer: Layer) -> int:
    """What the hook of the module calls dense; a bias of a linear layer counts once, of a convolution everywhere."""
    geometry = layer.geometry
    n_bias = geometry.n_out if geometry.is_linear else geometry.n_outputs * layer.n_calls
    return dense_steps(layer) + (n_bias if geometry.has_bias else 0)


def _pool(layer: Layer, literal: Charge) -> Charge:
    elements = layer.geometry.n_inputs * len(layer.steps)
    if layer.geometry.of_spikes:
        return literal.plus("pool", acs=layer.operand.mean_value * elements)
    return literal.plus("pool", macs=elements)
