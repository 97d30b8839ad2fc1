"""Tiny networks around one layer, run and described, for the tests of the audit."""

from __future__ import annotations

import numpy as np

from evsim.auditing.layers import audit_run
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.qka import HeadSum, TokenGate
from evsim.handlers.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.handlers.neurons import LIF
from evsim.handlers.pooling import SpikeMaxPool
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout


def steps_of(x):
    """[n_steps, height, width, channels] as spikes; float arrays of whole numbers become integers."""
    return [Spikes.from_dense(frame) for frame in x]


def conv_run(x, n_out, kernel=3, stride=1, padding=1, groups=1, bias=False, norm=None):
    """A convolution of x behind an input, then a classifier; the layer called conv, described."""
    n_steps, height, width, n_in = x.shape
    window = Window(height, width, kernel, stride, padding)
    net = Network("tiny", (height, width, n_in), n_steps)
    current = Current(window.out_height * window.out_width, n_out)
    weight = np.ones((n_out, n_in // groups, kernel, kernel))
    conv = Conv2d("conv", weight, np.ones(n_out) if bias else None, window, current, groups)
    conv.norm = norm
    net.add(conv, INPUT)
    lif = net.add(LIF("lif", current, (window.out_height, window.out_width, n_out), "row,col,channel"))
    return _finished(net, lif, current.n_places * n_out, x)


def linear_run(x, n_out, bias=False):
    """A linear layer on every token of x [n_steps, n_tokens, channels], then a classifier."""
    n_steps, n_tokens, n_in = x.shape
    net = Network("tiny", (n_tokens, 1, n_in), n_steps)
    current = Current(n_tokens, n_out)
    net.add(Linear("linear", np.ones((n_out, n_in)), np.ones(n_out) if bias else None, n_tokens, current), INPUT)
    lif = net.add(LIF("lif", current, (n_tokens, n_out), "token,channel"))
    return _finished(net, lif, n_tokens * n_out, x)


def sdsa_run(x, n_heads):
    """Spike-driven attention of x [n_steps, n_tokens, 3 * channels] = (q, k, v) side by side, without weights.

    Three layers that copy a third of the input each make q, k and v.
    """
    n_steps, n_tokens, width = x.shape
    n = width // 3
    net = Network("tiny", (n_tokens, 1, width), n_steps)
    names = []
    for role, copy in zip("qkv", np.split(2 * np.eye(width), 3), strict=True):
        current = Current(n_tokens, n)
        net.add(Linear(f"{role}_conv", copy, None, n_tokens, current), INPUT)
        names.append(net.add(LIF(f"{role}_lif", current, (n_tokens, n), "token,channel")))
    q, k, v = names
    kv = net.add(Coincidence("kv", n_tokens, n, n_heads), k=k, v=v)
    column = Current(1, n)
    net.add(TokenSum("kv_sum", n_tokens, column, n_heads), kv)
    gate = net.add(LIF("gate_lif", column, (n_heads, n // n_heads), "head,channel", v_threshold=0.5))
    out = net.add(Gate("qkv", n_tokens, n, n_heads), q=q, gate=gate)
    return _finished(net, out, n_tokens * n, x)


def qka_run(x, n_heads):
    """Q-K token attention of x [n_steps, n_tokens, 2 * channels] = (q, k) side by side, without weights."""
    n_steps, n_tokens, width = x.shape
    n = width // 2
    net = Network("tiny", (n_tokens, 1, width), n_steps)
    for role, copy in zip("qk", np.split(2 * np.eye(width), 2), strict=True):
        current = Current(n_tokens, n)
        net.add(Linear(f"{role}_conv", copy, None, n_tokens, current), INPUT)
        net.add(LIF(f"{role}_lif", current, (n_tokens, n), "token,channel"))
    sums = Current(n_tokens, n_heads)
    net.add(HeadSum("q_sum", n, sums), "q_lif")
    gate = net.add(LIF("gate_lif", sums, (n_tokens, n_heads), "token,head", v_threshold=0.5))
    out = net.add(TokenGate("qk", n_tokens, n, n_heads), k="k_lif", gate=gate)
    return _finished(net, out, n_tokens * n, x)


def layer(run, name):
    """One layer of a described run."""
    return next(found for found in run.layers if found.name == name)


def _finished(net, source, n_places, x):
    logits = Current(1, 2)
    net.add(Linear("head", np.ones((2, n_places)), None, 1, logits), source)
    net.add(Readout("readout", logits))
    return audit_run(net, steps_of(x))[0]


def pencil_run():
    """The network of docs/counting.md: 4x4 pixels, two steps, small enough for a pencil."""
    x = np.zeros((2, 4, 4, 1), np.float32)
    x[0, 0, 0] = x[0, 1, 1] = 1
    x[1, 1, 1] = 3
    net = Network("pencil", (4, 4, 1), 2)
    one = Current(16, 2)
    net.add(Conv2d("conv1", _centre(2, 1), None, Window(4, 4, 3, 1, 1), one), INPUT)
    lif = net.add(LIF("lif1", one, (4, 4, 2), "row,col,channel"))
    pooled = net.add(SpikeMaxPool("pool", Window(4, 4, 2, 2), 2), lif)
    two = Current(4, 1)
    net.add(Conv2d("conv2", _centre(1, 2), None, Window(2, 2, 3, 1, 1), two), pooled)
    lif = net.add(LIF("lif2", two, (2, 2, 1), "row,col,channel"))
    return _finished(net, lif, 4, x)


def _centre(n_out, n_in):
    """Weights that copy channel 0; none is zero, so that everybody counts them."""
    weight = np.full((n_out, n_in, 3, 3), 0.001)
    weight[0, 0, 1, 1] = 2.1
    return weight
