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

from evsim.asynchronous.columns import LOWEST, MOST_WAITING, N_WAITING, RANDOM_STATE, SEQUENCE
from evsim.asynchronous.loop_kernel import loop_kernel

__all__ = ["DEPTH", "FIFO", "LAYER", "MOMENTUM", "RANDOM", "pop", "push"]

LAYER, DEPTH, FIFO, RANDOM, MOMENTUM = range(5)
"""In the order of `evsim.asynchronous.options.SCHEDULES`."""


@loop_kernel(error_model="numpy", forceinline=True)
def push(e, bucket, key, m):
    """Let spike e wait; `bucket` is its stage (0: the input), `key` its potential."""
    n = m.now[N_WAITING]
    m.now[N_WAITING] += 1
    m.now[MOST_WAITING] = max(m.now[MOST_WAITING], n + 1)
    if m.schedule == RANDOM:
        m.waiting[n] = e
    elif m.schedule == MOMENTUM:
        m.now[SEQUENCE] += 1
        _sift_up(m.heap_key, m.heap_sequence, m.waiting, n, -key, m.now[SEQUENCE], e)
    else:
        b = bucket if m.schedule == DEPTH else 0
        if m.buckets[b * 2] < 0:
            m.buckets[b * 2] = e
        else:
            m.waiting[m.buckets[b * 2 + 1]] = e
        m.buckets[b * 2 + 1] = e
        m.waiting[e] = -1
        m.now[LOWEST] = min(m.now[LOWEST], b)


@loop_kernel(error_model="numpy", forceinline=True)
def pop(m):
    """The spike whose turn it is; there must be one."""
    m.now[N_WAITING] -= 1
    n = m.now[N_WAITING]
    if m.schedule == RANDOM:
        place = _draw(m.now, n + 1)
        e = m.waiting[place]
        m.waiting[place] = m.waiting[n]
        return e
    if m.schedule == MOMENTUM:
        return _pop_heap(m.heap_key, m.heap_sequence, m.waiting, n)
    b = m.now[LOWEST]
    while m.buckets[b * 2] < 0:
        b += 1
    m.now[LOWEST] = b
    e = m.buckets[b * 2]
    m.buckets[b * 2] = m.waiting[e]
    return e


@loop_kernel
def _draw(now, n):
    """A whole number below n: splitmix64, the same on every machine."""
    z = np.uint64(now[RANDOM_STATE]) + np.uint64(0x9E3779B97F4A7C15)
    now[RANDOM_STATE] = np.int64(z)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.int64((z >> np.uint64(11)) % np.uint64(n))


@loop_kernel
def _sift_up(keys, sequences, items, n, key, sequence, item):
    place = n
    while place > 0:
        parent = (place - 1) >> 1
        if keys[parent] <= key:  # equal keys: the one that is there came first
            break
        keys[place], sequences[place], items[place] = keys[parent], sequences[parent], items[parent]
        place = parent
    keys[place], sequences[place], items[place] = key, sequence, item


@loop_kernel
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
