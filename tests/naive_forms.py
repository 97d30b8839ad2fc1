"""Neurons of every form, slow and obvious: NumPy float32, every neuron at every step, as the modules' code reads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from evsim.engine.ledger import OpCounts

f = np.float32


def step(form, x, v, w):
    """(what is sent, V, synaptic current) of all neurons [..., n_channels] of a form after the current x."""
    return _STEPS[type(form).__name__](form, x, v, w)


def start(form, shape):
    """V and synaptic current before the first step."""
    leaks = hasattr(form, "v_leak") and form.rate is not None
    rest = form.v_leak if leaks else getattr(form, "v_reset", None)
    return np.broadcast_to(f(0 if rest is None else rest), shape).astype(f), np.zeros(shape, f)


def _leaky(form, x, v, w):
    r = f(0) if form.v_reset is None else form.v_reset
    if form.input == "integrates":
        h = v + x
    elif form.input == "decays":
        h = v + (x - (v - r)) / form.tau if form.tau is not None else v + (x - (v - r)) * form.rate
    else:
        h = v - (v - r) / form.tau + x if form.tau is not None else v - (v - r) * form.rate + x
    s = h > form.v_threshold if form.strict else h >= form.v_threshold
    return _after(form, h, s, w)


def _after(form, h, s, w):
    soft = h - form.v_threshold
    return s.astype(np.int64), np.where(s, soft if form.v_reset is None else form.v_reset, h).astype(f), w


def _decay(form, x, v, w):
    h = form.decay * v + x
    return _after(form, h, h > form.v_threshold if form.strict else h >= form.v_threshold, w)


def _late(form, x, v, w):
    late = (v > form.v_threshold).astype(f)
    if form.alpha is not None:
        w = form.alpha * w + x
        h = form.beta * v + w
        h = {"subtract": h - late * form.v_threshold, "zero": h - h * late, "none": h}[form.reset]
    elif form.reset == "zero":
        h = form.beta * ((f(1) - late) * v) + x
    else:
        h = form.beta * v + x
        h = h - late * form.v_threshold if form.reset == "subtract" else h
    return (h > form.v_threshold).astype(np.int64), h.astype(f), w


def _norse(form, x, v, w):
    if form.synapse_rate is None:
        h = v + form.rate * (x + form.v_leak - v)
    else:
        jumped = w + x
        h = v + form.rate * ((form.v_leak - v) + jumped)
        w = jumped + (-form.synapse_rate) * jumped
    s = h - form.v_threshold > 0
    return _after(form, h, s, w.astype(f))


def _many(form, x, v, w):
    """One spike after the other, each of which takes a threshold away."""
    if form.rate is None:
        h = v + x
    else:
        _, h, w = _norse(SimpleNamespace(**vars(form) | {"v_threshold": f(np.inf)}), x, v, w)
    n = np.zeros(h.shape, np.int64)
    while (above := h > (n + 1).astype(f) * form.v_threshold).any():
        n += above
    after = (h - n.astype(f) * form.v_threshold) if form.v_reset is None else form.v_reset
    return n, np.where(n > 0, after, h).astype(f), w.astype(f)


def _integer(form, x, v, w):
    h = form.decay * v + x
    s = np.round(np.clip(h / form.v_threshold, f(0), form.high))
    return s.astype(np.int64), (h - s * form.v_threshold).astype(f), w


def _quantiser(form, x, v, w):
    level = np.clip(x, form.low, form.high).astype(f)
    s = np.round(level) if form.ties == "even" else np.floor(level + f(0.5))
    return s.astype(np.int64), v * 0, w


def _signed(form, x, v, w):
    h = v + x
    s = (h - form.v_threshold >= 0).astype(f) - (-(h + form.neg_threshold + form.inhibit) >= 0).astype(f)
    if form.v_reset is None:
        past = s * form.v_threshold if form.symmetric else (s > 0) * form.v_threshold + (s < 0) * form.neg_threshold
        after = h - past
    else:
        after = form.v_reset if form.symmetric else s * form.v_reset
    return s.astype(np.int64), np.where(s != 0, after, h).astype(f), w


_STEPS = {
    "Leaky": _leaky, "Decay": _decay, "LateReset": _late, "Norse": _norse, "IntegerLeak": _integer,
    "MultiSpike": _many, "Quantiser": _quantiser, "Signed": _signed,
}  # fmt: skip


class FormNeurons:
    """A population of a form; who is awake follows from `calm`, and a neuron that may sleep must never fire.

    `debt` counts the steps a neuron slept; it pays them back, an update each, when it wakes.
    """

    def __init__(self, form, n_places, bias, calm):
        self.form, self.bias, self.calm = form, np.atleast_2d(bias).astype(np.float32), calm
        shape = (n_places, self.bias.shape[1])
        self.v, self.w = start(form, shape)
        self.debt = np.zeros(shape, np.int64)
        self.restless = ~self._is_calm()

    def step(self, x, touched):
        """x [n_places, n_channels] without bias, touched [n_places] -> what is sent (int), counts."""
        sent, self.v, self.w = step(self.form, x.astype(np.float32) + self.bias, self.v, self.w)
        touched = touched.astype(bool)
        place_awake = touched | self.restless
        awake = place_awake[:, None] | self.calm.sleepless
        assert not (sent[~awake] != 0).any(), "a neuron that may sleep fired"
        self.restless = np.where(place_awake, ~self._is_calm(), self.restless)
        return sent, self._count(awake, touched)

    def _is_calm(self):
        is_calm = (self.calm.low <= self.v) & (self.v <= self.calm.high) & (self.w == 0)
        return (is_calm | self.calm.sleepless).all(axis=1)

    def _count(self, awake, touched):
        n_states = self.form.n_states
        debt = self.debt if n_states else 0
        paid = np.where(awake, debt, 0)
        updates, silent = awake + paid, int((awake & ~touched[:, None]).sum() + paid.sum())
        self.debt = np.where(awake, 0, self.debt + 1)
        n_awake, accumulators = int(awake.sum()), int(touched.sum()) * self.bias.shape[1]
        has_bias = np.broadcast_to(self.bias != 0, awake.shape)
        return OpCounts(
            updates=int(updates.sum()) if n_states else 0,
            silent_updates=silent if n_states else 0,
            bias_adds=int(updates[has_bias].sum()),
            comparisons=n_awake * self.form.n_thresholds,
            state_reads=n_awake * n_states + accumulators,
            state_writes=n_awake * n_states,
        )
