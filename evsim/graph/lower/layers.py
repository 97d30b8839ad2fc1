"""Rules for layers with weights: convolutions and linear layers, of spikes and of currents, alone or as one region."""

from __future__ import annotations

import math

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.lower.building import Building
from evsim.graph.lower.producers.layers import Convolution, RealConvolution, Region
from evsim.graph.lower.producers.sums import Moved
from evsim.graph.lower.refusal import Unfit
from evsim.graph.lower.values import Fixed, Real, Stored, Sum, Value, positions, view
from evsim.graph.ops import OPS
from evsim.handlers.window import Window

__all__ = ["RULES", "average_of_current", "matmul_by_head", "matmul_of_weights"]

_LARGEST_FUSED = 2**24
"""Weights of a region, at most."""
_ROUNDING = 1e-5
_UNKNOWN_RATE = 0.25
"""Of events whose rate nobody measured, when it is decided whether a region of layers is fused."""


def _conv(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    value, weight = inputs[0], inputs[1]
    if not isinstance(weight, Fixed) or (len(inputs) > 2 and not isinstance(inputs[2], Fixed)):
        raise Unfit("a convolution whose kernel comes with the input")
    if value.shape[0] > 1:
        return _on_each_map(building, i, node, inputs)
    w = np.asarray(weight.array, np.float64)
    n_weight_axes = w.ndim
    geometry, w, shape = _planar(node, w, value.shape)
    window = Window(*shape[2:], *geometry)
    bias = None if len(inputs) < 3 else np.asarray(inputs[2].array, np.float64)
    told = {"has_bias": bias is not None, "n_weight_axes": n_weight_axes}
    made = _layer(building, i, node, value, w, window, node.attributes["groups"], shape, told)
    if bias is not None:
        made.of.constant = bias.reshape(1, -1, *([1] * (len(node.shape) - 2))) + (
            0 if made.of.constant is None else made.of.constant
        )
    return made


def _on_each_map(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    """Several maps at once: with a kernel of 1 they are more places of one map, else groups with the same weights."""
    value, w, a = inputs[0], inputs[1].array, node.attributes
    n_maps, n_in, *size = value.shape
    if set(w.shape[2:]) == {1} and set(a["stride"]) == {1} and set(a["padding"]) == {0}:
        flat = Fixed(w.reshape(*w.shape[:2], 1, 1))
        words = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": a["groups"]}
        one = Node(node.op, node.inputs, words, (1, node.shape[1], n_maps, math.prod(size)), node.path)
        turned = view(value, lambda x: x.swapaxes(0, 1).reshape(1, n_in, n_maps, -1))
        made = _conv(building, i, one, [turned, flat, *inputs[2:]])
        return view(made, lambda x: x.reshape(-1, n_maps, *size).swapaxes(0, 1))
    repeated = [Fixed(np.concatenate([tensor.array] * n_maps)) for tensor in inputs[1:]]
    words = dict(a, groups=a["groups"] * n_maps)
    one = Node(node.op, node.inputs, words, (1, n_maps * node.shape[1], *node.shape[2:]), node.path)
    turned = view(value, lambda x: x.reshape(1, n_maps * n_in, *size))
    made = _conv(building, i, one, [turned, *repeated])
    return view(made, lambda x: x.reshape(node.shape))


def _planar(node: Node, w: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple, np.ndarray, tuple[int, ...]]:
    """Kernel, stride, padding and dilation by rows and columns; one-dimensional layers have one row."""
    a = node.attributes
    words = [list(w.shape[2:]), list(a["stride"]), list(a["padding"]), list(a["dilation"])]
    keep = list(range(w.ndim - 2))
    if w.ndim == 5:
        flat = [k for k in keep if (words[0][k], words[1][k], words[2][k]) == (1, 1, 0) and shape[2 + k] == 1]
        if not flat:
            raise Unfit("a convolution over three axes")
        keep.remove(flat[0])
        words = [[word[k] for k in keep] for word in words]
    if w.ndim == 3:
        words = [[neutral, *word] for word, neutral in zip(words, (1, 1, 0, 1), strict=True)]
    sizes = ([1] if w.ndim == 3 else []) + [shape[2 + k] for k in keep]
    kernel = w.reshape(*w.shape[:2], *words[0])
    return tuple(map(tuple, words)), kernel, (1, shape[1], *sizes)


def _layer(
    building: Building, i: int, node: Node, value: Value, w: np.ndarray, window: Window, groups: int,
    shape: tuple[int, ...], told: dict,
) -> Real:  # fmt: skip
    """A layer on a map [1, channels, rows, columns]."""
    n_out = w.shape[0]
    space = (window.out_height * window.out_width, n_out)
    at = np.ascontiguousarray(positions((space[0], n_out)).T).reshape(node.shape)
    if isinstance(value, Real):
        events = building.events_of(value) if _is_sendable(building, value) else None
        if events is None:
            return _of_current(building, i, node, value, w, window, groups, shape, told, at)
        value = events
    order = value.at.reshape(shape)[0].transpose(1, 2, 0)
    producer = Convolution(node.path, space, value, order, w, window, groups, **told)
    return Real(Sum(i, node.shape, producer=producer, at=at))


def _is_sendable(building: Building, value: Real) -> bool:
    """Whether the sums may leave as spikes: the layer is all that reads them."""
    found = building.lone_term(value) if value.of.stored is None else None
    return found is not None and found[0].producer.sends and not isinstance(found[0].producer, Moved)


def _of_current(building, i, node, value: Real, w, window, groups, shape, told, at) -> Real:
    """One region with the layer before, or products of real values."""
    space = (window.out_height * window.out_width, w.shape[0])
    fused = None if value.of.stored is not None else _fused(building, node, value, w, window, groups, shape)
    if fused is not None:
        producer, constant = fused
        producer.has_bias, producer.n_weight_axes = told["has_bias"], max(told["n_weight_axes"], 4)
        return Real(Sum(i, node.shape, producer=producer, at=at, constant=constant))
    channels_last = np.ascontiguousarray(positions((window.height * window.width, shape[1])).T)
    current = building.store_alone(value, channels_last.reshape(value.shape), (window.height * window.width, shape[1]))
    building.pin(current)
    producer = RealConvolution(node.path, space, Stored(current, channels_last), w, window, groups)
    building.notes.append(f"{node.path}: multiplies real values ({node.op} behind a layer without neurons)")
    return Real(Sum(i, node.shape, producer=producer, at=at))


def _fused(building: Building, node: Node, value: Real, w, window: Window, groups: int, shape):
    """The layer and what comes before it as one region on the spikes, if it is one; and its constant."""
    found = building.lone_term(value)
    if found is None:
        return None
    term, constant = found
    inner = _as_convolution(term)
    if inner is None:
        return None
    scale, pads = _inner_scale(term, inner, shape), _inner_pads(term, inner, shape)
    if scale is None or pads is None:
        return None
    paddings = tuple(a + b for a, b in zip(window.paddings, pads, strict=True))
    constant = np.broadcast_to(constant, value.shape).reshape(shape)
    constant = _through_layer(node, _evened(constant, term.at, shape), w, window, groups, shape)
    composed = _composed(inner, scale, w, window, groups, paddings)
    if composed is None:
        return None
    weight, seen, n_groups = composed
    space = (seen.out_height * seen.out_width, weight.shape[0])
    same = (node.path, space, inner.events, inner.order, weight, seen, n_groups)
    if isinstance(term.producer, Moved):
        return Convolution(*same), constant
    rate = building.rates.get(inner.events.path, _UNKNOWN_RATE)
    inner_places = inner.window.out_height * inner.window.out_width
    before = inner.written_cost if isinstance(inner, Region) else rate * inner_places * inner.weight.size
    alone = Window(*shape_without(shape, pads), window.kernels, window.strides, paddings, window.dilations)
    costs = {"written_cost": before + space[0] * w.size, "fused_cost": rate * space[0] * weight.size}
    return Region(*same, inner=inner, inner_scale=scale, outer=(w, alone, groups), **costs), constant


def shape_without(shape: tuple[int, ...], pads: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a map before it was padded."""
    return tuple(n - 2 * p for n, p in zip(shape[2:], pads, strict=True))


def _composed(inner: Convolution, scale: np.ndarray, w: np.ndarray, window: Window, groups: int, paddings):
    """Weight, window and groups of two layers as one; None where that is no convolution, or far too large a one."""
    is_point = (inner.window.kernels, inner.window.strides, inner.window.paddings) == ((1, 1), (1, 1), (0, 0))
    outer_is_point = (window.kernels, window.strides, paddings) == ((1, 1), (1, 1), (0, 0))
    if not (is_point or outer_is_point):
        return None
    taps = math.prod(window.kernels) if is_point else math.prod(inner.window.kernels)
    n_in = inner.weight.shape[1] * inner.groups
    if w.shape[0] * n_in * taps > _LARGEST_FUSED:
        return None
    outer_weight = _ungrouped(w, groups)
    inner_weight = _ungrouped(inner.weight, inner.groups) * scale.reshape(-1, 1, 1, 1)
    if is_point:
        weight = np.einsum("omyx,mi->oiyx", outer_weight, inner_weight[:, :, 0, 0], optimize=True)
        size = (inner.window.height, inner.window.width)
        seen = Window(*size, window.kernels, window.strides, paddings, window.dilations)
    else:
        weight = np.einsum("om,miyx->oiyx", outer_weight[:, :, 0, 0], inner_weight, optimize=True)
        seen = inner.window
    if inner.groups == groups > 1 and inner.weight.shape[1] == 1 == w.shape[1] and inner.weight.shape[0] == groups:
        return _diagonal(weight), seen, groups
    return weight, seen, 1


def _evened(constant: np.ndarray, at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Padding with what the layer before makes of nothing (RepConv), rounded otherwise than it is here: the same."""
    constant = np.broadcast_to(constant, shape)
    inside = at.reshape(shape) >= 0
    if inside.all() or not inside.any():
        return constant
    first = np.argmax(inside.reshape(shape[1], -1), axis=1)
    alone = np.take_along_axis(constant.reshape(shape[1], -1), first[:, None], axis=1).reshape(1, -1, 1, 1)
    near = np.abs(constant - alone) <= _ROUNDING * max(1.0, float(np.abs(constant).max()))
    return np.broadcast_to(alone, shape) if near.all() else constant


def _as_convolution(term) -> Convolution | None:
    """A layer, or spikes as a layer that does nothing."""
    producer = term.producer
    if isinstance(producer, Convolution):
        return producer
    if isinstance(producer, Moved) and producer.events.shape == term.of.shape and len(term.of.shape) >= 3:
        if producer.target.size != producer.events.at.size or not np.array_equal(producer.target, term.of.at):
            return None
        n, *size = term.of.shape[1], *term.of.shape[2:]
        size = [1] * (2 - len(size)) + list(size)
        if len(size) != 2 or term.of.shape[0] != 1:
            return None
        order = producer.events.at.reshape(n, *size).transpose(1, 2, 0)
        weight = np.eye(n).reshape(n, n, 1, 1) * producer.factor
        return Convolution(producer.path, (math.prod(size), n), producer.events, order, weight, Window(*size))
    return None


def _inner_pads(term, inner: Convolution, shape) -> tuple[int, int] | None:
    """By how much the inner map is padded, rows and columns, before the outer layer; None where it is moved about."""
    n, height, width = shape[1:]
    size = (inner.window.out_height, inner.window.out_width)
    pads = tuple(a - b for a, b in zip((height, width), size, strict=True))
    if min(pads) < 0 or pads[0] % 2 or pads[1] % 2 or inner.space[1] != n:
        return None
    pads = (pads[0] // 2, pads[1] // 2)
    around = [(0, 0), (pads[0], pads[0]), (pads[1], pads[1])]
    natural = positions((math.prod(size), n)).T.reshape(n, *size)
    expected = np.pad(natural, around, constant_values=-1)
    moved = isinstance(term.producer, Moved)
    found = term.at.reshape(n, height, width)
    if moved:
        found = _relabelled(found, term.of.at.reshape(-1), natural.reshape(-1))
    return pads if np.array_equal(found, expected) else None


def _relabelled(at: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    table = np.full(int(old.max(initial=0)) + 1, -1, np.int32)
    table[old] = new
    return np.where(at >= 0, table[at], -1)


def _inner_scale(term, inner: Convolution, shape) -> np.ndarray | None:
    """One factor for each channel between the two layers."""
    n = shape[1]
    if term.gain is None:
        return np.ones(n)
    keep = term.at.reshape(-1) >= 0
    channel = np.broadcast_to(np.arange(n).reshape(n, 1, 1), (n, *shape[2:])).reshape(-1)[keep]
    gain = np.broadcast_to(term.gain, term.at.shape).reshape(-1)[keep]
    scale = np.zeros(n)
    scale[channel] = gain
    return scale if np.array_equal(scale[channel], gain) else None


def _ungrouped(w: np.ndarray, groups: int) -> np.ndarray:
    """The weight of the same layer with one group."""
    if groups == 1:
        return w
    n_out, n_in = w.shape[0] // groups, w.shape[1]
    dense = np.zeros((w.shape[0], n_in * groups, *w.shape[2:]))
    for group in range(groups):
        dense[group * n_out : (group + 1) * n_out, group * n_in : (group + 1) * n_in] = w[
            group * n_out : (group + 1) * n_out
        ]
    return dense


def _diagonal(weight: np.ndarray) -> np.ndarray:
    n = weight.shape[0]
    return weight[np.arange(n), np.arange(n)][:, None]


def _through_layer(node: Node, constant: np.ndarray, w, window: Window, groups: int, shape) -> np.ndarray | None:
    """What the outer layer makes of the constant between the two: by place, where it pads."""
    if not np.any(constant):
        return None
    everywhere = np.broadcast_to(constant, shape)
    attributes = {
        "stride": window.strides, "padding": window.paddings, "dilation": window.dilations, "groups": groups,
    }  # fmt: skip
    return OPS["conv"].value(attributes, np.asarray(everywhere, np.float64), w).reshape(node.shape)


def matmul_of_weights(building: Building, i: int, node: Node, value: Value, w: np.ndarray) -> Value:
    """[..., n, c_in] times a matrix [c_in, c_out]: a linear layer on every token."""
    n_tokens = math.prod(value.shape[:-1])
    kernel = np.asarray(w, np.float64).T[:, :, None, None]
    window = Window(1, n_tokens)
    told = {"has_bias": False, "n_weight_axes": 2}
    space = (n_tokens, kernel.shape[0])
    at = positions(space).reshape(node.shape)
    if isinstance(value, Real) and _is_sendable(building, value):
        value = building.events_of(value) or value
    if isinstance(value, Real):
        order = positions((n_tokens, value.shape[-1])).reshape(value.shape)
        current = building.store_alone(value, order, (n_tokens, value.shape[-1]))
        building.pin(current)
        producer = RealConvolution(node.path, space, Stored(current, order), kernel, window)
        return Real(Sum(i, node.shape, producer=producer, at=at))
    order = value.at.reshape(n_tokens, -1)
    return Real(Sum(i, node.shape, producer=Convolution(node.path, space, value, order, kernel, window, **told), at=at))


def matmul_by_head(building: Building, i: int, node: Node, value: Value, w: np.ndarray) -> Value:
    """[heads, n, c_in] times [heads, c_in, c_out], other weights for each: a layer of so many groups on n places."""
    lead = node.shape[:-2]
    n_heads = math.prod(lead)
    n, n_in, n_out = value.shape[-2], value.shape[-1], node.shape[-1]
    w = np.broadcast_to(np.asarray(w, np.float64), (*lead, n_in, n_out)).reshape(n_heads, n_in, n_out)
    kernel = w.transpose(0, 2, 1).reshape(n_heads * n_out, n_in, 1, 1)
    whole = view(value, lambda x: np.broadcast_to(x, (*lead, n, n_in)))
    turned = view(whole, lambda x: x.reshape(n_heads, n, n_in).transpose(0, 2, 1).reshape(1, -1, 1, n))
    flat = Node(node.op, node.inputs, node.attributes, (1, n_heads * n_out, 1, n), node.path)
    told = {"has_bias": False, "n_weight_axes": 3}
    made = _layer(building, i, flat, turned, kernel, Window(1, n), n_heads, (1, n_heads * n_in, 1, n), told)
    return view(made, lambda x: x.reshape(n_heads, n_out, n).transpose(0, 2, 1).reshape(node.shape))


def average_of_current(building: Building, i: int, node: Node, value: Real, window: Window, shape, divisor) -> Real:
    """The mean over windows of a current is a layer of fixed weights."""
    n = shape[0]
    rows, columns = window.kernels
    w = np.full((n, 1, rows, columns), 1.0 / (divisor or rows * columns))
    told = {"has_bias": False, "n_weight_axes": 4}
    return _layer(building, i, node, value, w, window, n, (1, *shape), told)


RULES = {"conv": _conv}
