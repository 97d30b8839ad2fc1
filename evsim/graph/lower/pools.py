"""Rules for pools, means and sums over axes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.lower.arithmetic import as_real
from evsim.graph.lower.building import Building
from evsim.graph.lower.layers import average_of_current
from evsim.graph.lower.producers.sums import Average, MaxPool, MeanOfCurrent, Moved, SpikeMeanOf
from evsim.graph.lower.refusal import Unfit
from evsim.graph.lower.values import Events, Fixed, Part, Real, Stored, Sum, Value, positions, view
from evsim.handlers.dilation import PlaneDilation
from evsim.handlers.payload_max_pool import PayloadMaxPool
from evsim.handlers.pooling import SpikeMaxPool
from evsim.handlers.window import Window

__all__ = ["RULES"]


def _plane(node: Node, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], Window]:
    """The pooled map as (channels, rows, columns), and its window; axes that it leaves alone are channels."""
    a = node.attributes
    n = len(a["kernel"])
    words = [list(a[key]) for key in ("kernel", "stride", "padding", "dilation")]
    lead, sizes = shape[: len(shape) - n], list(shape[len(shape) - n :])
    n_channels = math.prod(lead)
    while len(sizes) > 2 and (words[0][0], words[1][0], words[2][0]) == (1, 1, 0):
        n_channels *= sizes.pop(0)
        words = [word[1:] for word in words]
    if len(sizes) == 1:
        sizes = [1, *sizes]
        words = [[neutral, *word] for word, neutral in zip(words, (1, 1, 0, 1), strict=True)]
    if len(sizes) != 2:
        raise Unfit("a pool over three axes")
    return (n_channels, *sizes), Window(*sizes, *map(tuple, words), ceil=a["ceil"])


def _max_pool(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    value = inputs[0]
    (n, height, width), window = _plane(node, value.shape)
    out = (window.out_height, window.out_width)
    if isinstance(value, Real):
        value = building.events_of(value) or value if _of_events(building, value) else value
    at = np.ascontiguousarray(positions((math.prod(out), n)).T).reshape(node.shape)
    if isinstance(value, Events) and value.kind == "B" and _is_plane(value, (n, height, width), window):
        layer = PlaneDilation(building.name(node.path, "pool"), height, n, n * width)
        return replace(value, source=building.add(layer, value.source), path="")
    if isinstance(value, Events) and value.kind in "BI":
        order = value.at.reshape(n, height, width).transpose(1, 2, 0)
        source = building.deliver(value, order, node.path)
        kind = SpikeMaxPool if value.kind == "B" else PayloadMaxPool
        name = building.add(kind(building.name(node.path, "pool"), window, n), source)
        return Events(name, at, at.size, value.kind, value.unit, n_channels=n)
    real = as_real(building, i, value, node.path)
    places = np.ascontiguousarray(positions((height * width, n)).T).reshape(real.shape)
    current = building.store_alone(real, places, (height * width, n))
    building.pin(current)
    producer = MaxPool(node.path, (math.prod(out), n), Stored(current, places), window)
    return Real(Sum(i, node.shape, producer=producer, at=at))


def _is_plane(value: Events, sizes: tuple[int, int, int], window: Window) -> bool:
    """A 3x3 maximum over tokens and the channels of a head, of spikes that lie as token, head, channel."""
    if (window.kernels, window.strides, window.paddings, window.dilations) != ((3, 3), (1, 1), (1, 1), (1, 1)):
        return False
    n_heads, n_tokens, d = sizes
    expected = positions((n_tokens, n_heads, d)).transpose(1, 0, 2)
    return value.n_places == expected.size and np.array_equal(value.at.reshape(sizes), expected)


def _of_events(building: Building, value: Real) -> bool:
    found = building.lone_term(value) if value.of.stored is None else None
    return found is not None and found[0].producer.sends and not isinstance(found[0].producer, Moved)


def _avg_pool(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    value, a = inputs[0], node.attributes
    (n, height, width), window = _plane(node, value.shape)
    out = (window.out_height, window.out_width)
    at = np.ascontiguousarray(positions((math.prod(out), n)).T).reshape(node.shape)
    events = _events(building, value)
    if events is None:
        if window.ceil or not (a["count_padding"] or window.paddings == (0, 0)):
            raise Unfit("an average pool of a current whose windows differ in size")
        return average_of_current(building, i, node, as_real(building, i, value, node.path), window, (n, height, width),
                                  a["divisor"])  # fmt: skip
    order = events.at.reshape(n, height, width).transpose(1, 2, 0)
    told = (a["count_padding"], a["divisor"] or None)
    producer = Average(node.path, (math.prod(out), n), events, order, window, n, *told)
    return _times_unit(i, node, producer, at, events)


def _adaptive(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    value, size = inputs[0], list(node.attributes["size"])
    while len(size) > 1 and size[0] == value.shape[-len(size)] and size[0] > 1:
        size.pop(0)  # an axis that stays is as good as channels
    n_axes = len(size)
    if all(n == 1 for n in size):
        dims = list(range(len(value.shape) - n_axes, len(value.shape)))
        return _mean_over(building, i, node, value, dims)
    shape = list(value.shape[-n_axes:])
    if n_axes == 1:
        size, shape = [1, *size], [1, *shape]
    if len(size) != 2:
        raise Unfit("an adaptive pool over three axes")
    n = math.prod(value.shape[:-n_axes])
    at = np.ascontiguousarray(positions((math.prod(size), n)).T).reshape(node.shape)
    events = _events(building, value)
    if events is None:
        return _adaptive_of_current(building, i, node, value, (n, *shape), size)
    order = events.at.reshape(n, *shape).transpose(1, 2, 0)
    producer = Average(node.path, (math.prod(size), n), events, order, None, n, adaptive=(tuple(shape), tuple(size)))
    return _times_unit(i, node, producer, at, events)


def _times_unit(i: int, node: Node, producer: Average, at: np.ndarray, events: Events) -> Real:
    """The pool knows payloads; their unit comes after it."""
    pooled = Sum(i, node.shape, producer=producer, at=at)
    if events.unit == 1:
        return Real(pooled)
    return Real(Sum(i, node.shape, [Part(pooled, None, np.array(events.unit))]))


def _adaptive_of_current(building: Building, i: int, node: Node, value: Value, shape, size: list[int]) -> Real:
    """Where the windows are all of one size."""
    if any(n % m for n, m in zip(shape[1:], size, strict=True)):
        raise Unfit("an adaptive average of a current whose windows differ in size")
    kernel = tuple(n // m for n, m in zip(shape[1:], size, strict=True))
    window = Window(*shape[1:], kernel, kernel)
    return average_of_current(building, i, node, as_real(building, i, value, node.path), window, shape, None)


def _events(building: Building, value: Value) -> Events | None:
    events = value if isinstance(value, Events) else None
    if isinstance(value, Real) and _of_events(building, value):
        events = building.events_of(value)
    return events if events is not None and events.kind in "BIS" else None


def _mean(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    value = inputs[0]
    dims = [dim % len(value.shape) for dim in node.attributes["dims"]]
    return _mean_over(building, i, node, value, dims)


def _mean_over(building: Building, i: int, node: Node, value: Value, dims: list[int]) -> Value:
    """Over all places of a map or list of tokens; over any other axes of spikes."""
    n = math.prod(value.shape[dim] for dim in dims)
    if isinstance(value, Real) and (events := building.events_of(value) if _of_events(building, value) else None):
        value = events
    rest = [dim for dim in range(len(value.shape)) if dim not in dims]
    n_channels = math.prod(value.shape[dim] for dim in rest)
    at = positions((n_channels,)).reshape(node.shape)
    if isinstance(value, Events) and value.kind in "BIS":
        order = value.at.transpose(*dims, *rest).reshape(n, n_channels)
        if value.unit == 1 and n_channels * n == value.at.size:
            producer = SpikeMeanOf(node.path, (1, n_channels), value, order, n)
            return Real(Sum(i, node.shape, producer=producer, at=at))
        return _moved_sum(i, node, value, dims, 1.0 / n)
    real = as_real(building, i, value, node.path)
    places = np.ascontiguousarray(
        positions((n, n_channels)).reshape([real.shape[d] for d in (*dims, *rest)]).transpose(_back(dims, rest))
    )
    current = building.store_alone(real, places, (n, n_channels))
    building.pin(current)
    producer = MeanOfCurrent(node.path, (1, n_channels), Stored(current, places))
    return Real(Sum(i, node.shape, producer=producer, at=at))


def _back(dims: list[int], rest: list[int]) -> list[int]:
    """The permutation that undoes (dims, rest)."""
    order = [*dims, *rest]
    return [order.index(axis) for axis in range(len(order))]


def _sum(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    value = inputs[0]
    dims = [dim % len(value.shape) for dim in node.attributes["dims"]]
    events = building.events_of(value) if isinstance(value, Real) else value
    if isinstance(events, Events) and events.kind in "BIS":
        return _moved_sum(i, node, events, dims, 1.0)
    mean = _mean_over(building, i, node, value, dims)
    n = math.prod(value.shape[dim] for dim in dims)
    return Real(Sum(i, node.shape, [Part(mean.of, mean.at, np.array(float(n)))]))


def _moved_sum(i: int, node: Node, events: Events, dims: list[int], factor: float) -> Real:
    """Each event to the place that its axes without `dims` make.

    Sums that come from one place of the source are channels of one place; where places are summed, all are of one.
    """
    n = math.prod(node.shape)
    kept = tuple(1 if dim in dims else size for dim, size in enumerate(events.shape))
    element = np.broadcast_to(positions((n,)).reshape(kept), events.shape).reshape(-1)
    place = events.at.reshape(-1) // events.n_channels
    place_of = np.zeros(n, np.int32)
    place_of[element] = place
    order, n_places = np.arange(n), 1
    if np.array_equal(place_of[element], place) and n % len(np.unique(place_of)) == 0:
        order, n_places = np.argsort(place_of, kind="stable"), len(np.unique(place_of))
    at = np.empty(n, np.int32)
    at[order] = np.arange(n)
    producer = Moved(node.path, (n_places, n // n_places), events, at[element].reshape(events.shape), factor)
    return Real(Sum(i, node.shape, producer=producer, at=at.reshape(node.shape)))


def _max(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    """The largest along whole axes is a pool with one window."""
    value, a = inputs[0], node.attributes
    dims = [dim % len(value.shape) for dim in a["dims"]]
    rest = [dim for dim in range(len(value.shape)) if dim not in dims]
    if isinstance(value, Fixed) or not isinstance(value, Events) or value.kind not in "BI":
        raise Unfit("a maximum of currents over an axis")
    n, n_channels = (math.prod(value.shape[dim] for dim in part) for part in (dims, rest))
    turned = view(value, lambda at: at.transpose(*rest, *dims).reshape(1, n_channels, 1, n))
    words = {"kernel": (1, n), "stride": (1, n), "padding": (0, 0), "dilation": (1, 1), "ceil": False}
    pool = Node("max_pool", node.inputs, words, (1, n_channels, 1, 1), node.path)
    return view(_max_pool(building, i, pool, [turned]), lambda at: at.reshape(node.shape))


RULES = {
    "max_pool": _max_pool, "avg_pool": _avg_pool, "adaptive_avg_pool": _adaptive, "mean": _mean, "sum": _sum,
    "max": _max,
}  # fmt: skip
