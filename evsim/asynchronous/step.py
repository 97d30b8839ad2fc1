"""One time step without a barrier: choose F of the spikes that wait, deliver them, test what they touched; repeat.

    choose    the schedule takes F spikes from the queue; all are chosen, and their neurons reset, before one is sent
    deliver   each adds to the membranes of its targets
    settle    pools and means of currents, classifiers and maps pass on their change, in the order of the stages
    test      the touched places, by stage and address: a neuron at threshold that does not wait yet begins to

Neurons that become ready in one micro-step stand in the queue by stage, then by address, so that the order is one of the
network and not of the code. When nothing waits, the next stage that has waited for quiescence acts: a population whose
positive biases are late, a handler with a barrier, with the schedule `layer` every one. The step ends when none is left.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    ALONE_AT,
    ALONE_END,
    AT_BARRIER,
    BEST,
    CARRIED,
    COMPARISONS,
    CURSOR,
    DECIDED,
    DELIVERIES,
    DONE,
    EVENTS_OUT,
    EXPONENT,
    FIRST_WORD,
    HAS_SPIKED,
    HOT,
    IS_DRIVEN,
    IS_HOT,
    KIND,
    LAST_CHANGE,
    LAST_STEP,
    LOWEST,
    MICRO_STEPS,
    N_CHANNELS,
    N_CURVE,
    N_DIRTY,
    N_FIRED,
    N_GROUP,
    N_INPUTS,
    N_PLACES,
    N_WAITING,
    ORDER,
    ORDER_OF,
    OWNER,
    PLACE_AT,
    QUEUE_OPS,
    QUEUED,
    READING,
    READS_AS,
    RUNNING,
    STATUS,
    STEP,
    STRIDE,
    WITHDRAWN,
    X_AT,
)
from evsim.asynchronous.delivery import deliver
from evsim.asynchronous.membranes import begin_step, is_ready, potential, reset_neuron, rouse, wake
from evsim.asynchronous.products import prepare_map
from evsim.asynchronous.settle import change_map, classify, mean, pool_currents
from evsim.asynchronous.spread import touch
from evsim.asynchronous.waiting import LAYER, pop, push
from evsim.handlers.acts import Kind

__all__ = ["enter_step", "run_step"]

_FIRE, _POOL_CURRENT, _MEAN = int(Kind.FIRE), int(Kind.POOL_CURRENT), int(Kind.MEAN)
_CLASSIFY, _MULTIPLY_MAP, _BARRIER = int(Kind.CLASSIFY), int(Kind.MULTIPLY_MAP), int(Kind.BARRIER)
_FEW = 48
"""Touched places up to which sorting them beats looking at every place."""


@kernel(error_model="numpy", forceinline=True)
def _start_waiting(i, r, j, t, s):
    """Neuron i is at threshold: its spike enters the queue."""
    owner = t.readings[r, OWNER]
    key = np.float64(potential(i, r, j, t, s)) * 2.0 ** -t.readings[r, EXPONENT] if t.needs_key else 0.0
    s.flags[i] |= QUEUED
    s.counts[owner, QUEUE_OPS] += 1
    if t.commits_at_crossing:
        reset_neuron(i, r, t, s)
    push(i, r + 1, key, t, s)


@kernel(error_model="numpy")
def _collect(r, t, s):
    """Test every neuron that may be ready: of touched places all, of others those that need no event."""
    n, at, p, owner = t.readings[r, N_CHANNELS], t.readings[r, X_AT], t.readings[r, PLACE_AT], t.readings[r, OWNER]
    first, end = t.readings[r, ALONE_AT], t.readings[r, ALONE_END]
    for place in range(t.readings[r, N_PLACES]):
        if s.places[p + place, LAST_STEP] == s.now[STEP]:
            s.counts[owner, COMPARISONS] += n
            for j in range(n):
                i = at + place * n + j
                if s.flags[i] & QUEUED == 0 and is_ready(i, r, j, t, s):
                    _start_waiting(i, r, j, t, s)
        else:
            s.counts[owner, COMPARISONS] += end - first
            for k in range(first, end):
                i = at + place * n + t.lists[k]
                if s.flags[i] & QUEUED == 0 and is_ready(i, r, t.lists[k], t, s):
                    _start_waiting(i, r, t.lists[k], t, s)
    _clear_dirty(r, t, s)


@kernel(error_model="numpy", forceinline=True)
def _clear_dirty(r, t, s):
    at = t.readings[r, PLACE_AT]
    for k in range(t.readings[r, N_DIRTY]):
        s.dirty[at + s.listed[at + k]] = 0
    t.readings[r, N_DIRTY] = 0
    t.readings[r, IS_HOT] = 0


@kernel(error_model="numpy", forceinline=True)
def _test_place(r, place, t, s):
    n = t.readings[r, N_CHANNELS]
    at = t.readings[r, X_AT] + place * n
    for j in range(n):
        if s.x[at + j] >= s.need[at + j] and s.flags[at + j] & QUEUED == 0 and is_ready(at + j, r, j, t, s):
            _start_waiting(at + j, r, j, t, s)


@kernel(error_model="numpy", forceinline=True)
def _test(r, t, s):
    """The touched places of a population, in the order of their addresses."""
    at, n = t.readings[r, PLACE_AT], t.readings[r, N_DIRTY]
    s.counts[t.readings[r, OWNER], COMPARISONS] += n * t.readings[r, N_CHANNELS]
    if t.readings[r, IS_HOT]:
        if n <= _FEW:
            for k in range(1, n):
                place, before = s.listed[at + k], k - 1
                while before >= 0 and s.listed[at + before] > place:
                    s.listed[at + before + 1] = s.listed[at + before]
                    before -= 1
                s.listed[at + before + 1] = place
            for k in range(n):
                if s.dirty[at + s.listed[at + k]] & HOT:
                    _test_place(r, s.listed[at + k], t, s)
        else:
            for place in range(t.readings[r, N_PLACES]):
                if s.dirty[at + place] & HOT:
                    _test_place(r, place, t, s)
    _clear_dirty(r, t, s)


@kernel(error_model="numpy")
def _settle(r, t, s):
    """What stands between two currents passes on its change."""
    kind = t.readings[r, READS_AS]
    if kind == _POOL_CURRENT:
        pool_currents(r, t, s)
    elif kind == _MEAN:
        mean(r, t, s)
    elif kind == _CLASSIFY:
        classify(r, t, s)
    elif kind == _MULTIPLY_MAP:
        change_map(r, t, s)
    elif kind == _BARRIER:
        t.acts[t.readings[r, OWNER], HAS_SPIKED] = 1  # its dirty places are what it will be told of
        return
    else:
        return
    _clear_dirty(r, t, s)


@kernel(error_model="numpy", forceinline=True)
def _choose(t, s):
    """Take up to F spikes that are to be sent; those that fell below their threshold are withdrawn."""
    n = 0
    while n < t.group_size and s.now[N_WAITING] > 0:
        e = pop(t, s)
        if e < t.n_neurons:
            r = t.population_of[e]
            owner = t.readings[r, OWNER]
            s.flags[e] &= ~QUEUED
            s.counts[owner, QUEUE_OPS] += 1
            if not t.commits_at_crossing:
                s.counts[owner, COMPARISONS] += 1
                if not is_ready(e, r, (e - t.readings[r, X_AT]) % t.readings[r, N_CHANNELS], t, s):
                    s.now[WITHDRAWN] += 1
                    continue
                reset_neuron(e, r, t, s)
            s.counts[owner, EVENTS_OUT] += 1
            if s.neurons[e, N_FIRED] == 0:
                s.neurons[e, ORDER_OF] = s.now[ORDER]
            s.neurons[e, N_FIRED] += 1
        else:
            s.inputs[e - t.n_neurons, 2] = s.now[ORDER]
        s.now[ORDER] += 1
        s.group[n] = e
        n += 1
    s.now[N_GROUP] = n
    return n


@kernel(error_model="numpy", forceinline=True)
def _send(n, t, s):
    for k in range(n):
        e = s.group[k]
        deliver(e, t, s)
        if t.refires and t.commits_at_crossing and e < t.n_neurons:  # what came while it waited may be enough again
            r = t.population_of[e]
            touch(r, (e - t.readings[r, X_AT]) // t.readings[r, N_CHANNELS], True, t, s)


@kernel(error_model="numpy")
def _sample(t, s):
    """Keep the logits at even distances; when the list is full, every second goes and the distance doubles."""
    n = s.now[N_CURVE]
    if n == s.curve.shape[0]:
        for k in range(n // 2):
            s.curve[k] = s.curve[2 * k]
        n //= 2
        s.now[STRIDE] *= 2
    s.curve[n, 0] = s.now[DELIVERIES]
    at = t.readings[t.readout, X_AT]
    for k in range(s.logits.size):
        s.curve[n, 1 + k] = s.logits[k] + s.x[at + k] * t.logit_unit
    s.now[N_CURVE] = n + 1


@kernel(error_model="numpy")
def _listen(t, s):
    """The class of the readout, when it has received something."""
    at, best = t.readings[t.readout, X_AT], 0
    for k in range(1, s.logits.size):
        here = s.logits[k] + s.x[at + k] * t.logit_unit
        if here > s.logits[best] + s.x[at + best] * t.logit_unit:
            best = k
    if best != s.now[BEST]:
        s.now[BEST] = best
        s.now[LAST_CHANGE] = s.now[DELIVERIES]
    if t.readings[t.readout, N_DIRTY] > 0:
        if s.now[FIRST_WORD] < 0:
            s.now[FIRST_WORD] = s.now[DELIVERIES]
        _clear_dirty(t.readout, t, s)


@kernel(error_model="numpy", forceinline=True)
def _watch(t, s):
    """The readout and the curve; returns whether the decision has stood long enough."""
    if t.readout >= 0:
        if t.readings[t.readout, N_DIRTY] > 0:
            _listen(t, s)
        if t.keeps_curve and (
            s.now[N_CURVE] == 0 or s.now[DELIVERIES] - s.curve[s.now[N_CURVE] - 1, 0] >= s.now[STRIDE]
        ):
            _sample(t, s)
    if t.patience <= 0 or s.now[FIRST_WORD] < 0:
        return False
    return s.now[DELIVERIES] - max(s.now[LAST_CHANGE], s.now[FIRST_WORD]) >= t.patience


@kernel(error_model="numpy")
def _next_stage(t, s):
    """Nothing waits: the next stage that has waited for that. Returns False when the step is over."""
    while s.now[CURSOR] < t.acts.shape[0] - 1:
        h = s.now[CURSOR]
        kind, r = t.acts[h, KIND], t.acts[h, READING]
        s.now[CURSOR] += 1
        if kind == _BARRIER:
            if t.acts[h, HAS_SPIKED] or (r >= 0 and t.readings[r, N_DIRTY] > 0):
                s.now[STATUS] = AT_BARRIER
                return True
        elif kind == _FIRE:
            if t.schedule == LAYER:
                _collect(r, t, s)
            elif t.is_late and t.readings[r, IS_DRIVEN]:
                rouse(r, t, s)
                _collect(r, t, s)
        elif t.schedule == LAYER and r >= 0 and t.readings[r, N_DIRTY] > 0:
            _settle(r, t, s)
        if s.now[N_WAITING] > 0:
            return True
    return False


@kernel(error_model="numpy")
def enter_step(t, s):
    """Leaks and biases act; ready neurons, then the step's input, enter the queue."""
    begin_step(t, s)
    s.now[CURSOR], s.now[LOWEST], s.now[ORDER], s.now[STATUS] = 0, 0, 0, RUNNING
    s.buckets[:] = -1
    for h in range(t.acts.shape[0] - 1):
        if t.acts[h, KIND] == _MULTIPLY_MAP:
            prepare_map(h, t, s)
    for k in range(s.now[CARRIED]):
        wake(s.carried[k, 0], s.carried[k, 1], t, s)
        touch(s.carried[k, 0], s.carried[k, 1], True, t, s)
    if t.schedule != LAYER:
        for r in range(t.n_populations):
            if not t.is_late and t.readings[r, ALONE_END] > t.readings[r, ALONE_AT]:
                _collect(r, t, s)
            elif t.readings[r, N_DIRTY] > 0:
                _test(r, t, s)
    for k in range(s.now[N_INPUTS]):
        push(t.n_neurons + k, 0, np.inf, t, s)
    if t.readout >= 0:
        _listen(t, s)


@kernel(error_model="numpy")
def run_step(t, s):
    """Micro-steps until nothing waits and no stage is left, or a barrier or the decision is reached: see STATUS."""
    s.now[STATUS] = RUNNING
    while s.now[STATUS] == RUNNING:
        n = _choose(t, s)
        if n > 0:
            _send(n, t, s)
            s.now[MICRO_STEPS] += 1
        if t.schedule != LAYER:
            for r in range(t.n_populations, t.readings.shape[0]):
                if t.readings[r, N_DIRTY] > 0:
                    _settle(r, t, s)
            for r in range(t.n_populations):
                if t.readings[r, N_DIRTY] > 0:
                    _test(r, t, s)
        if _watch(t, s):
            s.now[STATUS] = DECIDED
        elif s.now[N_WAITING] == 0 and not _next_stage(t, s):
            s.now[STATUS] = DONE
            if t.readout >= 0 and t.readings[t.readout, N_DIRTY] > 0:
                _listen(t, s)
