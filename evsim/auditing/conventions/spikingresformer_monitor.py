"""spikingresformer-monitor: the SOP monitor of the SpikingResformer repository.

    conv, linear   SOP = sum of conv(x, ones): exact at borders, strides and groups, weighted by the value of x
    real x spikes  SOP = sum of (ones @ spikes)
    P = 0.9 pJ * SOP

The first convolution and the classifier are on its skip list, so no product is ever charged; scales are ignored.

Source: xyshi2000/SpikingResformer, utils (SOPMonitor) and main.py. The skip list names that network's own first and
last layer; here the first and last layer of any network are skipped. Pinned to the monitor's own output.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import E_AC
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Synapses

NAME = "spikingresformer-monitor"
TITLE = "SpikingResformer's monitor"
SHORT = "S.Res"
SOURCE = "xyshi2000/SpikingResformer, utils (SOPMonitor)"
CITES = ("shi2024spikingresformer",)


def count(run: AuditedRun) -> Tally:
    """The literal additions of every layer but the first and the last."""
    charges = tally_layers(run, _charge)
    acs = sum(charge.acs for charge in charges.values())
    remarks = ["charges no product: the first layer and the classifier are skipped by name"]
    if any(isinstance(x.geometry, Attention) and x.geometry.mechanism != "dssa" for x in run.layers):
        remarks.append("only its own SpikingMatmul modules are monitored: other attentions count nothing")
    return Tally(NAME, TITLE, charges, E_AC * acs, f"{E_AC} ACs, no MACs", remarks)


def _charge(layer: Layer) -> Charge:
    literal = Charge.literal(layer)
    if isinstance(layer.geometry, Attention):
        return literal if layer.geometry.mechanism == "dssa" else literal.to("attention skipped", 0, 0)
    if not isinstance(layer.geometry, Synapses) or layer.is_first or layer.is_classifier:
        return literal.to("skipped", 0, 0)
    return literal
