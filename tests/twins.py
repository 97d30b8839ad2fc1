"""Which slow twin belongs to which handler, and a whole network run again on dense arrays.

To add a handler, write one function and name its type:

    @twin_of(MyHandler)
    def _my_handler(handler, step, inbox, currents, memory):
        x = dense(inbox, "spikes", handler.n_inputs)
        ...
        return out, counts          # a flat dense array (or None: it sends no spikes) and an OpCounts

The twin runs at every step, called or not; a port that is silent is missing from its inbox. It reads and writes the
dense currents of the step with ``currents.at(current, step)`` and keeps what must last in the dict `memory`. It may
read a handler's parameters, never its arrays of state. `events_in`, `events_out` and `queue_ops` are counted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.dssa import MapProduct, ValueProduct
from evsim.handlers.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.dilation import PlaneDilation
from evsim.handlers.neurons import Population
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout, RealLinear, TokenMean
from evsim.handlers.spike_sum import SpikeMean, SpikeSum
from tests import naive, naive_dssa

TWINS = {}


def twin_of(kind):
    """Register the twin of a type of handler."""

    def register(function):
        TWINS[kind] = function
        return function

    return register


def dense(inbox, port, size):
    """The events of a port as a flat array of `size` places; zeros when nothing arrived."""
    return inbox.get(port, Spikes.none()).to_dense(size)


@dataclass
class DenseRows:
    """The current of one step without its bias: `value` float64 [n_places, n_channels], `touched` bool [n_places].

    `cause`: the real-valued spikes (a still image, perhaps) that the first writer made it from.
    """

    value: np.ndarray
    touched: np.ndarray
    cause: Spikes | None = None


class DenseCurrents:
    """The dense twin of every `Current`, by step."""

    def __init__(self):
        self._rows = {}

    def at(self, current, step):
        """The rows of `current` at `step`, zero at first."""
        shape = (current.n_places, current.n_channels)
        return self._rows.setdefault((id(current), step), DenseRows(np.zeros(shape), np.zeros(shape[0], bool)))


class Recorder:
    """A probe that keeps everything; a handler may show itself only once a step."""

    def __init__(self):
        self.sent = {}

    def show(self, name, step, spikes):
        assert (name, step) not in self.sent, f"{name} ran twice at step {step}"
        self.sent[name, step] = spikes


@dataclass
class DenseRun:
    """What the twins did.

    rows : (handler, step) -> OpCounts, for every handler the loop has to call
    sent : (source, step) -> Spikes, as the twins computed them (a silent one may be missing)
    memory : handler -> what its twin kept
    """

    rows: dict = field(default_factory=dict)
    sent: dict = field(default_factory=dict)
    memory: dict = field(default_factory=dict)

    def logits_by_step(self, network, n_steps):
        """[n_steps, n_classes]"""
        return np.stack([self.memory[network.readout.name][step] for step in range(n_steps)])


def run(network, recording):
    """The whole network on dense arrays, each twin fed with what the twins before it sent."""
    done = DenseRun(sent={(INPUT, step): spikes for step, spikes in enumerate(recording)})
    return _run(network, len(recording), done.sent, done)


def recount(network, sent, n_steps):
    """Every handler's counts and spikes again, each twin fed with what a `Recorder` saw its sources send."""
    return _run(network, n_steps, sent, DenseRun())


def _run(network, n_steps, sent, done):
    currents = DenseCurrents()
    done.memory.update((handler.name, {}) for handler in network.handlers)
    for step in range(n_steps):
        called = set()
        for handler, ports in zip(network.handlers, network.sources, strict=True):
            spikes = {port: sent.get((source, step), Spikes.none()) for port, source in ports.items()}
            inbox = {port: events for port, events in spikes.items() if len(events)}
            out, counts = TWINS[type(handler)](handler, step, inbox, currents, done.memory[handler.name])
            out = Spikes.none() if out is None else Spikes.from_dense(out)
            done.sent[handler.name, step] = out
            if _is_called(handler, inbox, called):
                called.add(handler.name)
                done.rows[handler.name, step] = counts + _traffic(network, handler.name, inbox, out)
            else:
                assert len(out) == 0, f"{handler.name} has something to send at step {step} but nobody calls it"
    return done


def _is_called(handler, inbox, called):
    """A nonzero event arrived, a writer of the current it reads has run, or a bias alone makes it fire."""
    return bool(inbox) or not called.isdisjoint(getattr(handler, "wakers", ())) or _fires_alone(handler)


def _fires_alone(handler):
    if type(handler) is Population:
        return bool(neurons_of(handler).fires_alone().any())
    return getattr(handler, "wakes_itself", False)


def _traffic(network, name, inbox, out):
    delivered = sum(map(len, inbox.values()))
    n_edges = sum(list(ports.values()).count(name) for ports in network.sources)
    n_edges += sum(name in getattr(handler, "wakers", ()) for handler in network.handlers)
    return OpCounts(events_in=delivered, events_out=len(out), queue_ops=delivered + len(out) * n_edges)


# --- one twin a handler -----------------------------------------------------------------------------------------------


@twin_of(Conv2d)
def _conv2d(handler, step, inbox, currents, memory):
    window = handler.window
    x = dense(inbox, "spikes", handler.n_inputs).reshape(window.height, window.width, handler.n_in)
    geometry = (window.stride, window.padding, handler.groups, window.dilation)
    weight = handler.weight
    counts, reached = naive.conv2d_counts(x, weight.shape, *geometry)
    rows = currents.at(handler.current, step)
    add_rows(rows, naive.conv2d(x, weight, *geometry), reached)
    return None, _unless_held(
        _cause(handler, inbox, rows), memory, counts, int(reached.sum()) * handler.n_out, handler.current
    )


@twin_of(Linear)
def _linear(handler, step, inbox, currents, memory):
    x = dense(inbox, "spikes", handler.n_inputs).reshape(-1, handler.n_in)
    weight = handler.weight[:, :, 0, 0]
    counts, reached = naive.linear_counts(x, len(weight))
    rows = currents.at(handler.current, step)
    add_rows(rows, naive.linear(x, weight), reached)
    return None, _unless_held(
        _cause(handler, inbox, rows), memory, counts, int(reached.sum()) * handler.n_out, handler.current
    )


def add_rows(rows, value, reached):
    """rows += value, and what was reached is touched."""
    rows.value += value.reshape(rows.value.shape)
    rows.touched |= reached.reshape(-1)


def _cause(handler, inbox, rows):
    """Note in the rows the real-valued spikes that their first writer made them from."""
    spikes = inbox.get("spikes", Spikes.none())
    is_real = spikes.payload is not None and spikes.payload.dtype == np.float32
    rows.cause = spikes if is_real and handler.current.writers[0] == handler.name else None
    return rows.cause


def _unless_held(cause, memory, counts, n_copied, current):
    """What real-valued events made is not computed again when the same object comes a second time in a row."""
    if cause is None:
        return counts
    held, memory["held"] = memory.get("held"), cause
    n_copied *= len(current.writers) > 1  # else every step reads the same words
    return OpCounts(state_reads=n_copied, state_writes=n_copied) if held is cause else counts


def neurons_of(handler):
    """The dense twin of a population, from its parameters."""
    constants = (handler.v_threshold, handler.v_reset, handler.rate, handler.leak)
    return naive.Neurons(handler.current.n_places, handler.bias, *constants)


@twin_of(Population)
def _population(handler, step, inbox, currents, memory):
    neurons = memory.setdefault("neurons", neurons_of(handler))
    rows = currents.at(handler.current, step)
    return neurons.step(rows.value, rows.touched)


@twin_of(SpikeMaxPool)
def _spike_max_pool(handler, step, inbox, currents, memory):
    window = handler.window
    x = dense(inbox, "spikes", handler.n_inputs).reshape(window.height, window.width, -1) != 0
    return naive.spike_max_pool(x, *_pool_of(window))


@twin_of(CurrentMaxPool)
def _current_max_pool(handler, step, inbox, currents, memory):
    window, source = handler.window, currents.at(handler.source, step)
    value = source.value.reshape(window.height, window.width, -1)
    touched = source.touched.reshape(window.height, window.width)
    pooled, reached, counts = naive.current_max_pool(value, touched, *_pool_of(window))
    add_rows(currents.at(handler.target, step), pooled, reached)
    can_hold = len(handler.wakers) == 1 and handler.target.writers[0] == handler.name
    n_copied = int(reached.sum()) * handler.source.n_channels
    return None, _unless_held(source.cause if can_hold else None, memory, counts, n_copied, handler.target)


def _pool_of(window):
    return window.kernel, window.stride, window.padding, window.dilation, window.ceil


@twin_of(PlaneDilation)
def _plane_dilation(handler, step, inbox, currents, memory):
    n_heads = handler.n_channels // handler.head_channels
    x = dense(inbox, "spikes", handler.n_inputs).reshape(-1, n_heads, handler.head_channels) != 0
    return naive.plane_dilation(x)


@twin_of(Coincidence)
def _coincidence(handler, step, inbox, currents, memory):
    k, v = (dense(inbox, port, handler.n_inputs // 2) != 0 for port in "kv")
    return naive.coincidence(k, v)


@twin_of(TokenSum)
def _token_sum(handler, step, inbox, currents, memory):
    x = dense(inbox, "spikes", handler.n_inputs).reshape(-1, handler.current.n_channels) != 0
    total, counts = naive.token_sum(x)
    add_rows(currents.at(handler.current, step), total, x.any(keepdims=True))
    return None, counts


@twin_of(Gate)
def _gate(handler, step, inbox, currents, memory):
    n_channels = handler.n_channels
    q = dense(inbox, "q", handler.n_inputs - n_channels).reshape(-1, n_channels) != 0
    return naive.gate(q, dense(inbox, "gate", n_channels) != 0)


@twin_of(TokenMean)
def _token_mean(handler, step, inbox, currents, memory):
    source = currents.at(handler.source, step)
    mean, counts = naive.token_mean(source.value, source.touched)
    add_rows(currents.at(handler.target, step), mean, source.touched.any(keepdims=True))
    return None, counts


@twin_of(MapProduct)
@twin_of(ValueProduct)
def _dual_product(handler, step, inbox, currents, memory):
    n_heads, n_tokens = handler.scale.size, handler.current.n_places
    x = dense(inbox, "spikes", handler.n_inputs).reshape(n_tokens, n_heads, -1).transpose(1, 2, 0) != 0
    product = naive_dssa.attention_output if handler.half else naive_dssa.attention_map
    value = product(currents.at(handler.y, step).value + handler.bias, x, handler.scale)
    add_rows(currents.at(handler.current, step), value.transpose(2, 0, 1), x.any(axis=(0, 1)))
    bias_half = handler.bias.reshape(n_heads, 2, -1)[:, handler.half]
    return None, naive_dssa.product_counts(x, value.shape[1], bias_half, handler.y.n_places)


@twin_of(Readout)
def _readout(handler, step, inbox, currents, memory):
    memory[step], counts = naive.readout(currents.at(handler.current, step).value[0], handler.bias)
    return None, counts


@twin_of(RealLinear)
def _real_linear(handler, step, inbox, currents, memory):
    source = currents.at(handler.source, step)
    if not source.touched[0]:
        return None, OpCounts()
    logits, counts = naive.real_linear(source.value[0], handler.weight)
    add_rows(currents.at(handler.target, step), logits, np.array([True]))
    return None, counts


@twin_of(SSA)
def _ssa(handler, step, inbox, currents, memory):
    n_places, n_channels = handler.current.n_places, handler.current.n_channels
    q, k, v = (dense(inbox, port, n_places * n_channels).reshape(n_places, n_channels) != 0 for port in "qkv")
    value, reached, counts = naive.ssa(q, k, v, handler.n_heads, float(handler.scale), handler.order)
    add_rows(currents.at(handler.current, step), value, reached)
    return None, counts


@twin_of(SpikeSum)
def _spike_sum(handler, step, inbox, currents, memory):
    return naive.spike_sum(*(dense(inbox, port, handler.n_inputs // 2) for port in ("stream", "branch")))


@twin_of(SpikeMean)
def _spike_mean(handler, step, inbox, currents, memory):
    x = dense(inbox, "spikes", handler.n_inputs).reshape(-1, handler.current.n_channels)
    mean, counts = naive.spike_mean(x)
    add_rows(currents.at(handler.current, step), mean, x.any(keepdims=True).any(axis=1))
    return None, counts


# --- comparing a run with its twin ------------------------------------------------------------------------------------


def assert_same_run(network, result, recorder, expected):
    """The loop called exactly whom it had to, and every spike, count and logit equals the twin's."""
    rows = {(name, step): counts for name, step, counts in result.ledger.rows()}
    assert rows.keys() == expected.rows.keys()
    for (name, step), counts in rows.items():
        sent, twin = recorder.sent[name, step], expected.sent[name, step]
        np.testing.assert_array_equal(sent.address, twin.address, err_msg=f"{name} at step {step}")
        assert counts == expected.rows[name, step], f"{name} at step {step}"
    for name, step in expected.sent.keys() - rows.keys():
        assert name == INPUT or len(expected.sent[name, step]) == 0, f"{name} was not called at step {step}"
    logits = expected.logits_by_step(network, result.n_steps)
    np.testing.assert_allclose(result.logits_by_step, logits, rtol=1e-5, atol=1e-5)


from tests import twins_general  # noqa: E402, F401  (registers its twins)
