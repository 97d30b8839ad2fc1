"""sdt-paper: firing rate x FLOPs, as the Spike-driven Transformer papers publish it.

    E = 4.6 * T * phi0 * FL_conv1  +  0.9 * T * [ sum R * FL_conv  +  sum (3 R ND^2 + R' ND + R ND^2 + 8 R ND^2) ]

FL = k^2 H W C_in C_out for every position, borders included. R is the rate that the authors' script logs: the mean
of the population in front, *before* the max-pool that the next convolution reads through. phi0 is 1 for still images
and the fraction of nonzero pixels for event frames. R' ND is the attention.

Source: Yao et al., Spike-driven Transformer (NeurIPS 2023), section on energy and supplement; firing_num.py of the
official repository for the rates; the authors' answers in its issues 9, 23, 24, 25. The energy itself comes from a
spreadsheet that is not in the repository. R' is not defined there beyond doubt: here it is the rate of k AND v, the
events that the column sum adds.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import dense_steps, pair_energy, rate_charge
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Synapses

NAME = "sdt-paper"
TITLE = "SDT paper"
SHORT = "SDT"
SOURCE = "Yao et al., NeurIPS 2023, and firing_num.py of the official repository"
CITES = ("yao2023spikedriven",)


def count(run: AuditedRun) -> Tally:
    """Rates before pooling; the first layer as products; SDSA as T * R' * N * D."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    mechanisms = {x.geometry.mechanism for x in run.layers if isinstance(x.geometry, Attention)}
    remarks = []
    if "sdsa" in mechanisms:
        remarks.append(
            "the attention term takes the rate of k AND v for R', which the paper does not define beyond doubt"
        )
    if mechanisms - {"sdsa"}:
        remarks.append("the paper's formula knows SDSA only: other attentions are left out of it")
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def _charge(layer: Layer) -> Charge:
    literal = Charge.literal(layer)
    if isinstance(layer.geometry, Attention):
        return _attention(layer, literal)
    if not isinstance(layer.geometry, Synapses):
        return literal.to("skipped", 0, 0)
    if layer.is_first:
        return first_layer(layer)
    if layer.operand.is_real:
        return literal.to("real values", acs=0, macs=dense_steps(layer))
    return rate_charge(layer, layer.population_rate)


def first_layer(layer: Layer) -> Charge:
    """T * phi0 * FL_conv1 products, phi0 = 1 for a still image."""
    operand = layer.operand
    density = 1.0 if operand.is_real else operand.density
    return Charge.literal(layer).to("first layer", acs=0, macs=density * dense_steps(layer))


def _attention(layer: Layer, literal: Charge) -> Charge:
    """R' ND additions a step: a column sum that adds each coincidence once, so the literal count of it."""
    if (layer.geometry.mechanism, layer.geometry.part) == ("sdsa", "sum"):
        return literal.to("attention", acs=layer.operand.mean_value * layer.geometry.n_places * len(layer.steps))
    return literal.to("attention skipped", 0, 0)
