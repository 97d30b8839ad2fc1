"""One time step without a barrier: choose F of the spikes that wait, deliver them, test what they touched; repeat.

    settle    pools and means of currents, classifiers and maps pass on their change, in the order of the stages
    test      the touched places, by stage and address: a neuron at threshold that does not wait yet begins to
    choose    the schedule takes F spikes from the queue; all are chosen, and their neurons reset, before one is sent
    deliver   each adds to the membranes of its targets

Neurons that become ready in one micro-step stand in the queue by stage, then by address, so that the order is one of
the network and not of the code. When nothing waits, the next stage that has waited for quiescence acts: a population
whose positive biases are late, a handler with a barrier, with the schedule `layer` every one. The step ends when none
is left.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    ACT_SIZE,
    ALONE_AT,
    ALONE_END,
    AT_BARRIER,
    BEST,
    BIAS_AT,
    BUCKET,
    CARRIED,
    COMPARISONS,
    CURSOR,
    DECIDED,
    DELIVERIES,
    DONE,
    EVENTS_OUT,
    FIRST_WORD,
    HAS_SPIKED,
    HOT,
    IS_DRIVEN,
    IS_HOT,
    KIND,
    LAST_CHANGE,
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
    READING_SIZE,
    READS_AS,
    RUNNING,
    STATUS,
    STEP,
    STRIDE,
    WITHDRAWN,
    X_AT,
)
from evsim.asynchronous.delivery import deliver
from evsim.asynchronous.loop_kernel import loop_kernel
from evsim.asynchronous.machine import machine
from evsim.asynchronous.membranes import begin_step, is_ready, need_of, potential, reset_neuron, rouse, wake
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


@loop_kernel(error_model="numpy", forceinline=True)
def _start_waiting(i, r, j, m):
    """Neuron i is at threshold: its spike enters the queue."""
    owner = m.readings[r + OWNER]
    at = 2 * (m.readings[r + BIAS_AT] + j)
    key = np.float64(potential(i, r, j, m)) * m.real[at] + m.real[at + 1] if m.needs_key else 0.0
    m.flags[i] |= QUEUED
    m.acts[owner + QUEUE_OPS] += 1
    if m.commits_at_crossing:
        reset_neuron(i, r, j, m)
    else:
        m.need[i] = m.never  # until its turn comes: what reaches it meanwhile has nothing to find out
    push(i, m.readings[r + BUCKET], key, m)


@loop_kernel(error_model="numpy")
def _collect(r, m):
    """Test every neuron that may be ready: of touched places all, of others those that need no event."""
    n, at, p, owner = m.readings[r + N_CHANNELS], m.readings[r + X_AT], m.readings[r + PLACE_AT], m.readings[r + OWNER]
    first, end = m.readings[r + ALONE_AT], m.readings[r + ALONE_END]
    for place in range(m.readings[r + N_PLACES]):
        if m.places[p + place] == m.now[STEP]:
            m.acts[owner + COMPARISONS] += n
            for j in range(n):
                i = at + place * n + j
                if m.flags[i] & QUEUED == 0 and is_ready(i, r, j, m):
                    _start_waiting(i, r, j, m)
        else:
            m.acts[owner + COMPARISONS] += end - first
            for k in range(first, end):
                i = at + place * n + m.lists[k]
                if m.flags[i] & QUEUED == 0 and is_ready(i, r, m.lists[k], m):
                    _start_waiting(i, r, m.lists[k], m)
    _clear_dirty(r, m)


@loop_kernel(error_model="numpy", forceinline=True)
def _clear_dirty(r, m):
    at = m.readings[r + PLACE_AT]
    for k in range(m.readings[r + N_DIRTY]):
        m.dirty[at + m.listed[at + k]] = 0
    m.readings[r + N_DIRTY] = 0
    m.readings[r + IS_HOT] = 0


@loop_kernel(error_model="numpy", forceinline=True)
def _test_place(r, place, m):
    n = m.readings[r + N_CHANNELS]
    at = m.readings[r + X_AT] + place * n
    for j in range(n):
        if m.x[at + j] >= m.need[at + j] and m.flags[at + j] & QUEUED == 0 and is_ready(at + j, r, j, m):
            _start_waiting(at + j, r, j, m)


@loop_kernel(error_model="numpy", forceinline=True)
def _test(r, m):
    """The touched places of a population, in the order of their addresses."""
    at, n = m.readings[r + PLACE_AT], m.readings[r + N_DIRTY]
    m.acts[m.readings[r + OWNER] + COMPARISONS] += n * m.readings[r + N_CHANNELS]
    if m.readings[r + IS_HOT]:
        if n <= _FEW:
            for k in range(1, n):
                place, before = m.listed[at + k], k - 1
                while before >= 0 and m.listed[at + before] > place:
                    m.listed[at + before + 1] = m.listed[at + before]
                    before -= 1
                m.listed[at + before + 1] = place
            for k in range(n):
                if m.dirty[at + m.listed[at + k]] & HOT:
                    _test_place(r, m.listed[at + k], m)
        else:
            for place in range(m.readings[r + N_PLACES]):
                if m.dirty[at + place] & HOT:
                    _test_place(r, place, m)
    _clear_dirty(r, m)


@loop_kernel(error_model="numpy")
def _settle(r, m):
    """What stands between two currents passes on its change."""
    kind = m.readings[r + READS_AS]
    if kind == _POOL_CURRENT:
        pool_currents(r, m)
    elif kind == _MEAN:
        mean(r, m)
    elif kind == _CLASSIFY:
        classify(r, m)
    elif kind == _MULTIPLY_MAP:
        change_map(r, m)
    elif kind == _BARRIER:
        m.acts[m.readings[r + OWNER] + HAS_SPIKED] = 1  # its dirty places are what it will be told of
        return
    else:
        return
    _clear_dirty(r, m)


@loop_kernel(error_model="numpy", forceinline=True)
def _choose(m):
    """Take up to F spikes that are to be sent; those that fell below their threshold are withdrawn."""
    n = 0
    while n < m.group_size and m.now[N_WAITING] > 0:
        e = pop(m)
        if e < m.n_neurons:
            r = np.int64(m.population_of[e])
            owner = m.readings[r + OWNER]
            m.flags[e] &= 255 - QUEUED  # of eight bits
            m.acts[owner + QUEUE_OPS] += 1
            if not m.commits_at_crossing:
                m.acts[owner + COMPARISONS] += 1
                j = (e - m.readings[r + X_AT]) % m.readings[r + N_CHANNELS]
                if potential(e, r, j, m) < m.threshold[m.readings[r + BIAS_AT] + j]:
                    m.now[WITHDRAWN] += 1
                    m.need[e] = need_of(e, r, j, m)
                    continue
                reset_neuron(e, r, j, m)
            m.acts[owner + EVENTS_OUT] += 1
            if m.neurons[e * 2 + N_FIRED] == 0:
                m.neurons[e * 2 + ORDER_OF] = m.now[ORDER]
            m.neurons[e * 2 + N_FIRED] += 1
        else:
            m.inputs[(e - m.n_neurons) * 3 + 2] = m.now[ORDER]
        m.now[ORDER] += 1
        m.group[n] = e
        n += 1
    m.now[N_GROUP] = n
    return n


@loop_kernel(error_model="numpy", forceinline=True)
def _send(n, m):
    for k in range(n):
        e = m.group[k]
        deliver(e, m)
        if m.refires and m.commits_at_crossing and e < m.n_neurons:  # what came while it waited may be enough again
            r = np.int64(m.population_of[e])
            touch(r, (e - m.readings[r + X_AT]) // m.readings[r + N_CHANNELS], True, m)


@loop_kernel(error_model="numpy")
def _sample(m):
    """Keep the logits at even distances; when the list is full, every second goes and the distance doubles."""
    n, width = m.now[N_CURVE], m.n_curve_columns
    if n == m.most_points:
        n //= 2
        for k in range(n):
            for column in range(width):
                m.curve[k * width + column] = m.curve[2 * k * width + column]
        m.now[STRIDE] *= 2
    m.curve[n * width] = m.now[DELIVERIES]
    at = m.readings[m.readout + X_AT]
    for k in range(m.n_classes):
        m.curve[n * width + 1 + k] = m.logits[k] + m.x[at + k] * m.logit_unit
    m.now[N_CURVE] = n + 1


@loop_kernel(error_model="numpy")
def _listen(m):
    """The class of the readout, when it has received something."""
    at, best = m.readings[m.readout + X_AT], 0
    for k in range(1, m.n_classes):
        here = m.logits[k] + m.x[at + k] * m.logit_unit
        if here > m.logits[best] + m.x[at + best] * m.logit_unit:
            best = k
    if best != m.now[BEST]:
        m.now[BEST] = best
        m.now[LAST_CHANGE] = m.now[DELIVERIES]
    if m.readings[m.readout + N_DIRTY] > 0:
        if m.now[FIRST_WORD] < 0:
            m.now[FIRST_WORD] = m.now[DELIVERIES]
        _clear_dirty(m.readout, m)


@loop_kernel(error_model="numpy", forceinline=True)
def _watch(m):
    """The readout and the curve; returns whether the decision has stood long enough."""
    if m.readout >= 0:
        if m.readings[m.readout + N_DIRTY] > 0:
            _listen(m)
        if m.keeps_curve and (
            m.now[N_CURVE] == 0
            or m.now[DELIVERIES] - m.curve[(m.now[N_CURVE] - 1) * m.n_curve_columns] >= m.now[STRIDE]
        ):
            _sample(m)
    if m.patience <= 0 or m.now[FIRST_WORD] < 0:
        return False
    return m.now[DELIVERIES] - max(m.now[LAST_CHANGE], m.now[FIRST_WORD]) >= m.patience


@loop_kernel(error_model="numpy")
def _next_stage(m):
    """Nothing waits: the next stage that has waited for that. Returns False when the step is over."""
    while m.now[CURSOR] < m.end_of_handlers:
        h = m.now[CURSOR]
        kind, r = m.acts[h + KIND], m.acts[h + READING]
        m.now[CURSOR] += ACT_SIZE
        if kind == _BARRIER:
            if m.acts[h + HAS_SPIKED] or (r >= 0 and m.readings[r + N_DIRTY] > 0):
                m.now[STATUS] = AT_BARRIER
                return True
        elif kind == _FIRE:
            if m.schedule == LAYER:
                _collect(r, m)
            elif m.is_late and m.readings[r + IS_DRIVEN]:
                rouse(r, m)
                _collect(r, m)
        elif m.schedule == LAYER and r >= 0 and m.readings[r + N_DIRTY] > 0:
            _settle(r, m)
        if m.now[N_WAITING] > 0:
            return True
    return False


@kernel(error_model="numpy")
def enter_step(t, s):
    """Leaks and biases act; ready neurons, then the step's input, enter the queue."""
    m = machine(t, s)
    begin_step(m)
    m.now[CURSOR], m.now[LOWEST], m.now[ORDER], m.now[STATUS] = 0, 0, 0, RUNNING
    for h in range(0, m.end_of_handlers, ACT_SIZE):
        if m.acts[h + KIND] == _MULTIPLY_MAP:
            prepare_map(h, m)
    for k in range(m.now[CARRIED]):
        wake(m.carried[k * 2], m.carried[k * 2 + 1], m)
        touch(m.carried[k * 2], m.carried[k * 2 + 1], True, m)
    if m.schedule != LAYER:
        for r in range(0, m.end_of_populations, READING_SIZE):
            if not m.is_late and m.readings[r + ALONE_END] > m.readings[r + ALONE_AT]:
                _collect(r, m)
            elif m.readings[r + N_DIRTY] > 0:
                _test(r, m)
    for k in range(m.now[N_INPUTS]):
        push(m.n_neurons + k, 0, np.inf, m)
    if m.readout >= 0:
        _listen(m)


@kernel(error_model="numpy")
def run_step(t, s):
    """Micro-steps until nothing waits and no stage is left, or a barrier or the decision is reached: see STATUS."""
    m = machine(t, s)
    m.now[STATUS] = RUNNING
    while m.now[STATUS] == RUNNING:
        if m.schedule != LAYER:
            for r in range(m.end_of_populations, m.end_of_readings, READING_SIZE):
                if m.readings[r + N_DIRTY] > 0:
                    _settle(r, m)
            for r in range(0, m.end_of_populations, READING_SIZE):
                if m.readings[r + N_DIRTY] > 0:
                    _test(r, m)
        if _watch(m):
            m.now[STATUS] = DECIDED
            return
        n = _choose(m)
        if n > 0:
            _send(n, m)
            m.now[MICRO_STEPS] += 1
        elif m.now[N_WAITING] == 0 and not _next_stage(m):
            m.now[STATUS] = DONE
            if m.readout >= 0 and m.readings[m.readout + N_DIRTY] > 0:
                _listen(m)
