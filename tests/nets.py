"""Small networks with dyadic weights, in which every handler of the engine appears in some."""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.handlers.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.handlers.dilation import PlaneDilation
from evsim.handlers.neurons import IF, LIF, PLIF
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout, TokenMean
from tests.contract import dyadic, random_spikes

SIDE, N_IN, N_HIDDEN, N_CLASSES = 6, 2, 8, 3
AXES = "row,col,channel"


def random_network(seed, sleepy=False, kinds=("LIF", "PLIF", "IF")):
    """A stem with pools, a shared current with three writers and four readers, an attention and a classifier.

    `sleepy`: no bias reaches a threshold, so that silence is silent. `kinds`: of neurons; the first replaces any other.
    """
    rng = np.random.default_rng(seed)
    net = Network(f"random {seed}", (SIDE, SIDE, N_IN), 4)
    x = Current(SIDE * SIDE, 4)
    net.add(Conv2d("stem", dyadic(rng, 4, N_IN, 3, 3), _bias(rng, 4, sleepy), Window(SIDE, SIDE, 3, 1, 1), x), INPUT)
    spikes, side = net.add(_neurons(rng, kinds, "stem_lif", x, SIDE, 4)), SIDE
    if rng.random() < 0.5:
        pool = SpikeMaxPool("pool", Window(SIDE, SIDE, 3, 2, 1), 4)
        spikes, side = net.add(pool, spikes), pool.shape[0]
    u, side = _split(rng, net, spikes, side, sleepy)
    first = net.add(_neurons(rng, kinds, "first", u, side, N_HIDDEN))
    window = Window(side, side, 3, 1, 1)
    net.add(Conv2d("around", dyadic(rng, N_HIDDEN, 4, 3, 3), _bias(rng, N_HIDDEN, sleepy), window, u, groups=2), first)
    second = net.add(_neurons(rng, kinds, "second", u, side, N_HIDDEN))
    _attention(rng, kinds, net, second, u, side, sleepy)
    mean, logits = Current(1, N_HIDDEN), Current(1, N_CLASSES)
    net.add(TokenMean("mean", u, mean))
    head = net.add(LIF("head_lif", mean, (N_HIDDEN,), "channel", 0.25))
    net.add(Linear("head", dyadic(rng, N_CLASSES, N_HIDDEN), dyadic(rng, N_CLASSES), 1, logits), head)
    net.add(Readout("readout", logits))
    return net


def random_recording(seed, n_steps=4, kind="binary"):
    """Some dense steps, some sparse, some silent."""
    rng = np.random.default_rng(seed)
    return [random_spikes(rng, SIDE * SIDE * N_IN, rng.choice([0.0, 0.05, 0.3]), kind) for _ in range(n_steps)]


def _split(rng, net, spikes, side, sleepy):
    """A strided convolution, or one behind which the current is pooled."""
    window = Window(side, side, 3, int(rng.integers(1, 3)), 1)
    u = Current(window.out_height**2, N_HIDDEN)
    net.add(Conv2d("split", dyadic(rng, N_HIDDEN, 4, 3, 3), _bias(rng, N_HIDDEN, sleepy), window, u), spikes)
    if rng.random() < 0.5:
        return u, window.out_height
    window = Window(window.out_height, window.out_height, 3, 2, 1)
    pooled = Current(window.out_height**2, N_HIDDEN)
    net.add(CurrentMaxPool("current_pool", u, pooled, window))
    return pooled, window.out_height


def _attention(rng, kinds, net, source, u, side, sleepy):
    n_tokens, dilates = side * side, rng.random() < 0.5
    for role in "qkv":
        x = Current(n_tokens, N_HIDDEN)
        weight = dyadic(rng, N_HIDDEN, N_HIDDEN)
        net.add(Linear(f"{role}_conv", weight, _bias(rng, N_HIDDEN, sleepy), n_tokens, x), source)
        net.add(_neurons(rng, kinds, role, x, side, N_HIDDEN))
    kv, column = net.add(Coincidence("kv", n_tokens, N_HIDDEN, 2), k="k", v="v"), Current(1, N_HIDDEN)
    if dilates:
        kv = net.add(PlaneDilation("kv_erode", n_tokens, 2, N_HIDDEN), kv)
    net.add(TokenSum("kv_sum", n_tokens, column, 2), kv)
    gate = net.add(LIF("gate", column, (2, N_HIDDEN // 2), "head,channel", 0.5))
    out = net.add(Gate("qkv", n_tokens, N_HIDDEN, 2), q="q", gate=gate)
    net.add(Linear("proj", dyadic(rng, N_HIDDEN, N_HIDDEN), _bias(rng, N_HIDDEN, sleepy), n_tokens, u), out)


def _neurons(rng, kinds, name, current, side, n_channels):
    args = (name, current, (side, side, n_channels), AXES)
    kind = rng.choice(["LIF", "PLIF", "IF"], p=[0.5, 0.4, 0.1])
    kind = kind if kind in kinds else kinds[0]
    if kind == "PLIF":
        return PLIF(*args, w=rng.normal())
    return LIF(*args) if kind == "LIF" else IF(*args)


def _bias(rng, n_channels, sleepy):
    """Mostly inhibiting; unless `sleepy`, one channel in ten drives its neurons alone."""
    bias = -np.abs(dyadic(rng, n_channels, scale=0.3))
    if not sleepy:
        bias[rng.random(n_channels) < 0.1] = 1.25
    return bias
