"""spikingformer-tool: the energy script of the Spikingformer repository, a descendant of syops.

    dense_l = T * (k^2 H_out W_out C_in / g C_out + bias * H_out W_out C_out)
    all inputs 0 or 1 :  ACs  = rate * dense_l
    otherwise         :  MACs = dense_l            (rate 100 %)
    SSA of a block    :  ACs  = T * heads * N * d^2 * (min(f_k, f_v) + f_q)
    E = 4.6 pJ * MACs + 0.9 pJ * ACs

Only modules whose name contains "conv" or "head" are charged: a Spikformer with linear layers (q_linear, ...) loses
all of its blocks that way, silently. The attention term assumes Q (K^T V) and is typed in by hand.

Source: zhouchenlin2096/Spikingformer, energy_consumption_calculation; recommended by the Spikformer authors too.
Pinned to the table its authors print for Spikingformer-8-512.
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.rate_formula import dense_steps, is_zero_one, pair_energy
from evsim.auditing.tally import Charge, Tally, tally_layers
from evsim.handlers.geometry import Attention, Synapses

NAME = "spikingformer-tool"
TITLE = "Spikingformer's tool"
SHORT = "S.tool"
SOURCE = "zhouchenlin2096/Spikingformer, energy_consumption_calculation"
CITES = ("zhou2023spikingformer",)

_CHARGED = ("conv", "head")


def count(run: AuditedRun) -> Tally:
    """Layers by name, rates of their own inputs, the closed form for SSA."""
    charges = tally_layers(run, _charge)
    acs, macs = sum(c.acs for c in charges.values()), sum(c.macs for c in charges.values())
    missed = [layer.name for layer in run.synapses if not _is_charged(layer)]
    remarks = []
    if missed:
        remarks.append(
            f"{len(missed)} layers have neither conv nor head in their names and are missed: {missed[0]}, ..."
        )
    graded = [layer for layer in run.synapses if _is_charged(layer) and _dense_cause(layer) == "integer spikes"]
    graded = [layer for layer in graded if not is_zero_one(layer)]
    if graded:
        as_acs = sum(layer.operand.mean_value * dense_operations(layer) for layer in graded)
        remarks.append(f"integer inputs as MACs; the tool's other setting makes them {as_acs:,.0f} ACs instead")
    return Tally(NAME, TITLE, charges, *pair_energy(acs, macs), remarks)


def dense_operations(layer: Layer) -> int:
    """Products of every step, and the bias."""
    geometry = layer.geometry
    per_step = geometry.dense_macs + (geometry.n_outputs if geometry.has_bias else 0)
    return per_step * layer.n_calls


def ssa_additions(n_steps: int, n_heads: int, n_tokens: int, head_channels: int, rates: tuple[float, float, float]):
    """T * heads * N * d^2 * (min(f_k, f_v) + f_q), rates in the order q, k, v."""
    q, k, v = rates
    return n_steps * n_heads * n_tokens * head_channels**2 * (min(k, v) + q)


def _is_charged(layer: Layer) -> bool:
    return any(word in layer.name for word in _CHARGED)


def _charge(layer: Layer) -> Charge:
    literal = Charge.literal(layer)
    if isinstance(layer.geometry, Attention):
        return _attention(layer, literal)
    if not isinstance(layer.geometry, Synapses) or not _is_charged(layer):
        return literal.to("skipped", 0, 0)
    return zero_one_charge(layer, dense_operations(layer))


def zero_one_charge(layer: Layer, dense: int) -> Charge:
    """rate * dense additions for an input of zeros and ones, else dense products."""
    literal = Charge.literal(layer)
    if not is_zero_one(layer):
        return literal.to(_dense_cause(layer), acs=0, macs=dense)
    rate = layer.seen.mean_value
    return literal.to("borders", acs=rate * dense_steps(layer), macs=0).to("bias", acs=rate * dense)


def _dense_cause(layer: Layer) -> str:
    if layer.is_first:
        return "first layer"
    return "real values" if layer.seen.is_real else "integer spikes"


def _attention(layer: Layer, literal: Charge) -> Charge:
    geometry = layer.geometry
    if geometry.mechanism != "ssa":
        return literal.to("attention skipped", 0, 0)
    rates = tuple(layer.operands[port].mean_value for port in "qkv")
    sizes = (geometry.n_heads, geometry.n_tokens, geometry.head_channels)
    return literal.to("attention", acs=ssa_additions(len(layer.steps), *sizes, rates))
