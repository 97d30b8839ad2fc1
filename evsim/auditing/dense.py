"""The dense twin of a network: the same layers, sizes and weights, run once on real numbers without spikes.

    products of a layer   k^2 H_out W_out C_in / g C_out, taps over the border left out
    attention             Q K^T V over the same tokens, heads and channels: 2 N^2 D (softmax left out)

It is the network an engineer would run instead: one pass where the spiking one takes T, activations of 32 bits, or of
ceil(log2(T + 1)) bits, as many as T binary spikes can tell apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evsim.auditing.layers import AuditedRun, Layer
from evsim.handlers.geometry import Attention, Synapses

__all__ = ["Dense", "dense_twin", "matched_bits"]


@dataclass(frozen=True, slots=True)
class Dense:
    """Operations and words of one dense layer, once.

    A weight is read for each product, as an event reads one for each addition: no reuse is assumed on either side.
    """

    macs: int = 0
    biases: int = 0
    weight_reads: int = 0
    words_read: int = 0
    words_written: int = 0


def dense_twin(run: AuditedRun) -> dict[str, Dense]:
    """The dense cost of each layer that has one."""
    costs = {layer.name: _dense(layer) for layer in run.layers}
    return {name: cost for name, cost in costs.items() if cost.macs}


def matched_bits(n_steps: int) -> int:
    """Bits of an activation that tells apart what T binary spikes can: ceil(log2(T + 1))."""
    return math.ceil(math.log2(n_steps + 1))


def _dense(layer: Layer) -> Dense:
    geometry = layer.geometry
    if isinstance(geometry, Synapses):
        macs, n_bias = geometry.inner_macs, geometry.n_outputs if geometry.has_bias or layer.norm else 0
        return Dense(macs, n_bias, macs, geometry.n_inputs, geometry.n_outputs)
    if isinstance(geometry, Attention):
        return _dense_attention(geometry)
    return Dense()


def _dense_attention(geometry: Attention) -> Dense:
    """Softmax attention in place of the spiking one; charged to the handler that stands for the product."""
    n, d = geometry.n_tokens, geometry.n_channels
    if geometry.mechanism == "dssa":  # each of its two products by itself
        macs = n * d * geometry.n_columns
        return Dense(macs, 0, 0, geometry.n_places + d * geometry.n_columns, n * geometry.n_heads * geometry.n_columns)
    if geometry.part in ("sum", "product"):
        return Dense(2 * n * n * d, 0, 0, 3 * n * d, n * d)
    return Dense()
