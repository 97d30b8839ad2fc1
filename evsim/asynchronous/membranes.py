"""Membranes between two spikes: what a neuron still needs, when it is ready, its reset, and the end of a step.

    H = charge(V, X + bias)          X: what has reached it in this step, exactly as the synchronous mode sums it
    ready  <=>  H >= v_threshold  <=>  X >= need

H grows with X, so a neuron's test at each addition is one comparison with a number that is worked out once a step. In
whole numbers the need is exact; in float32 it lies a little below, and H itself decides. X, not H, is kept: a whole H is
rounded, and a sum of rounded parts is not the rounded sum that a synchronous run takes.

Places that nothing reaches sleep as they do in the synchronous mode, see `evsim.handlers.neurons.Population`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole_lanes import charge
from evsim.asynchronous.columns import (
    ALONE_AT,
    ALONE_END,
    BIAS_ADDS,
    BIAS_AT,
    BIAS_ON,
    CARRIED,
    HAS_SPIKED,
    LAST_STEP,
    N_BIASED,
    N_BIASED_ALONE,
    N_CHANNELS,
    N_PLACES,
    OWNER,
    PLACE_AT,
    RESET,
    STATE_READS,
    STATE_WRITES,
    STEP,
    UPDATES,
    X_AT,
)

__all__ = ["begin_step", "end_step", "is_ready", "potential", "reset_neuron", "rouse", "wake"]

_MARGIN = 1e-6
"""More than what rounding to float32 can move a need by, as a share of its terms."""
_LARGEST = 2**31 - 2


def needed(v, bias, constants):
    """The smallest X with charge(v, X + bias) >= v_threshold, or a little less; in the arithmetic of v."""
    v_threshold, v_reset, rate, last = constants
    if isinstance(v, np.floating):
        gap, leaked = (np.float64(v_threshold) - v) / rate, last * (np.float64(v) - v_reset)
        return np.float32(gap + leaked - bias - _MARGIN * (abs(gap) + abs(leaked) + abs(bias) + abs(v) + abs(v_reset)))
    gap = (int(v_threshold) - int(v)) << int(last)
    need = -(-gap // int(rate)) + int(v) - int(v_reset) - int(bias)
    return np.int32(min(max(need, -_LARGEST), _LARGEST))


@overload(needed, inline="always")
def _choose_needed(v, bias, constants):
    if isinstance(v, types.Float):

        def needed_float(v, bias, constants):
            v_threshold, v_reset, rate, leak = constants
            gap = (np.float64(v_threshold) - np.float64(v)) / np.float64(rate)
            leaked = np.float64(leak) * (np.float64(v) - np.float64(v_reset))
            size = abs(gap) + abs(leaked) + abs(np.float64(bias)) + abs(np.float64(v)) + abs(np.float64(v_reset))
            return np.float32(gap + leaked - np.float64(bias) - _MARGIN * size)

        return needed_float

    def needed_whole(v, bias, constants):
        v_threshold, v_reset, rate, shift = constants
        gap = (np.int64(v_threshold) - np.int64(v)) << shift
        need = -((-gap) // rate) + np.int64(v) - v_reset - np.int64(bias)
        return np.int32(min(max(need, -_LARGEST), _LARGEST))

    return needed_whole


@kernel(error_model="numpy", forceinline=True)
def _bias_now(r, j, t, s):
    """What of a bias acts already: the negative part at the start, the rest once it is on."""
    bias = t.bias[t.readings[r, BIAS_AT] + j]
    return bias if t.readings[r, BIAS_ON] else min(bias, s.x.dtype.type(0))


@kernel(error_model="numpy", forceinline=True)
def _constants(r, t):
    return (t.constants[r, 0], t.constants[r, 1], t.constants[r, 2], t.constants[r, 3])


@kernel(error_model="numpy", forceinline=True)
def potential(i, r, j, t, s):
    """H of neuron i, channel j of population r, as it stands."""
    constants = _constants(r, t)
    if s.flags[i] & RESET:
        late = s.base[i] if t.remembers else s.x[i]
        return charge(s.x.dtype.type(t.constants[r, 1]), s.x[i] - late, constants[2], constants)
    return charge(s.v[i], s.x[i] + _bias_now(r, j, t, s), constants[2], constants)


@kernel(error_model="numpy", forceinline=True)
def is_ready(i, r, j, t, s):
    """Whether neuron i is at or above its threshold."""
    return s.x[i] >= s.need[i] and potential(i, r, j, t, s) >= t.constants[r, 0]


@kernel(error_model="numpy", forceinline=True)
def reset_neuron(i, r, t, s):
    """The neuron's spike is certain: what arrives from here on comes after it."""
    s.flags[i] |= RESET
    s.need[i] = s.need[s.need.size - 1]
    if t.remembers:
        s.base[i] = s.x[i]
        if t.refires:
            need = needed(s.x.dtype.type(t.constants[r, 1]), s.x.dtype.type(0), _constants(r, t))
            s.need[i] = s.x[i] + need - (np.float32(_MARGIN) * abs(s.x[i]) if t.is_float else 0)


@kernel(error_model="numpy")
def wake(r, place, t, s):
    """A place is reached for the first time in a step: it catches up on the steps it slept, then finds its needs."""
    step, owner = s.now[STEP], t.readings[r, OWNER]
    p, n, bias_at = t.readings[r, PLACE_AT] + place, t.readings[r, N_CHANNELS], t.readings[r, BIAS_AT]
    at = t.readings[r, X_AT] + place * n
    constants, alone, alone_end = _constants(r, t), t.readings[r, ALONE_AT], t.readings[r, ALONE_END]
    n_missed = step - 1 - s.places[p, LAST_STEP]
    s.places[p, LAST_STEP] = step
    for j in range(n):
        if alone < alone_end and t.lists[alone] == j:
            alone += 1  # it never slept
        else:
            for _ in range(n_missed):
                s.v[at + j] = charge(s.v[at + j], t.bias[bias_at + j], constants[2], constants)
        if not s.flags[at + j] & RESET:
            s.need[at + j] = needed(s.v[at + j], _bias_now(r, j, t, s), constants)
    n_alone = t.readings[r, ALONE_END] - t.readings[r, ALONE_AT]
    s.counts[owner, UPDATES] += n_missed * (n - n_alone)
    s.counts[owner, BIAS_ADDS] += n_missed * (t.readings[r, N_BIASED] - t.readings[r, N_BIASED_ALONE])


@kernel(error_model="numpy")
def begin_step(t, s):
    """Biases and leaks act: the neurons that need no event find out what they need."""
    s.flags[:] = 0
    s.marks[:] = 0
    s.sums[:] = 0
    t.acts[:, HAS_SPIKED] = 0
    t.readings[:, BIAS_ON] = 0 if t.is_late else 1
    s.x[t.n_neurons :] = 0
    for r in range(t.n_populations):
        constants, n, at = _constants(r, t), t.readings[r, N_CHANNELS], t.readings[r, X_AT]
        for place in range(t.readings[r, N_PLACES] if t.readings[r, ALONE_END] > t.readings[r, ALONE_AT] else 0):
            for k in range(t.readings[r, ALONE_AT], t.readings[r, ALONE_END]):
                i, j = at + place * n + t.lists[k], t.lists[k]
                s.need[i] = needed(s.v[i], _bias_now(r, j, t, s), constants)


@kernel(error_model="numpy")
def rouse(r, t, s):
    """The positive biases of a population act: needs shrink, and what comes after a spike grows."""
    step, constants = s.now[STEP], _constants(r, t)
    n, at, p = t.readings[r, N_CHANNELS], t.readings[r, X_AT], t.readings[r, PLACE_AT]
    t.readings[r, BIAS_ON] = 1
    for place in range(t.readings[r, N_PLACES]):
        if s.places[p + place, LAST_STEP] == step:
            for j in range(n):
                i, bias = at + place * n + j, t.bias[t.readings[r, BIAS_AT] + j]
                if bias > 0 and not s.flags[i] & RESET:
                    s.need[i] = needed(s.v[i], bias, constants)
                elif bias > 0 and t.remembers:
                    s.base[i] -= bias
                    if t.refires:
                        s.need[i] -= bias
        else:
            for k in range(t.readings[r, ALONE_AT], t.readings[r, ALONE_END]):
                i, j = at + place * n + t.lists[k], t.lists[k]
                if not s.flags[i] & RESET:
                    s.need[i] = needed(s.v[i], t.bias[t.readings[r, BIAS_AT] + j], constants)


@kernel(error_model="numpy", forceinline=True)
def _keep(i, r, j, t, s):
    """H becomes V; after a spike V is the reset, and what came later where it is kept."""
    constants = _constants(r, t)
    v = s.x.dtype.type(t.constants[r, 1])
    if not s.flags[i] & RESET:
        v = charge(s.v[i], s.x[i] + t.bias[t.readings[r, BIAS_AT] + j], constants[2], constants)
    elif t.keeps:
        v = charge(s.x.dtype.type(t.constants[r, 1]), s.x[i] - s.base[i], constants[2], constants)
    s.v[i] = v
    s.x[i] = 0
    return v >= constants[0]


@kernel(error_model="numpy")
def end_step(t, s):
    """H becomes V, for all neurons of the places that were reached and for those that never sleep."""
    step = s.now[STEP]
    s.now[CARRIED] = 0
    for r in range(t.n_populations):
        n, at, p, owner = t.readings[r, N_CHANNELS], t.readings[r, X_AT], t.readings[r, PLACE_AT], t.readings[r, OWNER]
        n_places, n_alone = t.readings[r, N_PLACES], t.readings[r, ALONE_END] - t.readings[r, ALONE_AT]
        n_reached = 0
        for place in range(n_places):
            if s.places[p + place, LAST_STEP] == step:
                is_full = False
                for j in range(n):
                    is_full |= _keep(at + place * n + j, r, j, t, s)
                n_reached += 1
                if is_full:  # only where what came after a spike was kept: ready before anything arrives
                    s.carried[s.now[CARRIED], 0] = r
                    s.carried[s.now[CARRIED], 1] = place
                    s.now[CARRIED] += 1
            else:
                for k in range(t.readings[r, ALONE_AT], t.readings[r, ALONE_END]):
                    _keep(at + place * n + t.lists[k], r, t.lists[k], t, s)
        n_updates = n_reached * n + (n_places - n_reached) * n_alone
        s.counts[owner, UPDATES] += n_updates
        s.counts[owner, BIAS_ADDS] += (
            n_reached * t.readings[r, N_BIASED] + (n_places - n_reached) * t.readings[r, N_BIASED_ALONE]
        )
        s.counts[owner, STATE_READS] += n_updates
        s.counts[owner, STATE_WRITES] += n_updates
