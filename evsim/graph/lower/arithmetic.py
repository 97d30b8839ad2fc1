"""Rules for what is summed, scaled, moved and masked: most of it writes nothing before somebody reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.lower.building import Building, channels_last
from evsim.graph.lower.producers.sums import Moved
from evsim.graph.lower.refusal import Unfit
from evsim.graph.lower.values import Events, Fixed, Part, Real, Sum, Value, positions, view
from evsim.graph.ops import OPS
from evsim.handlers.elementwise.mask import AndNot, Mask
from evsim.handlers.spike_sum import SpikeSum
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.views.route import Concatenate

__all__ = ["RULES", "as_real", "channel_gain"]


def as_real(building: Building, node: int, value: Value, path: str) -> Real:
    """A value as a sum; events are added where they stand."""
    if isinstance(value, Real):
        return value
    if isinstance(value, Fixed):
        return Real(Sum(node, value.array.shape, constant=np.asarray(value.array, np.float64)))
    at, space = _own_layout(value)
    producer = Moved(path, space, value, at)
    return Real(Sum(node, value.shape, producer=producer, at=at))


def _own_layout(events: Events) -> tuple[np.ndarray, tuple[int, int]]:
    """Events stay where they are, if each element has its place; else they get one."""
    if events.is_whole_source:
        return events.at, (events.n_places // events.n_channels, events.n_channels)
    return channels_last(events.shape)


def _moves(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    a, change = node.attributes, None
    if node.op == "reshape":
        change = lambda x: x.reshape(a["shape"])  # noqa: E731
    elif node.op == "permute":
        change = lambda x: x.transpose(a["dims"])  # noqa: E731
    elif node.op == "expand":
        change = lambda x: np.broadcast_to(x, a["shape"])  # noqa: E731
    elif node.op == "pad":
        return _pad(building, i, node, inputs[0])
    else:
        change = lambda x: OPS[node.op].value(a, x)  # noqa: E731
    return view(inputs[0], change)


def _pad(building: Building, i: int, node: Node, value: Value) -> Value:
    a, op = node.attributes, OPS["pad"]
    nothing = dict(a, value=-1)
    padded = view(value, lambda x: op.value(nothing, x))
    if a["value"] == 0:
        return padded
    around = op.value(a, np.zeros(value.shape))
    return _sum(i, node, [as_real(building, i, padded, node.path)], around)


def _cat(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    dim = node.attributes["dim"]
    if all(isinstance(value, Events) for value in inputs) and len({value.unit for value in inputs}) == 1:
        return _cat_events(building, node, inputs, dim)
    parts, constant = [], np.zeros(node.shape)
    start = 0
    for value in inputs:
        stop = start + (value.array if isinstance(value, Fixed) else value).shape[dim]
        place = (slice(None),) * dim + (slice(start, stop),)
        if isinstance(value, Fixed):
            constant[place] = value.array
        else:
            real = as_real(building, i, value, node.path)
            at = np.full(node.shape, -1, np.int32)
            at[place] = positions(real.of.shape) if real.at is None else real.at
            parts.append(Part(real.of, at))
        start = stop
    return Real(Sum(i, node.shape, parts, constant=constant))


def _cat_events(building: Building, node: Node, inputs: list[Events], dim: int) -> Events:
    at, space = channels_last(node.shape)
    maps, ports, start = {}, {}, 0
    for k, events in enumerate(inputs):
        stop = start + events.shape[dim]
        place = (slice(None),) * dim + (slice(start, stop),)
        source_of = np.full(at.size, -1, np.int32)
        source_of[at[place].reshape(-1)] = events.at.reshape(-1)
        maps[f"part{k}"], ports[f"part{k}"] = AddressMap(source_of, events.n_places), events.source
        start = stop
    name = building.add(Concatenate(building.name(node.path, "cat"), maps), **ports)
    kind = max((events.kind for events in inputs), key="BISX".index)
    return Events(name, at, at.size, kind, inputs[0].unit, n_channels=space[1])


def _scatter(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    """The value where the region is, the base elsewhere."""
    a = node.attributes
    region = tuple(
        slice(s, s + (n - 1) * d + 1, d) for s, n, d in zip(a["starts"], a["counts"], a["steps"], strict=True)
    )
    outside = np.array(positions(node.shape))
    outside[region] = -1
    inside = np.full(node.shape, -1, np.int32)
    base, value = (as_real(building, i, x, node.path) for x in inputs)
    inside[region] = positions(tuple(a["counts"]))
    constant = np.zeros(())
    parts = []
    for real, at in ((base, outside), (value, inside)):
        flat = positions(real.of.shape) if real.at is None else real.at
        place = np.where(at >= 0, np.broadcast_to(flat, real.shape).reshape(-1)[at], -1).astype(np.int32)
        parts.append(Part(real.of, place))
    return Real(Sum(i, node.shape, parts, constant=constant))


def _sum(i: int, node: Node, reals: list[Real], constant: np.ndarray | None, gains=None) -> Real:
    parts = []
    for k, real in enumerate(reals):
        at = real.at
        if real.shape != node.shape:
            at = np.broadcast_to(positions(real.of.shape) if at is None else at, node.shape)
        gain = None if gains is None or gains[k] is None else np.asarray(gains[k], np.float64)
        parts.append(Part(real.of, at, gain))
    return Real(Sum(i, node.shape, parts, constant=constant))


def _add(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    x, y = inputs
    sign = -1.0 if node.op == "sub" else 1.0
    if (
        isinstance(x, Events)
        and isinstance(y, Events)
        and sign > 0
        and x.unit == y.unit
        and "X" not in (x.kind, y.kind)
    ):
        return _spike_sum(building, node, x, y)
    if node.op == "sub" and isinstance(x, Fixed) and isinstance(y, Events) and y.kind == "B" and y.unit == 1:
        if np.all(x.array == 1):
            return replace(y, kind="absent")  # 1 - x: what masks where there is none
    reals, gains, constant = [], [], None
    for value, factor in ((x, 1.0), (y, sign)):
        if isinstance(value, Fixed):
            constant = np.asarray(value.array, np.float64) * factor
        else:
            reals.append(as_real(building, i, value, node.path))
            gains.append(None if factor == 1 else np.array(factor))
    return _sum(i, node, reals, constant, gains)


def _spike_sum(building: Building, node: Node, x: Events, y: Events) -> Events:
    """Place by place; the one whose places are all elements gives the layout."""
    if x.shape != y.shape or not x.is_whole_source:
        if not (y.is_whole_source and y.shape == node.shape):
            x = _laid_out(building, node, x)
        else:
            x, y = y, x
    order = np.empty(x.n_places, np.int32)
    order[x.at.reshape(-1)] = np.broadcast_to(y.at, x.shape).reshape(-1)
    branch = building.deliver(y, order, node.path)
    name = building.add(SpikeSum(building.name(node.path, "add"), x.n_places), stream=x.source, branch=branch)
    signed = "S" in (x.kind, y.kind)
    return Events(name, x.at, x.n_places, "S" if signed else "I", x.unit, n_channels=x.n_channels)


def _laid_out(building: Building, node: Node, x: Events) -> Events:
    at, space = channels_last(node.shape)
    order = np.empty(at.size, np.int32)
    order[at.reshape(-1)] = np.broadcast_to(x.at, node.shape).reshape(-1)
    return Events(building.deliver(x, order, node.path), at, at.size, x.kind, x.unit, n_channels=space[1])


def _multiply(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    x, y = inputs
    if isinstance(x, Fixed):
        x, y = y, x
    if isinstance(y, Fixed):
        return _scaled(building, i, node, x, np.asarray(y.array, np.float64))
    events = [v if isinstance(v, Events) else building.events_of(v) for v in (x, y)]
    if None in events:
        raise Unfit("a product of two currents", "masks a current by another")
    return _mask(building, node, *events)


def _mask(building: Building, node: Node, x: Events, y: Events) -> Events:
    if y.kind == "absent":
        x, y = y, x
    if "X" in (x.kind, y.kind) or y.kind == "absent":
        raise Unfit("a product with the input")
    at, n_channels = next(
        ((e.at, e.n_channels) for e in (x, y) if e.shape == node.shape and e.is_whole_source), (None, 1)
    )
    if at is None:
        at, (_, n_channels) = channels_last(node.shape)
    maps = []
    for events in (x, y):
        source_of = np.empty(at.size, np.int32)
        source_of[at.reshape(-1)] = np.broadcast_to(events.at, node.shape).reshape(-1)
        maps.append(AddressMap(source_of, events.n_places))
    if x.kind == "absent":
        layer = AndNot(building.name(node.path, "and_not"), maps[1], maps[0])
        name = building.add(layer, kept=y.source, absent=x.source)
        return Events(name, at, at.size, y.kind, y.unit, n_channels=n_channels)
    name = building.add(Mask(building.name(node.path, "mask"), *maps), left=x.source, right=y.source)
    kind = "B" if x.kind == y.kind == "B" else "S" if "S" in (x.kind, y.kind) else "I"
    return Events(name, at, at.size, kind, x.unit * y.unit, n_channels=n_channels)


def _scaled(building: Building, i: int, node: Node, value: Value, gain: np.ndarray) -> Value:
    if (
        isinstance(value, Events)
        and value.kind not in ("X", "absent")
        and gain.size == 1
        and float(gain.reshape(-1)[0]) > 0
    ):
        unit = value.unit * float(gain.reshape(-1)[0])
        return replace(value, at=np.broadcast_to(value.at, node.shape), unit=unit)
    return _sum(i, node, [as_real(building, i, value, node.path)], None, [gain])


def _divide(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    x, y = inputs
    if not isinstance(y, Fixed):
        raise Unfit("a quotient of two values that come with the input")
    if isinstance(x, Fixed):
        raise AssertionError("folded before")
    return _scaled(building, i, node, x, 1.0 / np.asarray(y.array, np.float64))


def _negate(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    return _sum(i, node, [as_real(building, i, inputs[0], node.path)], None, [np.array(-1.0)])


def _batch_norm(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    """scale * x + shift, in float64; convolutions and products take the scale, whatever views lie between."""
    gain, shift = channel_gain(node, inputs[1:])
    shape = (1, -1) + (1,) * (len(node.shape) - 2)
    real = as_real(building, i, inputs[0], node.path)
    term = building.lone_term(real) if real.of.stored is None else None
    if term is not None and getattr(term[0].producer, "norm", "") is None:
        term[0].producer.norm = node.path
    return _sum(i, node, [real], shift.reshape(shape), [gain.reshape(shape)])


def channel_gain(node: Node, tensors: list[Value]) -> tuple[np.ndarray, np.ndarray]:
    """y = gain * x + shift of a BatchNorm, float64."""
    if not all(isinstance(value, Fixed) for value in tensors):
        raise Unfit("a BatchNorm whose statistics come with the input")
    mean, var, *affine = (np.asarray(value.array, np.float64) for value in tensors)
    gain = 1 / np.sqrt(var + node.attributes["eps"])
    gain = affine[0] * gain if affine else gain
    shift = (affine[1] if len(affine) > 1 else 0) - mean * gain
    return gain, shift


def _clamp(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    """Events that are within the bounds already."""
    value, low, high = inputs[0], node.attributes["low"], node.attributes["high"]
    if isinstance(value, Events) and value.kind == "B" and low <= 0 and high >= value.unit:
        return value
    raise Unfit("a clamp of values that reach its bounds")


def _relu(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    if isinstance(inputs[0], Events) and inputs[0].kind in "BI":
        return inputs[0]
    raise Unfit("a rectifier of a current")


def _compare(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    """x > 0, x != 0 of binary events of unit 1 are the events."""
    x, y = inputs
    if isinstance(x, Events) and x.kind == "B" and x.unit == 1 and isinstance(y, Fixed) and y.array.size == 1:
        level = float(y.array.reshape(-1)[0])
        if (
            (node.op in ("gt", "ne") and level == 0)
            or (node.op == "gt" and 0 <= level < 1)
            or (node.op == "ge" and 0 < level <= 1)
            or (node.op == "eq" and level == 1)
        ):
            return x
    raise Unfit(
        "a comparison; if it is the threshold of a neuron of your own, name the neuron's class: neurons={'Class': "
        "evsim.torch.lif(...)}"
    )


def _round(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    if isinstance(inputs[0], Events) and inputs[0].unit == 1 and inputs[0].kind in "BIS":
        return inputs[0]
    raise Unfit("rounding of a current")


RULES = {
    **dict.fromkeys(("reshape", "permute", "expand", "slice", "flip", "pad", "nearest", "tile"), _moves),
    "cat": _cat, "scatter": _scatter, "add": _add, "sub": _add, "mul": _multiply, "div": _divide, "neg": _negate,
    "batch_norm": _batch_norm, "clamp": _clamp, "relu": _relu, "round": _round, "trunc": _round, "floor": _round,
    **dict.fromkeys(("gt", "ge", "ne", "eq"), _compare),
}  # fmt: skip
