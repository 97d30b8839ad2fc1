"""The asynchronous mode, slow and obvious: after each micro-step everything is worked out again from what was sent.

The synchronous handlers are functions of the events that reached them, whatever their order; so the current that a
population sees after some deliveries is what they make of exactly these. Nothing here is incremental, no place is
skipped, nobody sleeps; the queue is a list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evsim.arithmetic.precision import FLOAT
from evsim.engine.network import INPUT, Network
from evsim.engine.spikes import Spikes
from evsim.handlers.acts import Kind


@dataclass
class Done:
    """What a run did: (source, step) -> Spikes and the order of each, logits by step, deliveries, the last change."""

    sent: dict = field(default_factory=dict)
    order: dict = field(default_factory=dict)
    logits: list = field(default_factory=list)
    deliveries: int = 0
    withdrawn: int = 0
    last_change: int = 0


def run(network: Network, recording, how) -> Done:
    """A whole recording."""
    network.reset()
    neurons = [Neurons(p, network.precision == FLOAT) for p in network.populations()]
    done, total, random = Done(), np.zeros(network.readout.n_inputs), SplitMix(how.seed)
    best = [-1]
    for step, spikes in enumerate(recording):
        logits = Step(network, neurons, spikes, how, random, done, total, best).play(step)
        done.logits.append(logits)
        total = total + logits.astype(np.float64)
    return done


def _told(handler, spikes):
    """A pool or an attention takes sets of neurons: a second spike of one is absorbed."""
    counts = handler.asynchronous().kind in (Kind.PROJECT, Kind.PASS, Kind.MEAN_SPIKES)
    return spikes if counts else Spikes(spikes.address)


class SplitMix:
    """splitmix64 by Steele, Lea and Flood (OOPSLA 2014), in Python's whole numbers."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return ((z ^ (z >> 31)) >> 11) % n


class Neurons:
    """One population: H = V + rate (X + bias - leak (V - v_reset)) of all neurons."""

    def __init__(self, population, is_float):
        self.name, self.is_float, self.bias = population.name, is_float, population.bias
        self.constants = population.constants_of_charge
        self.v_threshold, self.steps, self.rests = population.thresholds, population.steps, population.rests
        self.v = np.full((population.current.n_places, self.bias.size), self.v_reset)

    @property
    def v_reset(self):
        return self.constants[1] if self.is_float else np.int64(self.constants[1])

    def begin(self, is_late):
        self.bias_now = np.minimum(self.bias, 0) if is_late else self.bias
        self.is_reset = np.zeros(self.v.shape, bool)
        self.base = np.zeros(self.v.shape, self.v.dtype)
        self.n_fired = np.zeros(self.v.size, int)
        self.waits = np.zeros(self.v.size, bool)

    def rouse(self):
        """The positive biases act; after a spike they come too late for it."""
        self.base = np.where(self.is_reset, self.base - np.maximum(self.bias, 0), self.base)
        self.bias_now = self.bias

    def h(self, x):
        """x without bias, [n_places, n_channels]"""
        x = x.astype(self.v.dtype)
        return np.where(self.is_reset, self.charge(self.v_reset, x - self.base), self.charge(self.v, x + self.bias_now))

    def charge(self, v, x):
        _, v_reset, rate, last = self.constants
        if self.is_float:
            return v + (x - last * (v - v_reset)) * rate
        return v + (((x - v) * rate) >> last)

    def end(self, x, how):
        self.bias_now = self.bias
        h = self.h(x)
        self.v = h if how.after_spike == "keep" else np.where(self.is_reset, self.v_reset, h)


class Step:
    """One time step; a spike that waits is (population, address), one of the input (-1, its number)."""

    def __init__(self, network, neurons, spikes, how, random, done, total, best):
        self.network, self.neurons, self.spikes, self.how = network, neurons, spikes, how
        self.random, self.done, self.total, self.best = random, done, total, best
        self.is_layer = how.schedule == "layer"
        self.queue: list = []  # (spike, potential at the moment of crossing), in the order of arrival
        self.order: dict = {}
        self.delivered = {n.name: {} for n in neurons}
        self.input: dict = {}

    def play(self, step):
        is_late = self.how.bias == "late"
        for n in self.neurons:
            n.begin(is_late)
        self.look()
        if not self.is_layer:
            self.test(range(len(self.neurons)))
        self.enter()
        self.look()
        stage = 0
        if not self.is_layer:
            self.test(range(len(self.neurons)))
        while True:
            group = self.choose()
            if group:
                for spike in group:
                    self.deliver(spike)
                self.look()
                if not self.is_layer:
                    self.test(range(len(self.neurons)))
            elif not self.queue:
                if stage == len(self.neurons):
                    break
                if is_late:
                    self.neurons[stage].rouse()
                    self.h = {}
                if is_late or self.is_layer:
                    self.test([stage])
                stage += 1
        return self.close(step)

    def enter(self):
        payload = self.spikes.payload
        if payload is not None and payload.dtype == np.float32:
            for k in range(len(self.spikes)):
                self.order[-1, k] = len(self.order)
                self.input[k] = payload[k]
            self.done.deliveries += len(self.spikes)
        else:
            self.queue += [((-1, k), np.inf) for k in range(len(self.spikes))]

    def currents(self):
        """x of each population, and the logits, as the synchronous handlers make them of what was delivered."""
        for handler in self.network.handlers:
            handler.reset()
        sent, x, populations = {}, [], self.network.populations()
        payload = self.spikes.payload
        kind = np.int32 if payload is None else payload.dtype
        here = sorted(self.input)
        sent[INPUT] = Spikes(self.spikes.address[here], np.array([self.input[k] for k in here], kind))
        for handler, ports in zip(self.network.handlers, self.network.sources, strict=True):
            if handler in populations:
                x.append(handler.current.rows(0).value.copy())
                told = self.delivered[handler.name]
                address = np.array(sorted(told), np.int32)
                payload = np.array([told[a] for a in sorted(told)], np.int32)
                sent[handler.name] = Spikes(address, None if (payload == 1).all() else payload)
                continue
            inbox = {port: _told(handler, sent[source]) for port, source in ports.items() if len(sent[source])}
            if inbox or getattr(handler, "wakers", ()):
                sent[handler.name], _ = handler.handle(0, inbox)
            else:
                sent[handler.name] = Spikes.none()
        return x, self.network.readout.logits_by_step(1)[0]

    def look(self):
        """What everybody sees now."""
        self.x, self.logits = self.currents()
        self.h = {}
        best = int(np.argmax(self.total + self.logits))
        if best != self.best[0]:
            self.best[0], self.done.last_change = best, self.done.deliveries

    def test(self, populations):
        for p in populations:
            n = self.neurons[p]
            h = n.h(self.x[p])
            ready = (h >= n.v_threshold) & ~n.waits.reshape(h.shape)
            ready &= ~n.is_reset | self.how.refire
            for i in np.flatnonzero(ready):
                c = i % n.bias.size
                self.queue.append(((p, int(i)), float(h.reshape(-1)[i]) * n.steps[c] + n.rests[c]))
                n.waits[i] = True
                if self.is_layer or self.how.commit == "crossing":
                    self.reset(p, i)

    def reset(self, p, i):
        n = self.neurons[p]
        place = np.unravel_index(i, n.v.shape)
        n.is_reset[place], n.base[place] = True, self.x[p][place]

    def choose(self):
        group = []
        while self.queue and len(group) < self.how.group_size:
            p, i = spike = self.next()
            if p >= 0:
                n = self.neurons[p]
                n.waits[i] = False
                if not (self.is_layer or self.how.commit == "crossing"):
                    if p not in self.h:  # what is chosen meanwhile changes nothing for those that are not
                        self.h[p] = n.h(self.x[p]).reshape(-1)
                    if self.h[p][i] < n.v_threshold[i % n.bias.size]:
                        self.done.withdrawn += 1
                        continue
                    self.reset(p, i)
            self.order[p, i, len(self.order)] = len(self.order)
            group.append(spike)
        return group

    def next(self):
        if self.how.schedule in ("layer", "fifo"):
            return self.queue.pop(0)[0]
        ranks = {
            "momentum": lambda k: -self.queue[k][1],
            "depth": lambda k: self.queue[k][0][0],
        }
        if self.how.schedule == "random":
            place = self.random.below(len(self.queue))
            # the last takes the place of the one that goes
            self.queue[place], self.queue[-1] = self.queue[-1], self.queue[place]
            return self.queue.pop()[0]
        return self.queue.pop(min(range(len(self.queue)), key=ranks[self.how.schedule]))[0]

    def deliver(self, spike):
        p, i = spike
        self.done.deliveries += 1
        if p < 0:
            self.input[i] = 1 if self.spikes.payload is None else self.spikes.payload[i]
            return
        n = self.neurons[p]
        n.n_fired[i] += 1
        self.delivered[n.name][i] = self.delivered[n.name].get(i, 0) + 1

    def close(self, step):
        assert not self.queue
        first = {}
        for (p, i, *_), place in self.order.items():
            first.setdefault((p, i), place)
        for p, n in enumerate(self.neurons):
            here = np.flatnonzero(n.n_fired)
            payload = n.n_fired[here].astype(np.int32)
            self.done.sent[n.name, step] = Spikes(here.astype(np.int32), payload if (payload > 1).any() else None)
            self.done.order[n.name, step] = [first[p, int(i)] for i in here]
            n.end(self.x[p], self.how)
        self.done.order[INPUT, step] = [first[-1, k] for k in range(len(self.spikes))]
        return self.logits
