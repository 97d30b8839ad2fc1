"""Delivery: one spike to everything that listens to its source, and what passes on within the same delivery."""

from __future__ import annotations

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    DELIVERIES,
    EVENTS_IN,
    HAS_SPIKED,
    KIND,
    N_RELAYED,
    NUMBERS,
    OWNER,
    QUEUE_OPS,
    ROUTE_AT,
    ROUTE_END,
    SUMS_AT,
    X_AT,
)
from evsim.asynchronous.loop_kernel import loop_kernel
from evsim.asynchronous.machine import data, machine
from evsim.asynchronous.products import multiply, multiply_map
from evsim.asynchronous.relays import (
    coincide,
    count_branch,
    dilate,
    mean_spikes,
    pass_gate,
    pass_on,
    pool,
    sum_places,
)
from evsim.asynchronous.spread import project, spread
from evsim.handlers.acts import Kind

__all__ = ["deliver", "emit", "inject"]

_PROJECT, _POOL, _DILATE, _COINCIDE = int(Kind.PROJECT), int(Kind.POOL), int(Kind.DILATE), int(Kind.COINCIDE)
_GATE, _SUM, _PASS, _MULTIPLY = int(Kind.GATE), int(Kind.SUM), int(Kind.PASS), int(Kind.MULTIPLY)
_MULTIPLY_MAP, _MEAN_SPIKES = int(Kind.MULTIPLY_MAP), int(Kind.MEAN_SPIKES)


@loop_kernel(error_model="numpy", forceinline=True)
def _reach(h, port, address, payload, m):
    """What a handler that is no projection does with one event."""
    kind = m.acts[h + KIND]
    if kind == _POOL:
        pool(h, address, m)
    elif kind == _DILATE:
        dilate(h, address, m)
    elif kind == _COINCIDE:
        coincide(h, port, address, m)
    elif kind == _GATE:
        pass_gate(h, port, address, m)
    elif kind == _SUM:
        sum_places(h, address, m)
    elif kind == _PASS:
        count_branch(h, port, m)
        pass_on(h, address, payload, m)
    elif kind == _MULTIPLY:
        multiply(h, port, address, m)
    elif kind == _MULTIPLY_MAP:
        multiply_map(h, address, m)
    elif kind == _MEAN_SPIKES:
        mean_spikes(h, address, payload, m)
    else:  # a barrier: it is called at the end of the step, with all that came
        m.sums[m.acts[h + SUMS_AT] + m.acts[h + NUMBERS + port] + address] += payload
        m.acts[h + HAS_SPIKED] = 1


@loop_kernel(error_model="numpy", forceinline=True)
def _to_all(source, address, payload, m):
    """The event to every handler that listens, then what those passed on, in the order in which they did."""
    m.relayed[0], m.relayed[1], m.relayed[2] = source, address, payload
    m.now[N_RELAYED] = 1
    done = 0
    while done < m.now[N_RELAYED]:
        source, address, payload = m.relayed[done * 3], m.relayed[done * 3 + 1], m.relayed[done * 3 + 2]
        done += 1
        for route in range(m.acts[source + ROUTE_AT], m.acts[source + ROUTE_END]):
            h, port = m.routes[route * 2], m.routes[route * 2 + 1]
            m.acts[h + EVENTS_IN] += 1
            if m.acts[h + KIND] == _PROJECT:
                project(h, address, payload, m)
            else:
                _reach(h, port, address, payload, m)


@loop_kernel(error_model="numpy", forceinline=True)
def deliver(e, m):
    """Deliver spike e: a neuron's, or an input event's."""
    m.now[DELIVERIES] += 1
    if e < m.n_neurons:
        r = m.population_of[e]
        _to_all(m.readings[r + OWNER], e - m.readings[r + X_AT], 1, m)
        return
    k = e - m.n_neurons
    source = m.end_of_handlers
    for route in range(m.acts[source + ROUTE_AT], m.acts[source + ROUTE_END]):
        m.acts[m.routes[route * 2] + QUEUE_OPS] += 1
    _to_all(source, m.inputs[k * 3], m.inputs[k * 3 + 1], m)


@kernel(error_model="numpy")
def emit(h, address, payload, t, s):
    """What a handler behind a barrier sent, one event after the other."""
    m = machine(t, s)
    for k in range(address.size):
        _to_all(h, address[k], payload[k], m)


@kernel(error_model="numpy")
def inject(h, value, touched, t, s):
    """What a handler behind a barrier, or a real-valued image, added to its current: value [n_places, n_channels]."""
    m, n = machine(t, s), value.shape[1]
    for place in range(touched.size):
        if touched[place]:
            spread(h, place, 0, data(value), place * n, n, m)
