"""spikformer-paper: SOP(l) = fr * T * FLOPs(l), and the attention by rate as well.

    E = 4.6 * FL_conv1 + 0.9 * ( sum SOP_conv + sum SOP_SSA ),   SOP_SSA = T * N^2 * D * (fr_q + fr_v)

fr is the mean value of a layer's input spike train, so an integer stream can have a rate above 1. The formula has
FL_conv1 once; the printed energies charge it T times (0.347 G MACs = 4 * 86.7 M for 224 x 224 and D = 512), so it is
charged T times here.

Source: Zhou et al., Spikformer (ICLR 2023, arXiv 2209.15425), energy section, and its published table.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import dense_steps, pair_energy, rate_charge
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Synapses

NAME = "spikformer-paper"
TITLE = "Spikformer paper"
SHORT = "Spikf"
SOURCE = "Zhou et al., ICLR 2023 (arXiv 2209.15425)"
CITES = ("zhou2023spikformer",)


def count(run: AuditedRun) -> Tally:
    """Mean values of the operands; first layer T times; SSA as rate times its two dense products."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    remarks = ["the first layer is charged T times, as in the printed tables; the paper's formula has it once"]
    if any(isinstance(x.geometry, Attention) and x.geometry.mechanism != "ssa" for x in run.layers):
        remarks.append("the paper's formula knows SSA only: other attentions are left out of it")
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def _charge(layer: Layer) -> Charge:
    literal = Charge.literal(layer)
    if isinstance(layer.geometry, Attention):
        return _attention(layer, literal)
    if not isinstance(layer.geometry, Synapses):
        return literal.to("skipped", 0, 0)
    if layer.is_first:
        return literal.to("first layer", acs=0, macs=dense_steps(layer))
    if layer.operand.is_real:  # a classifier of means is in neither sum of the formula
        return literal.to("skipped", 0, 0)
    return rate_charge(layer)


def _attention(layer: Layer, literal: Charge) -> Charge:
    if layer.geometry.mechanism != "ssa":
        return literal.to("attention skipped", 0, 0)
    q, v = layer.operands["q"].mean_value, layer.operands["v"].mean_value
    one_product = layer.geometry.n_tokens**2 * layer.geometry.n_channels * len(layer.steps)
    return literal.to("attention", acs=one_product * (q + v))
