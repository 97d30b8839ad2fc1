"""One step of one neuron of each form, compiled into the kernel that calls it: charge, fire, settle.

    h, w = charge(constants, j, x, v, w);   s = fire(constants, j, h);   v = settle(constants, j, h, s)

`j` is the channel, `v` the membrane, `w` the synaptic current. Constants are a named tuple, whose class is the
arithmetic: the compiler sees it, and no form pays for another one. Every operation is rounded to float32 in the order
in which PyTorch's code has it.

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

import numpy as np
from numba import types
from numba.extending import overload

from evsim.handlers.neuron_forms import forms

__all__ = ["MOST_SPIKES", "charge", "constants_of", "fire", "settle"]

_LEAKY = ("fire_at", "v_threshold", "v_reset", "is_soft", "rate")
Divided = namedtuple("Divided", _LEAKY)
Multiplied = namedtuple("Multiplied", _LEAKY)
WholeDivided = namedtuple("WholeDivided", _LEAKY)
WholeMultiplied = namedtuple("WholeMultiplied", _LEAKY)
Integrating = namedtuple("Integrating", _LEAKY)
Decaying = namedtuple("Decaying", _LEAKY)
Box = namedtuple("Box", (*_LEAKY, "v_leak"))
Synapse = namedtuple("Synapse", (*_LEAKY, "v_leak", "synapse_rate"))
ManyIntegrating = namedtuple("ManyIntegrating", (*_LEAKY, "v_leak"))
ManyBox = namedtuple("ManyBox", Box._fields)
ManySynapse = namedtuple("ManySynapse", Synapse._fields)
_LATE = ("fire_at", "v_threshold", "beta", "alpha")
LateSubtract, LateZero, LateNone = (namedtuple(name, _LATE) for name in ("LateSubtract", "LateZero", "LateNone"))
SynapticSubtract, SynapticZero, SynapticNone = (
    namedtuple(name, _LATE) for name in ("SynapticSubtract", "SynapticZero", "SynapticNone")
)
Rounding = namedtuple("Rounding", ("v_threshold", "decay", "high"))
Stateless = namedtuple("Stateless", ("low", "high"))
StatelessUp = namedtuple("StatelessUp", ("low", "high"))
TwoSided = namedtuple("TwoSided", ("v_threshold", "neg_threshold", "inhibit", "v_reset", "is_soft", "is_symmetric"))

_ROUNDING = np.float32(1.5 * 2**23)
"""x + this - this is x rounded to a whole number, ties to even, for every |x| below 2^22."""
MOST_SPIKES = np.float32(2**20)
"""A neuron sends in a step, however far its membrane is driven."""
_OPTIONS = {"error_model": "numpy"}


def _of(constant, j):
    """The constant of channel j."""
    return constant[j] if isinstance(constant, np.ndarray) else constant


@overload(_of, jit_options=_OPTIONS)
def _choose_constant(constant, j):
    if isinstance(constant, types.Array):
        return lambda constant, j: constant[j]
    return lambda constant, j: constant


# --- charge -----------------------------------------------------------------------------------------------------------


def _charge_divided(c, j, x, v, w):
    return v + (x - (v - _of(c.v_reset, j))) / _of(c.rate, j), w


def _charge_multiplied(c, j, x, v, w):
    return v + (x - (v - _of(c.v_reset, j))) * _of(c.rate, j), w


def _charge_whole_divided(c, j, x, v, w):
    return v - (v - _of(c.v_reset, j)) / _of(c.rate, j) + x, w


def _charge_whole_multiplied(c, j, x, v, w):
    return v - (v - _of(c.v_reset, j)) * _of(c.rate, j) + x, w


def _charge_integrating(c, j, x, v, w):
    return v + x, w


def _charge_decaying(c, j, x, v, w):
    return _of(c.rate, j) * v + x, w


def _charge_box(c, j, x, v, w):
    return v + _of(c.rate, j) * ((x + _of(c.v_leak, j)) - v), w


def _charge_synapse(c, j, x, v, w):
    jumped = w + x
    h = v + _of(c.rate, j) * ((_of(c.v_leak, j) - v) + jumped)
    return h, jumped + (-_of(c.synapse_rate, j)) * jumped


def _charge_late_subtract(c, j, x, v, w):
    late = _of(c.v_threshold, j) if v >= _of(c.fire_at, j) else np.float32(0)
    return (_of(c.beta, j) * v + x) - late, w


def _charge_late_zero(c, j, x, v, w):
    kept = np.float32(0) if v >= _of(c.fire_at, j) else v
    return _of(c.beta, j) * kept + x, w


def _charge_late_none(c, j, x, v, w):
    return _of(c.beta, j) * v + x, w


def _charge_synaptic_subtract(c, j, x, v, w):
    current = _of(c.alpha, j) * w + x
    late = _of(c.v_threshold, j) if v >= _of(c.fire_at, j) else np.float32(0)
    return (_of(c.beta, j) * v + current) - late, current


def _charge_synaptic_zero(c, j, x, v, w):
    current = _of(c.alpha, j) * w + x
    h = _of(c.beta, j) * v + current
    return (np.float32(0) if v >= _of(c.fire_at, j) else h), current


def _charge_synaptic_none(c, j, x, v, w):
    current = _of(c.alpha, j) * w + x
    return _of(c.beta, j) * v + current, current


def _charge_rounding(c, j, x, v, w):
    return _of(c.decay, j) * v + x, w


def _charge_stateless(c, j, x, v, w):
    return x, w


def _charge_two_sided(c, j, x, v, w):
    return v + x, w


# --- fire -------------------------------------------------------------------------------------------------------------


def _fire_binary(c, j, h):
    return np.int32(1) if h >= _of(c.fire_at, j) else np.int32(0)


def _fire_rounding(c, j, h):
    level = min(max(h / _of(c.v_threshold, j), np.float32(0)), _of(c.high, j))
    return np.int32((level + _ROUNDING) - _ROUNDING)


def _fire_many(c, j, h):
    n = np.ceil(h / _of(c.v_threshold, j)) - np.float32(1)
    return np.int32(min(max(n, np.float32(0)), MOST_SPIKES))


def _fire_stateless(c, j, h):
    level = min(max(h, _of(c.low, j)), _of(c.high, j))
    return np.int32((level + _ROUNDING) - _ROUNDING)


def _fire_stateless_up(c, j, h):
    level = min(max(h, _of(c.low, j)), _of(c.high, j))
    return np.int32(np.floor(level + np.float32(0.5)))


def _fire_two_sided(c, j, h):
    above = np.int32(1) if h >= _of(c.v_threshold, j) else np.int32(0)
    below = np.int32(1) if (h + _of(c.neg_threshold, j)) + _of(c.inhibit, j) <= np.float32(0) else np.int32(0)
    return above - below


# --- settle -----------------------------------------------------------------------------------------------------------


def _settle_leaky(c, j, h, s):
    after = h - _of(c.v_threshold, j) if c.is_soft else _of(c.v_reset, j)
    return after if s != 0 else h


def _settle_many(c, j, h, s):
    after = h - np.float32(s) * _of(c.v_threshold, j) if c.is_soft else _of(c.v_reset, j)
    return after if s != 0 else h


def _settle_late(c, j, h, s):
    return h


def _settle_rounding(c, j, h, s):
    return h - np.float32(s) * _of(c.v_threshold, j)


def _settle_stateless(c, j, h, s):
    return np.float32(0)


def _settle_two_sided(c, j, h, s):
    sign = np.float32(s)
    if c.is_soft:
        if c.is_symmetric:
            after = h - sign * _of(c.v_threshold, j)
        else:
            after = h - (_of(c.v_threshold, j) if s > 0 else _of(c.neg_threshold, j))
    else:
        after = _of(c.v_reset, j) if c.is_symmetric else sign * _of(c.v_reset, j)
    return after if s != 0 else h


_ARITHMETIC = {
    Divided: (_charge_divided, _fire_binary, _settle_leaky),
    Multiplied: (_charge_multiplied, _fire_binary, _settle_leaky),
    WholeDivided: (_charge_whole_divided, _fire_binary, _settle_leaky),
    WholeMultiplied: (_charge_whole_multiplied, _fire_binary, _settle_leaky),
    Integrating: (_charge_integrating, _fire_binary, _settle_leaky),
    Decaying: (_charge_decaying, _fire_binary, _settle_leaky),
    Box: (_charge_box, _fire_binary, _settle_leaky),
    Synapse: (_charge_synapse, _fire_binary, _settle_leaky),
    ManyIntegrating: (_charge_integrating, _fire_many, _settle_many),
    ManyBox: (_charge_box, _fire_many, _settle_many),
    ManySynapse: (_charge_synapse, _fire_many, _settle_many),
    LateSubtract: (_charge_late_subtract, _fire_binary, _settle_late),
    LateZero: (_charge_late_zero, _fire_binary, _settle_late),
    LateNone: (_charge_late_none, _fire_binary, _settle_late),
    SynapticSubtract: (_charge_synaptic_subtract, _fire_binary, _settle_late),
    SynapticZero: (_charge_synaptic_zero, _fire_binary, _settle_late),
    SynapticNone: (_charge_synaptic_none, _fire_binary, _settle_late),
    Rounding: (_charge_rounding, _fire_rounding, _settle_rounding),
    Stateless: (_charge_stateless, _fire_stateless, _settle_stateless),
    StatelessUp: (_charge_stateless, _fire_stateless_up, _settle_stateless),
    TwoSided: (_charge_two_sided, _fire_two_sided, _settle_two_sided),
}
"""charge, fire and settle by the class of the constants."""


def charge(c, j, x, v, w):
    """H, and the synaptic current behind it."""
    return _ARITHMETIC[type(c)][0](c, j, x, v, w)


def fire(c, j, h):
    """What is sent: 0, 1, or a whole number (int32)."""
    return _ARITHMETIC[type(c)][1](c, j, h)


def settle(c, j, h, s):
    """V, after the reset."""
    return _ARITHMETIC[type(c)][2](c, j, h, s)


@overload(charge, jit_options=_OPTIONS)
def _choose_charge(c, j, x, v, w):
    return _ARITHMETIC[c.instance_class][0]


@overload(fire, jit_options=_OPTIONS)
def _choose_fire(c, j, h):
    return _ARITHMETIC[c.instance_class][1]


@overload(settle, jit_options=_OPTIONS)
def _choose_settle(c, j, h, s):
    return _ARITHMETIC[c.instance_class][2]


# --- constants of a form ----------------------------------------------------------------------------------------------


def constants_of(form: forms.Form) -> tuple:
    """The named tuple of a form; its constants that differ by channel are arrays."""
    return _CONSTANTS[type(form)](form)


def _above(threshold: np.ndarray, strict: bool = True) -> np.ndarray:
    """H > threshold is H >= the next number."""
    return np.nextafter(threshold, np.float32(np.inf)) if strict else threshold


def _leaky(form: forms.Leaky) -> tuple:
    is_soft = form.v_reset is None
    reset = np.float32(0) if is_soft else form.v_reset
    common = (_above(form.v_threshold, form.strict), form.v_threshold, reset, is_soft)
    if form.input == "integrates":
        return Integrating(*common, np.float32(1))
    kinds = {"decays": (Divided, Multiplied), "whole": (WholeDivided, WholeMultiplied)}[form.input]
    return kinds[0](*common, form.tau) if form.tau is not None else kinds[1](*common, form.rate)


def _decaying(form: forms.Decay) -> tuple:
    is_soft = form.v_reset is None
    reset = np.float32(0) if is_soft else form.v_reset
    return Decaying(_above(form.v_threshold, form.strict), form.v_threshold, reset, is_soft, form.decay)


def _late(form: forms.LateReset) -> tuple:
    plain = {"subtract": LateSubtract, "zero": LateZero, "none": LateNone}
    synaptic = {"subtract": SynapticSubtract, "zero": SynapticZero, "none": SynapticNone}
    kind, alpha = (plain, np.float32(0)) if form.alpha is None else (synaptic, form.alpha)
    return kind[form.reset](_above(form.v_threshold), form.v_threshold, form.beta, alpha)


def _norse(form: forms.Norse) -> tuple:
    common = (_above(form.v_threshold), form.v_threshold, *_reset_of(form), form.rate, form.v_leak)
    return Box(*common) if form.synapse_rate is None else Synapse(*common, form.synapse_rate)


def _many(form: forms.MultiSpike) -> tuple:
    rate = np.float32(1) if form.rate is None else form.rate
    common = (_above(form.v_threshold), form.v_threshold, *_reset_of(form), rate, form.v_leak)
    if form.rate is None:
        return ManyIntegrating(*common)
    return ManyBox(*common) if form.synapse_rate is None else ManySynapse(*common, form.synapse_rate)


def _reset_of(form: forms.Form) -> tuple:
    """v_reset, and whether it is by subtraction."""
    return (np.float32(0), True) if form.v_reset is None else (form.v_reset, False)


def _two_sided(form: forms.Signed) -> tuple:
    is_soft = form.v_reset is None
    reset = np.float32(0) if is_soft else form.v_reset
    return TwoSided(form.v_threshold, form.neg_threshold, form.inhibit, reset, is_soft, form.symmetric)


_CONSTANTS: dict[type, Callable] = {
    forms.Leaky: _leaky,
    forms.Decay: _decaying,
    forms.LateReset: _late,
    forms.Norse: _norse,
    forms.MultiSpike: _many,
    forms.IntegerLeak: lambda form: Rounding(form.v_threshold, form.decay, form.high),
    forms.Quantiser: lambda form: (Stateless if form.ties == "even" else StatelessUp)(form.low, form.high),
    forms.Signed: _two_sided,
}
