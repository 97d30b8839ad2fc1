"""Building: the network under construction; writes sums into currents when they are read, in place where it can."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.graph.graph import Graph
from evsim.graph.lower.producers.others import OfStored
from evsim.graph.lower.producers.producer import Producer
from evsim.graph.lower.readers import Readers
from evsim.graph.lower.values import Events, Real, Stored, Sum, is_permutation, positions
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.views.route import Route

__all__ = ["Building", "channels_last"]

_ONE = np.ones(1)


@dataclass(eq=False)
class _Term:
    """A share of a sum that is written: a producer of its own, or what stands in a current."""

    of: Sum
    at: np.ndarray
    gain: np.ndarray | None
    producer: Producer | None

    @property
    def stored(self) -> Current | None:
        return self.of.stored.current if self.producer is None else None


class Building:
    """What the rules of lowering build with.

    Parameters
    ----------
    graph : Graph
    network : Network
    rates : mapping of str to float
        Spikes per neuron and step of each population, where that was measured.
    as_written : bool
        Whether layers without neurons between them stay apart.
    """

    def __init__(self, graph: Graph, network: Network, rates: Mapping[str, float], as_written: bool) -> None:
        self.graph, self.network, self.rates, self.as_written = graph, network, rates, as_written
        self.readers = Readers(graph)
        self.now = 0
        self.notes: list[str] = []
        self._taken = {INPUT, *graph.neurons()}
        self._routes: dict[tuple, str] = {}
        self._pins: Counter[int] = Counter()

    # ---- handlers

    def name(self, path: str, what: str) -> str:
        """A name nobody has: the module's, where the handler is what the module is; else with what it does."""
        plain = what in ("conv", "pool")
        names = ([path] if plain and path else []) + [f"{path}.{what}" if path else what]
        for n in range(1, 100_000):
            for name in names:
                full = name if n == 1 else f"{name}#{n}"
                if full not in self._taken:
                    self._taken.add(full)
                    return full
        raise AssertionError(path)

    def add(self, handler, spikes: str | None = None, **ports: str) -> str:
        """Append a handler to the network; its name."""
        return self.network.add(handler, spikes, **ports)

    def deliver(self, events: Events, order: np.ndarray, path: str) -> str:
        """A source that sends the events in another order: for each place of the consumer, where it comes from."""
        order = np.ascontiguousarray(order, np.int32).reshape(-1)
        if order.size == events.n_places and np.array_equal(order, positions((order.size,))):
            return events.source
        key = (events.source, order.size, hash(order.tobytes()))
        if key not in self._routes:
            route = Route(self.name(path, "view"), AddressMap(order, events.n_places))
            self._routes[key] = self.add(route, events.source)
        return self._routes[key]

    def pin(self, current: Current) -> None:
        """Somebody will read the current as it is now."""
        self._pins[id(current)] += 1

    def release(self, current: Current) -> None:
        self._pins[id(current)] -= 1

    # ---- sums

    def store(self, real: Real) -> Stored:
        """Where the value stands; it is written now if it was not."""
        of = real.of
        if of.stored is None:
            of.stored = self._write(of)
        at = of.stored.at if real.at is None else _taken(of.stored.at, real.at)
        return Stored(of.stored.current, at)

    def store_alone(self, real: Real, at: np.ndarray, space: tuple[int, int]) -> Current:
        """A current that holds the value and nothing else, at the addresses `at` of `space`.

        What stands there already is taken as it is; else a copy.
        """
        stored = self.store(real)
        current = stored.current
        if (current.n_places, current.n_channels) == space and np.array_equal(stored.at, at):
            return current
        copy = Current(*space)
        self._write_term(_Term(Sum(-1, real.shape, stored=stored), stored.at, None, None), copy, at)
        return copy

    def events_of(self, real: Real) -> Events | None:
        """The value as events, where it is whole numbers times one unit and nothing is added."""
        of = real.of
        if of.sent is None:
            of.sent = self._send(of)
        if of.sent is None:
            return None
        sent = of.sent
        at = sent.at if real.at is None else _taken(sent.at, real.at)
        return replace(sent, at=at)

    def lone_term(self, real: Real) -> tuple[_Term, np.ndarray] | None:
        """The only producer behind a value that is written nowhere, and the constant; None where there are more."""
        terms, constant = self._flatten(real.of, real.of)
        if len(terms) != 1 or terms[0].producer is None:
            return None
        term = terms[0]
        if real.at is not None:
            gain = None if term.gain is None else _taken(np.broadcast_to(term.gain, real.of.shape), real.at)
            constant = _taken(np.broadcast_to(constant, real.of.shape), real.at, 0.0)
            term = _Term(term.of, _taken(term.at, real.at), gain, term.producer)
        return term, constant

    def _send(self, of: Sum) -> Events | None:
        if of.stored is not None:
            return None
        terms, constant = self._flatten(of, of)
        if len(terms) != 1 or terms[0].producer is None or not terms[0].producer.sends or np.any(constant):
            return None
        term = terms[0]
        gain = _uniform(term.gain)
        if gain is None or gain <= 0:
            return None
        sent = term.producer.send(self)
        if sent is None:
            return None
        name, unit = sent
        n_places, n_channels = term.producer.space
        return Events(name, term.at, n_places * n_channels, "I", unit * gain, n_channels=n_channels)

    def _write(self, of: Sum) -> Stored:
        terms, constant = self._flatten(of, of)
        if len(terms) == 1 and terms[0].producer is None and terms[0].gain is None and not np.any(constant):
            return Stored(terms[0].stored, terms[0].at)
        base = self._base(of, terms)
        if base is not None:
            current, at = base.stored, base.at
            rest = [term for term in terms if term is not base]
        else:
            current, at = self._new_current(of, terms)
            rest = terms
        for term in sorted(rest, key=lambda term: term.producer is None or not term.producer.sets):
            self._write_term(term, current, at)
        if np.any(constant):
            current.add_bias(_by_channel(current, at, np.broadcast_to(constant, of.shape)))
        return Stored(current, at)

    def _flatten(self, of: Sum, root: Sum) -> tuple[list[_Term], np.ndarray]:
        """The terms of a sum, and its constant; terms that others read as well are written first."""
        if of.stored is not None:
            return [_Term(of, of.stored.at, None, None)], np.zeros(())
        if of.producer is not None:
            if of is not root and self.readers.others(of.node, root.node):
                of.stored = self._write(of)
                return [_Term(of, of.stored.at, None, None)], np.zeros(())
            constant = np.zeros(()) if of.constant is None else of.constant
            return [_Term(of, of.at, None, of.producer)], constant
        terms: list[_Term] = []
        constant = np.zeros(()) if of.constant is None else of.constant
        for part in of.parts:
            inner, more = self._flatten(part.of, root)
            for term in inner:
                terms.append(_through(term, part, of.shape))
            if np.any(more):
                more = np.broadcast_to(more, part.of.shape)
                more = more if part.at is None else _taken(more, part.at, 0.0)
                more = more if part.gain is None else more * part.gain
                constant = constant + more
        return terms, constant

    def _base(self, of: Sum, terms: list[_Term]) -> _Term | None:
        """The current that the others may be added to: nobody reads it any more as it is."""
        for term in terms:
            current = term.stored
            if current is None or term.gain is not None or self._pins[id(current)] > 0 or term.at.min(initial=0) < 0:
                continue
            if sum(other.stored is current for other in terms) > 1:
                continue
            if not is_permutation(term.at, current.n_places * current.n_channels):
                continue
            if all(reader < self.now for reader in self.readers.of(term.of.node, of.node)):
                return term
        return None

    def _new_current(self, of: Sum, terms: list[_Term]) -> tuple[Current, np.ndarray]:
        """A current in the layout of the first producer that fills it."""
        for term in sorted(terms, key=lambda term: term.producer is None or not term.producer.sets):
            if term.producer is not None:
                space = term.producer.space
            else:
                space = (term.stored.n_places, term.stored.n_channels)
            if is_permutation(term.at, math.prod(space)):
                return Current(*space), term.at
        at, space = channels_last(of.shape)
        return Current(*space), at

    def _write_term(self, term: _Term, current: Current, at: np.ndarray) -> None:
        """Add one term to a current whose element addresses are `at`."""
        producer = term.producer
        if producer is None:
            OfStored("", (0, 0), Stored(term.stored, term.at)).write(
                self, current, _spread(current, at, term.gain), _result(term.stored, current, term.at, at)
            )
            return
        scale = _scale(producer, term)
        is_direct = producer.space == (current.n_places, current.n_channels) and np.array_equal(term.at, at)
        can_map = producer.maps and is_permutation(term.at, math.prod(producer.space)) and _is_injective(at)
        can_scale = scale is not None and producer.takes(scale)
        if not can_scale or not (is_direct or can_map) or (producer.sets and current.writers):
            own = Current(*producer.space)
            producer.write(self, own, _ONE, None)
            of = Sum(term.of.node, term.of.shape, stored=Stored(own, term.of.at))
            self._write_term(_Term(of, term.at, term.gain, None), current, at)
            return
        result = None
        if not is_direct:
            result = AddressMap(_inverse(at, term.at, current.n_places * current.n_channels), math.prod(producer.space))
        producer.write(self, current, scale, result)


def channels_last(shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, int]]:
    """Addresses of an array [1, channels, ...] as places x channels; of any other, its last axis is the channels."""
    inner = tuple(size for size in shape if size != 1)
    flat = positions(inner or (1,))
    if len(inner) < 2:
        return flat.reshape(shape), (1, flat.size)
    first = len(shape) > 2 and shape[0] == 1 and shape[1] == inner[0]
    if not first:
        return flat.reshape(shape), (flat.size // inner[-1], inner[-1])
    n_places = flat.size // inner[0]
    at = positions((n_places, inner[0])).T
    return np.ascontiguousarray(at).reshape(shape), (n_places, inner[0])


def _taken(array: np.ndarray, at: np.ndarray, nothing: float = -1) -> np.ndarray:
    """The elements at flat places `at`; `nothing` where that is -1."""
    flat = array.reshape(-1)
    taken = flat[at]
    return np.where(at >= 0, taken, flat.dtype.type(nothing)) if at.size and at.min() < 0 else taken


def _through(term: _Term, part, shape: tuple[int, ...]) -> _Term:
    """A term of a part, as a term of the sum."""
    at, gain = term.at, term.gain
    if part.at is not None:
        at = _taken(at, part.at)
        gain = None if gain is None else _taken(np.broadcast_to(gain, part.of.shape), part.at, 0.0)
    if part.gain is not None:
        gain = part.gain if gain is None else gain * part.gain
    if at.shape != shape:
        at = np.broadcast_to(at, shape)
    return _Term(term.of, at, gain, term.producer)


def _uniform(gain: np.ndarray | None) -> float | None:
    """The one factor; None where there are several."""
    if gain is None:
        return 1.0
    first = float(np.asarray(gain).reshape(-1)[0])
    return first if np.all(gain == first) else None


def _scale(producer: Producer, term: _Term) -> np.ndarray | None:
    """What a producer is to be multiplied by, in the way it can be; None where it cannot."""
    if term.gain is None:
        return _ONE
    one = _uniform(term.gain)
    if one is not None and producer.scales in ("one", "batch"):
        return np.array([one])
    if producer.scales not in ("channels", "batch"):
        return None
    keep = term.at.reshape(-1) >= 0
    at = term.at.reshape(-1)[keep]
    gain = np.broadcast_to(term.gain, term.at.shape).reshape(-1)[keep]
    group = at % producer.space[1] if producer.scales == "channels" else producer.batch_of(at)
    scale = np.zeros(producer.space[1] if producer.scales == "channels" else producer.n_batch)
    scale[group] = gain
    return scale if np.array_equal(scale[group], gain) else None


def _by_channel(current: Current, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at addresses, as [n_channels] where all places agree, else [n_places, n_channels]."""
    spread = np.zeros(current.n_places * current.n_channels)
    spread[at.reshape(-1)] = values.reshape(-1)
    spread = spread.reshape(current.n_places, current.n_channels)
    return spread[0] if np.all(spread == spread[0]) else spread


def _spread(current: Current, at: np.ndarray, gain: np.ndarray | None) -> np.ndarray:
    if gain is None:
        return _ONE
    one = _uniform(gain)
    return np.array([one]) if one is not None else _by_channel(current, at, np.broadcast_to(gain, at.shape))


def _inverse(at: np.ndarray, source: np.ndarray, n: int) -> np.ndarray:
    """For each address of a target (`at` of the elements), the source address of its element; -1: of none."""
    found = np.full(n, -1, np.int32)
    found[at.reshape(-1)] = source.reshape(-1)
    return found


def _result(source: Current, target: Current, source_at: np.ndarray, at: np.ndarray) -> AddressMap:
    return AddressMap(_inverse(at, source_at, target.n_places * target.n_channels), source.n_places * source.n_channels)


def _is_injective(at: np.ndarray) -> bool:
    flat = at.reshape(-1)
    return bool(flat.size == np.unique(flat).size and flat.min(initial=0) >= 0)
