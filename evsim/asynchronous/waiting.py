"""Waiting: the queue of individual spikes, for the whole network, and the order in which they leave it.

A spike that waits is a number: that of its neuron, or the number of neurons plus that of an input event. A neuron has
one spike in the queue at most, so the queue is never longer than the neurons and the input events of a step.

    layer, fifo    one list, first in first out
    depth          a list a stage, the shallowest first
    random         an array, any place of it
    momentum       a heap: the largest potential first, then first in first out
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import LOWEST, MOST_WAITING, N_WAITING, RANDOM_STATE, SEQUENCE

__all__ = ["DEPTH", "FIFO", "LAYER", "MOMENTUM", "RANDOM", "pop", "push"]

LAYER, DEPTH, FIFO, RANDOM, MOMENTUM = range(5)
"""In the order of `evsim.asynchronous.options.SCHEDULES`."""


@kernel(error_model="numpy", forceinline=True)
def push(e, bucket, key, t, s):
    """Let spike e wait; `bucket` is its stage (0: the input), `key` its potential."""
    n = s.now[N_WAITING]
    s.now[N_WAITING] += 1
    s.now[MOST_WAITING] = max(s.now[MOST_WAITING], n + 1)
    if t.schedule == RANDOM:
        s.waiting[n] = e
    elif t.schedule == MOMENTUM:
        s.now[SEQUENCE] += 1
        _sift_up(s.heap_key, s.heap_sequence, s.waiting, n, -key, s.now[SEQUENCE], e)
    else:
        b = bucket if t.schedule == DEPTH else 0
        if s.buckets[b, 0] < 0:
            s.buckets[b, 0] = e
        else:
            s.waiting[s.buckets[b, 1]] = e
        s.buckets[b, 1] = e
        s.waiting[e] = -1
        s.now[LOWEST] = min(s.now[LOWEST], b)


@kernel(error_model="numpy", forceinline=True)
def pop(t, s):
    """The spike whose turn it is; there must be one."""
    s.now[N_WAITING] -= 1
    n = s.now[N_WAITING]
    if t.schedule == RANDOM:
        place = _draw(s.now, n + 1)
        e = s.waiting[place]
        s.waiting[place] = s.waiting[n]
        return e
    if t.schedule == MOMENTUM:
        return _pop_heap(s.heap_key, s.heap_sequence, s.waiting, n)
    b = s.now[LOWEST]
    while s.buckets[b, 0] < 0:
        b += 1
    s.now[LOWEST] = b
    e = s.buckets[b, 0]
    s.buckets[b, 0] = s.waiting[e]
    return e


@kernel
def _draw(now, n):
    """A whole number below n: splitmix64, the same on every machine."""
    z = np.uint64(now[RANDOM_STATE]) + np.uint64(0x9E3779B97F4A7C15)
    now[RANDOM_STATE] = np.int64(z)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.int64((z >> np.uint64(11)) % np.uint64(n))


@kernel
def _sift_up(keys, sequences, items, n, key, sequence, item):
    place = n
    while place > 0:
        parent = (place - 1) >> 1
        if keys[parent] <= key:  # equal keys: the one that is there came first
            break
        keys[place], sequences[place], items[place] = keys[parent], sequences[parent], items[parent]
        place = parent
    keys[place], sequences[place], items[place] = key, sequence, item


@kernel
def _pop_heap(keys, sequences, items, n):
    """The first item of a heap of n + 1."""
    first = items[0]
    key, sequence, item = keys[n], sequences[n], items[n]
    place = 0
    while 2 * place + 1 < n:
        child = 2 * place + 1
        if child + 1 < n and (keys[child + 1], sequences[child + 1]) < (keys[child], sequences[child]):
            child += 1
        if (key, sequence) <= (keys[child], sequences[child]):
            break
        keys[place], sequences[place], items[place] = keys[child], sequences[child], items[child]
        place = child
    keys[place], sequences[place], items[place] = key, sequence, item
    return first
