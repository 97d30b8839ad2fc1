"""Membranes between two spikes: what a neuron still needs, when it is ready, its reset, and the end of a step.

    H = charge(V, X + bias)          X: what has reached it in this step, exactly as the synchronous mode sums it
    ready  <=>  H >= v_threshold  <=>  X >= need

H grows with X, so a neuron's test at each addition is one comparison with a number that is worked out once a step. In
whole numbers the need is exact; in float32 it lies a little below, and H itself decides. X is kept, not H: a whole H
is rounded, and a sum of rounded parts is not the rounded sum that a synchronous run takes.

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
    CONSTANTS_AT,
    N_BIASED,
    N_BIASED_ALONE,
    N_CHANNELS,
    N_PLACES,
    OWNER,
    PLACE_AT,
    QUEUED,
    READING_SIZE,
    RESET,
    STATE_READS,
    STATE_WRITES,
    STEP,
    UPDATES,
    X_AT,
)
from evsim.asynchronous.machine import as_value, machine

__all__ = ["begin_step", "end_step", "is_ready", "need_of", "potential", "reset_neuron", "rouse", "wake"]

_MARGIN = 1e-6
"""More than what rounding to float32 can move a need by, as a share of its terms."""
_LARGEST = 2**31 - 2


def needed(v, bias, threshold, constants):
    """The smallest X with charge(v, X + bias) >= threshold, or a little less; in the arithmetic of v."""
    _, v_reset, rate, last = constants
    if isinstance(v, np.floating):
        gap, leaked = (np.float64(threshold) - v) / rate, last * (np.float64(v) - v_reset)
        return np.float32(gap + leaked - bias - _MARGIN * (abs(gap) + abs(leaked) + abs(bias) + abs(v) + abs(v_reset)))
    gap = (int(threshold) - int(v)) << int(last)
    need = -(-gap // int(rate)) + int(v) - int(bias)
    return np.int32(min(max(need, -_LARGEST), _LARGEST))


@overload(needed, inline="always")
def _choose_needed(v, bias, threshold, constants):
    if isinstance(v, types.Float):

        def needed_float(v, bias, threshold, constants):
            _, v_reset, rate, leak = constants
            gap = (np.float64(threshold) - np.float64(v)) / np.float64(rate)
            leaked = np.float64(leak) * (np.float64(v) - np.float64(v_reset))
            size = abs(gap) + abs(leaked) + abs(np.float64(bias)) + abs(np.float64(v)) + abs(np.float64(v_reset))
            return np.float32(gap + leaked - np.float64(bias) - _MARGIN * size)

        return needed_float

    def needed_whole(v, bias, threshold, constants):
        _, _, rate, shift = constants
        gap = (np.int64(threshold) - np.int64(v)) << shift
        need = -((-gap) // rate) + np.int64(v) - np.int64(bias)
        return np.int32(min(max(need, -_LARGEST), _LARGEST))

    return needed_whole


@kernel(error_model="numpy", forceinline=True)
def _bias_now(r, j, m):
    """What of a bias acts already: the negative part at the start, the rest once it is on."""
    bias = m.bias[m.readings[r + BIAS_AT] + j]
    return bias if m.readings[r + BIAS_ON] else min(bias, m.zero)


@kernel(error_model="numpy", forceinline=True)
def _threshold(r, j, m):
    return m.threshold[m.readings[r + BIAS_AT] + j]


@kernel(error_model="numpy", forceinline=True)
def _constants(r, m):
    at = m.readings[r + CONSTANTS_AT]
    return (m.constants[at], m.constants[at + 1], m.constants[at + 2], m.constants[at + 3])


@kernel(error_model="numpy", forceinline=True)
def potential(i, r, j, m):
    """H of neuron i, channel j of population r, as it stands."""
    constants = _constants(r, m)
    if m.flags[i] & RESET:
        late = m.base[i] if m.remembers else m.x[i]
        return charge(as_value(m.zero, constants[1]), m.x[i] - late, constants[2], constants)
    return charge(m.v[i], m.x[i] + _bias_now(r, j, m), constants[2], constants)


@kernel(error_model="numpy")
def need_of(i, r, j, m):
    """The x from which on neuron i is ready; after a spike it counts from there."""
    constants = _constants(r, m)
    if m.flags[i] & RESET:
        late = m.base[i] if m.remembers else m.x[i]
        need = needed(as_value(m.zero, constants[1]), m.zero, _threshold(r, j, m), constants)
        return as_value(m.zero, late + need - (np.float32(_MARGIN) * abs(late) if m.is_float else 0))
    return needed(m.v[i], _bias_now(r, j, m), _threshold(r, j, m), constants)


@kernel(error_model="numpy", forceinline=True)
def is_ready(i, r, j, m):
    """Whether neuron i is at or above its threshold."""
    return m.x[i] >= m.need[i] and potential(i, r, j, m) >= _threshold(r, j, m)


@kernel(error_model="numpy", forceinline=True)
def reset_neuron(i, r, j, m):
    """The neuron's spike is certain: what arrives from here on comes after it."""
    m.flags[i] |= RESET
    m.need[i] = m.never
    if m.remembers:
        m.base[i] = m.x[i]
        if m.refires:
            m.need[i] = need_of(i, r, j, m)


@kernel(error_model="numpy")
def wake(r, place, m):
    """A place is reached for the first time in a step: it catches up on the steps it slept, then finds its needs."""
    step, owner = m.now[STEP], m.readings[r + OWNER]
    p, n, bias_at = m.readings[r + PLACE_AT] + place, m.readings[r + N_CHANNELS], m.readings[r + BIAS_AT]
    at = m.readings[r + X_AT] + place * n
    constants, alone, alone_end = _constants(r, m), m.readings[r + ALONE_AT], m.readings[r + ALONE_END]
    n_missed = step - 1 - m.places[p]
    m.places[p] = step
    for j in range(n):
        if alone < alone_end and m.lists[alone] == j:
            alone += 1  # it never slept
        else:
            for _ in range(n_missed):
                m.v[at + j] = charge(m.v[at + j], m.bias[bias_at + j], constants[2], constants)
        if m.flags[at + j] == 0:
            m.need[at + j] = needed(m.v[at + j], _bias_now(r, j, m), _threshold(r, j, m), constants)
    n_alone = m.readings[r + ALONE_END] - m.readings[r + ALONE_AT]
    m.acts[owner + UPDATES] += n_missed * (n - n_alone)
    m.acts[owner + BIAS_ADDS] += n_missed * (m.readings[r + N_BIASED] - m.readings[r + N_BIASED_ALONE])


@kernel(error_model="numpy")
def begin_step(m):
    """Biases and leaks act: the neurons that need no event find out what they need."""
    for r in range(0, m.end_of_populations, READING_SIZE):
        constants, n, at = _constants(r, m), m.readings[r + N_CHANNELS], m.readings[r + X_AT]
        for place in range(m.readings[r + N_PLACES] if m.readings[r + ALONE_END] > m.readings[r + ALONE_AT] else 0):
            for k in range(m.readings[r + ALONE_AT], m.readings[r + ALONE_END]):
                i, j = at + place * n + m.lists[k], m.lists[k]
                m.need[i] = needed(m.v[i], _bias_now(r, j, m), _threshold(r, j, m), constants)


@kernel(error_model="numpy")
def rouse(r, m):
    """The positive biases of a population act: needs shrink, and what comes after a spike grows."""
    step = m.now[STEP]
    n, at, p = m.readings[r + N_CHANNELS], m.readings[r + X_AT], m.readings[r + PLACE_AT]
    m.readings[r + BIAS_ON] = 1
    for place in range(m.readings[r + N_PLACES]):
        if m.places[p + place] == step:
            for j in range(n):
                i, bias = at + place * n + j, m.bias[m.readings[r + BIAS_AT] + j]
                if bias > 0 and m.flags[i] & RESET and m.remembers:
                    m.base[i] -= bias
                if bias > 0 and not m.flags[i] & QUEUED and (m.refires or not m.flags[i] & RESET):
                    m.need[i] = need_of(i, r, j, m)
        else:
            for k in range(m.readings[r + ALONE_AT], m.readings[r + ALONE_END]):
                i, j = at + place * n + m.lists[k], m.lists[k]
                if m.flags[i] == 0:
                    m.need[i] = need_of(i, r, j, m)


@kernel(error_model="numpy", forceinline=True)
def _keep(i, r, j, m):
    """H becomes V; after a spike V is the reset, and what came later where it is kept."""
    constants = _constants(r, m)
    v = as_value(m.zero, constants[1])
    if not m.flags[i] & RESET:
        v = charge(m.v[i], m.x[i] + m.bias[m.readings[r + BIAS_AT] + j], constants[2], constants)
    elif m.keeps:
        v = charge(as_value(m.zero, constants[1]), m.x[i] - m.base[i], constants[2], constants)
    m.v[i] = v
    m.x[i] = 0
    return v >= _threshold(r, j, m)


@kernel(error_model="numpy")
def end_step(t, s):
    """H becomes V, for all neurons of the places that were reached and for those that never sleep."""
    m = machine(t, s)
    step = m.now[STEP]
    m.now[CARRIED] = 0
    for r in range(0, m.end_of_populations, READING_SIZE):
        n, at, p, owner = (
            m.readings[r + N_CHANNELS],
            m.readings[r + X_AT],
            m.readings[r + PLACE_AT],
            m.readings[r + OWNER],
        )
        n_places, n_alone = m.readings[r + N_PLACES], m.readings[r + ALONE_END] - m.readings[r + ALONE_AT]
        n_reached = 0
        for place in range(n_places):
            if m.places[p + place] == step:
                is_full = False
                for j in range(n):
                    is_full |= _keep(at + place * n + j, r, j, m)
                n_reached += 1
                if is_full and m.keeps:  # by what came after a spike: ready before anything arrives
                    m.carried[(m.now[CARRIED]) * 2] = r
                    m.carried[(m.now[CARRIED]) * 2 + 1] = place
                    m.now[CARRIED] += 1
            else:
                for k in range(m.readings[r + ALONE_AT], m.readings[r + ALONE_END]):
                    _keep(at + place * n + m.lists[k], r, m.lists[k], m)
        n_updates = n_reached * n + (n_places - n_reached) * n_alone
        m.acts[owner + UPDATES] += n_updates
        m.acts[owner + BIAS_ADDS] += (
            n_reached * m.readings[r + N_BIASED] + (n_places - n_reached) * m.readings[r + N_BIASED_ALONE]
        )
        m.acts[owner + STATE_READS] += n_updates
        m.acts[owner + STATE_WRITES] += n_updates
