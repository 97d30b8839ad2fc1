"""A network in fixed point, slow and obvious: dense int64 arrays, every neuron at every step, in the order of the text.

`run(real, fixed, recording)` rounds the parameters of `real`, the same network in float32, again; from `fixed` it takes
only the scales. Spikes of handlers without currents come from the twins in `tests.twins`.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.whole import LARGEST_INPUT, PIXEL_BITS, weight_exponent
from evsim.engine.network import INPUT
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.dssa import RealProduct
from evsim.handlers.attention.qka import HeadSum
from evsim.handlers.attention.sdsa import TokenSum
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.neurons import Population
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.projections import whole_weights
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.readout import Readout, RealLinear, TokenMean
from evsim.handlers.spike_sum import SpikeMean
from tests import naive
from tests.twins import TWINS, dense


def whole(values, exponent):
    """Rounded to steps of 2^-exponent, ties to even."""
    return np.round(np.asarray(values, np.float64) * 2.0**exponent).astype(np.int64)


def gained(values, current):
    """Times the gain of each channel, where a current has gains."""
    return np.asarray(values, np.float64) * (1 if current.gains is None else current.gains)


def half_up(values):
    """The nearest whole number of each quotient of whole numbers."""
    return np.floor(values + 0.5).astype(np.int64)


class Currents:
    """X and touched of each current of one step; int64."""

    def __init__(self):
        self.rows = {}

    def at(self, current):
        shape = (current.n_places, current.n_channels)
        return self.rows.setdefault(id(current), [np.zeros(shape, np.int64), np.zeros(shape[0], bool)])

    def add(self, current, value, touched):
        rows = self.at(current)
        rows[0] += value.reshape(rows[0].shape)
        rows[1] |= touched.reshape(-1)


def run(real, fixed, recording, bits):
    """The spikes of every source and step, as {(name, step): Spikes}, and the logits by step."""
    sent, logits, state = {(INPUT, step): spikes for step, spikes in enumerate(recording)}, [], {}
    for step in range(len(recording)):
        currents = Currents()
        for ours, theirs, ports in zip(real.handlers, fixed.handlers, fixed.sources, strict=True):
            inbox = {port: sent.get((source, step), Spikes.none()) for port, source in ports.items()}
            inbox = {port: spikes for port, spikes in inbox.items() if len(spikes)}
            kind = next((k for k in _HANDLERS if isinstance(theirs, k)), None)
            if kind is None:
                out = TWINS[type(theirs)](theirs, step, inbox, None, {})[0]
            else:
                out = _HANDLERS[kind](ours, theirs, inbox, currents, state.setdefault(ours.name, {}), bits)
            if isinstance(theirs, Readout):
                logits.append(out)
            elif out is not None:
                sent[ours.name, step] = Spikes.from_dense(out)
    return sent, np.stack(logits)


def _conv(ours, theirs, inbox, currents, state, bits):
    window, current, exponent = ours.window, theirs.current, theirs._exponent
    x = dense(inbox, "spikes", ours.n_inputs).reshape(window.height, window.width, ours.n_in)
    is_real = x.dtype == np.float32
    x = whole(x, PIXEL_BITS) if is_real else x
    weight = whole(gained(ours.weight.T, current), exponent).T
    keeps_words = ours.n_out // ours.groups < whole_weights.FEWEST_CHANNELS or theirs._largest_payload >= LARGEST_INPUT
    assert abs(weight).max() < 2 ** (15 if keeps_words else bits - 1)
    assert theirs.blocks.values.dtype == (np.int16 if keeps_words or bits == 16 else np.int8)
    sums = naive.conv2d(x, weight, window.stride, window.padding, ours.groups)
    reached = naive.conv2d(x != 0, np.ones(weight.shape), window.stride, window.padding, ours.groups).any(axis=-1)
    finer = current.exponent - exponent - (PIXEL_BITS if is_real else 0)
    currents.add(current, half_up(sums * 2.0**finer), reached)


def _population(ours, theirs, inbox, currents, state, bits):
    current = theirs.current
    exponent, rate = current.exponent, float(ours.rate)
    power = round(-np.log2(rate))
    m, r = (1, power) if 2.0**-power == rate else (round(rate * 2**15), 15)
    v_threshold, v_reset = (whole(gained(level, current), exponent) for level in (ours.v_threshold, ours.v_reset))
    if ours.v_threshold > ours.v_reset:
        v_threshold = np.maximum(v_threshold, v_reset + 1)
    v = state.setdefault("v", np.zeros((current.n_places, current.n_channels), np.int64) + v_reset)
    x = currents.at(current)[0] + whole(gained(ours.bias, current), exponent)
    assert abs(x).max() < 2**30
    h = v + (((x - v + v_reset) * m) >> r)
    state["v"] = np.where(h >= v_threshold, v_reset, h)
    assert abs(state["v"]).max() < (2**15 if current.dtype == np.int16 else 2**31)
    return (h >= v_threshold).reshape(-1)


def _pool(ours, theirs, inbox, currents, state, bits):
    window = ours.window
    value, touched = currents.at(theirs.source)
    value = value.reshape(window.height, window.width, -1).astype(np.float64)
    geometry = (window.kernel, window.stride, window.padding)
    pooled, reached, _ = naive.current_max_pool(value, touched.reshape(window.height, window.width), *geometry)
    finer = theirs.target.exponent - theirs.source.exponent
    currents.add(theirs.target, half_up(pooled * 2.0**finer), reached)


def _token_mean(ours, theirs, inbox, currents, state, bits):
    value, touched = currents.at(theirs.source)
    finer = np.broadcast_to(theirs.target.exponent - theirs.source.exponent, value.shape[1]).tolist()
    total, n = [int(column) for column in value.sum(axis=0)], [len(value) << max(0, -f) for f in finer]
    mean = np.array([((t << max(0, f)) + m // 2) // m for t, m, f in zip(total, n, finer, strict=True)])
    if touched.any():
        currents.add(theirs.target, mean, np.array([True]))


def _spike_mean(ours, theirs, inbox, currents, state, bits):
    x = dense(inbox, "spikes", ours.n_inputs).reshape(-1, ours.current.n_channels)
    n = ours.n_tokens
    mean = np.array([((int(t) << theirs.current.exponent) + n // 2) // n for t in x.sum(axis=0, dtype=np.int64)])
    currents.add(theirs.current, mean, (x != 0).any(keepdims=True).any(axis=1))


def _token_sum(ours, theirs, inbox, currents, state, bits):
    x = dense(inbox, "spikes", ours.n_inputs).reshape(-1, ours.current.n_channels) != 0
    currents.add(theirs.current, x.sum(axis=0) << theirs.current.exponent, x.any(keepdims=True).any(axis=1))


def _head_sum(ours, theirs, inbox, currents, state, bits):
    current = ours.current
    x = dense(inbox, "spikes", ours.n_inputs).reshape(current.n_places, current.n_channels, -1) != 0
    currents.add(theirs.current, x.sum(axis=2) << theirs.current.exponent, x.any(axis=(1, 2)))


def _ssa(ours, theirs, inbox, currents, state, bits):
    shape = (ours.current.n_places, ours.n_heads, ours.head_channels)
    q, k, v = (dense(inbox, port, np.prod(shape)).reshape(shape).astype(np.int64) for port in "qkv")
    product = np.einsum("nhi,mhi,mhj->nhj", q, k, v)
    reached = product.any(axis=(1, 2))
    currents.add(theirs.current, whole(float(ours.scale) * product, theirs.current.exponent), reached)


def _product(ours, theirs, inbox, currents, state, bits):
    n_heads, n_tokens, y = ours.scale.size, ours.current.n_places, theirs.y
    x = dense(inbox, "spikes", ours.n_inputs).reshape(n_tokens, n_heads, -1) != 0
    operand = (currents.at(y)[0] + whole(ours.bias, y.exponent)).reshape(y.n_places, n_heads, 2, -1)[:, :, ours.half]
    sums = np.einsum("nhk,phk->nhp" if ours.transposed else "nhk,khi->nhi", x.astype(np.int64), operand)
    finest = 15 - int(np.frexp(ours.scale.max())[1])
    m, shift = whole(ours.scale, finest), finest + y.exponent - theirs.current.exponent
    value = (m[:, None] * sums + (1 << (shift - 1))) >> shift
    value[~x.any(axis=2)] = 0
    currents.add(theirs.current, value, x.any(axis=(1, 2)))


def _real_linear(ours, theirs, inbox, currents, state, bits):
    value, touched = currents.at(theirs.source)
    finest = np.max(theirs.source.exponent)
    weight = ours.weight / gained(2.0 ** (theirs.source.exponent - finest), theirs.source)
    exponent = weight_exponent(weight, bits if theirs.source.gains is None else 16)
    sums = [int(s) for s in whole(weight, exponent) @ value[0]]
    coarser = finest + exponent - theirs.target.exponent
    assert coarser > 0
    if touched[0]:
        value = np.array([(s + (1 << (coarser - 1))) >> coarser for s in sums])
        currents.add(theirs.target, value, np.array([True]))


def _readout(ours, theirs, inbox, currents, state, bits):
    value = currents.at(theirs.current)[0][0]
    return (value.astype(np.float32) * np.float32(2.0**-theirs.current.exponent)) + ours.bias


_HANDLERS = {
    Conv2d: _conv, Population: _population, CurrentMaxPool: _pool, TokenMean: _token_mean, SpikeMean: _spike_mean,
    TokenSum: _token_sum, HeadSum: _head_sum, SSA: _ssa, RealProduct: _product, RealLinear: _real_linear,
    Readout: _readout,
}  # fmt: skip
