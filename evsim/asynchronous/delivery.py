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
from evsim.asynchronous.products import multiply, multiply_map
from evsim.asynchronous.relays import (
    coincide,
    count_branch,
    dilate,
    mean_spikes,
    pass_gate,
    pass_on,
    pool,
    sum_tokens,
)
from evsim.asynchronous.spread import project, spread
from evsim.handlers.acts import Kind

__all__ = ["deliver", "emit", "inject"]

_PROJECT, _POOL, _DILATE, _COINCIDE = int(Kind.PROJECT), int(Kind.POOL), int(Kind.DILATE), int(Kind.COINCIDE)
_GATE, _SUM_TOKENS, _PASS, _MULTIPLY = int(Kind.GATE), int(Kind.SUM_TOKENS), int(Kind.PASS), int(Kind.MULTIPLY)
_MULTIPLY_MAP, _MEAN_SPIKES = int(Kind.MULTIPLY_MAP), int(Kind.MEAN_SPIKES)


@kernel(error_model="numpy", forceinline=True)
def _reach(h, port, address, payload, t, s):
    """What a handler that is no projection does with one event."""
    kind = t.acts[h, KIND]
    if kind == _POOL:
        pool(h, address, t, s)
    elif kind == _DILATE:
        dilate(h, address, t, s)
    elif kind == _COINCIDE:
        coincide(h, port, address, t, s)
    elif kind == _GATE:
        pass_gate(h, port, address, t, s)
    elif kind == _SUM_TOKENS:
        sum_tokens(h, address, t, s)
    elif kind == _PASS:
        count_branch(h, port, s)
        pass_on(h, address, payload, s)
    elif kind == _MULTIPLY:
        multiply(h, port, address, t, s)
    elif kind == _MULTIPLY_MAP:
        multiply_map(h, address, t, s)
    elif kind == _MEAN_SPIKES:
        mean_spikes(h, address, payload, t, s)
    else:  # a barrier: it is called at the end of the step, with all that came
        s.sums[t.acts[h, SUMS_AT] + t.acts[h, NUMBERS + port] + address] += payload
        t.acts[h, HAS_SPIKED] = 1


@kernel(error_model="numpy", forceinline=True)
def _to_all(source, address, payload, t, s):
    """The event to every handler that listens, then what those passed on, in the order in which they did."""
    s.relayed[0, 0], s.relayed[0, 1], s.relayed[0, 2] = source, address, payload
    s.now[N_RELAYED] = 1
    done = 0
    while done < s.now[N_RELAYED]:
        source, address, payload = s.relayed[done, 0], s.relayed[done, 1], s.relayed[done, 2]
        done += 1
        for route in range(t.acts[source, ROUTE_AT], t.acts[source, ROUTE_END]):
            h, port = t.routes[route, 0], t.routes[route, 1]
            s.counts[h, EVENTS_IN] += 1
            if t.acts[h, KIND] == _PROJECT:
                project(h, address, payload, t, s)
            else:
                _reach(h, port, address, payload, t, s)


@kernel(error_model="numpy", forceinline=True)
def deliver(e, t, s):
    """Deliver spike e: a neuron's, or an input event's."""
    s.now[DELIVERIES] += 1
    if e < t.n_neurons:
        r = t.population_of[e]
        _to_all(t.readings[r, OWNER], e - t.readings[r, X_AT], 1, t, s)
        return
    k = e - t.n_neurons
    source = t.acts.shape[0] - 1
    for route in range(t.acts[source, ROUTE_AT], t.acts[source, ROUTE_END]):
        s.counts[t.routes[route, 0], QUEUE_OPS] += 1
    _to_all(source, s.inputs[k, 0], s.inputs[k, 1], t, s)


@kernel(error_model="numpy")
def emit(h, address, payload, t, s):
    """What a handler behind a barrier sent, one event after the other."""
    for k in range(address.size):
        _to_all(h, address[k], payload[k], t, s)


@kernel(error_model="numpy")
def inject(h, value, touched, t, s):
    """What a handler behind a barrier, or a real-valued image, added to its current: value [n_places, n_channels]."""
    flat = value.reshape(-1)
    for place in range(touched.size):
        if touched[place]:
            spread(h, place, 0, flat, place * value.shape[1], value.shape[1], t, s)
