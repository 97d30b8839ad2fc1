"""Which neurons may sleep: those that cannot fire while nothing but their bias comes, whatever rounding does.

Between events a neuron with a leak moves as  V' = V + rho (t - V) + e,  where t is where its bias drives it, rho in
(0, 1] the leak and e the rounding. Let S = |threshold| + |reset| + |t| + |bias|. The four operations of a step are each
off by at most 2^-24 of a number that is no larger than |V| + S, so

    |e| <= 12 * 2^-24 S          where |V| <= 2 S
    |e| <= 260 * 2^-24 S         where |V| <= 64 S

From V <= t + e / rho the step ends at t + e / rho at most; from above it falls; from below -2 S it ends at
t + 260 * 2^-24 S at most. Hence V never passes max(V now, t + S (2^-15 + 2^-20 / rho)), and, mirrored, never falls
below -64 S. So with a slack of S (2^-14 + 2^-19 / rho)

    a neuron is sleepless        where t > threshold - slack
    a neuron is calm, may sleep  where -64 S <= V <= threshold - slack

Without a leak (rho = 0) V' = V + bias, which does not grow where the bias is not positive: calm is every V that does
not fire, and a positive bias is sleepless. A signed neuron without a leak is sleepless for any bias but zero.
A synaptic current outlives its cause, so a neuron with one is calm only at rest, where V and current stay for ever.
A quantiser remembers nothing: it is sleepless where its bias alone is rounded to anything but zero.

On waking, a neuron iterates the silent steps it missed, which is what it would have done awake, bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.handlers.neuron_forms.forms import (
    Decay,
    Form,
    IntegerLeak,
    LateReset,
    Leaky,
    MultiSpike,
    Norse,
    Quantiser,
    Signed,
)  # fmt: skip

__all__ = ["Calm", "calm_range"]

_LEAST_LEAK = 2.0**-20
"""A slower leak is not told from rounding: such neurons never sleep."""


class Calm(NamedTuple):
    """Where neurons may sleep.

    Parameters
    ----------
    low, high : float32, of the shape of the bias
        A neuron whose membrane is between them, and has no synaptic current, may sleep. All that is, where sleepless.
    sleepless : bool, of the same shape
        Neurons that must be visited at every step.
    rest : float
        The membrane before the first step.
    """

    low: np.ndarray
    high: np.ndarray
    sleepless: np.ndarray
    rest: np.ndarray | float


def calm_range(form: Form, bias: np.ndarray) -> Calm:
    """For a population with this constant part of its current, float32 [..., n_channels]."""
    bias = bias.astype(np.float64)
    rest = _rest(form)
    if isinstance(form, Quantiser):
        level = np.clip(bias, form.low, form.high)
        level = np.rint(level) if form.ties == "even" else np.floor(level.astype(np.float32) + np.float32(0.5))
        return _calm(np.full(bias.shape, -np.inf), np.full(bias.shape, np.inf), level != 0, rest)
    top = _threshold(form)
    if form.n_states == 2:
        at_rest = np.broadcast_to(np.asarray(rest, np.float64), bias.shape)
        return _calm(at_rest, at_rest, (bias != 0) | (at_rest >= top), rest)
    if isinstance(form, Signed):
        bottom = -(np.float64(form.neg_threshold) + form.inhibit)
        low = np.broadcast_to(bottom + 2.0**-20 * (abs(form.neg_threshold) + abs(form.inhibit)), bias.shape)
        return _calm(low, np.broadcast_to(_below(top), bias.shape), bias != 0, rest)
    leak, target = _leak(form, bias)
    leak = np.broadcast_to(np.asarray(leak, np.float64), bias.shape)
    size = abs(top) + abs(np.asarray(rest, np.float64)) + abs(target) + abs(bias)
    with np.errstate(divide="ignore", invalid="ignore"):
        high = top - size * (2.0**-14 + 2.0**-19 / leak)
        sleepless = ~(target <= high) | (leak < _LEAST_LEAK)
    is_leaky = leak > 0
    high = np.where(is_leaky, high, np.broadcast_to(_below(top), bias.shape))
    low = np.where(is_leaky, -64.0 * size, -np.inf)
    return _calm(low, high, np.where(is_leaky, sleepless, bias > 0), rest)


def _calm(low: np.ndarray, high: np.ndarray, sleepless: np.ndarray, rest) -> Calm:
    """Rounded inwards, and without bounds where sleepless: such neurons are visited anyhow."""
    low = np.where(sleepless, -np.inf, low).astype(np.float32)
    high = np.where(sleepless, np.inf, high)
    rounded = high.astype(np.float32)
    rounded = np.where(rounded > high, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return Calm(low, rounded.astype(np.float32), np.asarray(sleepless), rest)


def _below(top) -> np.ndarray:
    """The largest number that does not fire, from the smallest that does."""
    return np.nextafter(np.float32(top), np.float32(-np.inf)).astype(np.float64)


def _threshold(form: Form) -> np.ndarray:
    """The smallest H that fires (upwards)."""
    if isinstance(form, IntegerLeak):
        return np.float64(0.5) * form.v_threshold  # ties to even: exactly half is rounded to zero, which is safe
    is_strict = isinstance(form, LateReset | Norse | MultiSpike) or (isinstance(form, Leaky | Decay) and form.strict)
    threshold = np.nextafter(form.v_threshold, np.float32(np.inf)) if is_strict else form.v_threshold
    return np.asarray(threshold, np.float64)


def _rest(form: Form):
    if isinstance(form, Norse) or (isinstance(form, MultiSpike) and form.rate is not None):
        return form.v_leak
    reset = getattr(form, "v_reset", None)
    return np.float32(0) if reset is None else reset


def _leak(form: Form, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rho, and t where rho is not 0."""
    rest = np.asarray(_rest(form), np.float64)
    if isinstance(form, MultiSpike) and form.rate is None:
        return np.float64(0), bias * 0
    if isinstance(form, Norse | MultiSpike):
        return form.rate, rest + bias
    if isinstance(form, Leaky):
        if form.input == "integrates":
            return np.float64(0), bias * 0
        leak = np.float64(form.rate) if form.tau is None else 1 / np.float64(form.tau)
        return leak, rest + (bias if form.input == "decays" else _divided(bias, leak))
    decay = form.beta if isinstance(form, LateReset) else form.decay
    leak = 1 - np.float64(decay)
    return leak, _divided(bias, leak)


def _divided(bias: np.ndarray, leak) -> np.ndarray:
    leak = np.broadcast_to(leak, bias.shape)
    return np.divide(bias, leak, out=np.zeros(bias.shape), where=leak > 0)
