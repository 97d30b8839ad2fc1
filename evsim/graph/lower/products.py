"""Rules for matrix products: by weights, of two streams, of spikes and a current; attention where it is one."""

from __future__ import annotations

import math

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.lower.building import Building
from evsim.graph.lower.layers import matmul_by_head, matmul_of_weights
from evsim.graph.lower.producers.products import HeadProduct, Pairs, WithReal
from evsim.graph.lower.refusal import Unfit
from evsim.graph.lower.values import Events, Fixed, Real, Stored, Sum, Value, positions, view

__all__ = ["RULES"]


def _matmul(building: Building, i: int, node: Node, inputs: list[Value]) -> Value:
    x, y = inputs
    if isinstance(y, Fixed):
        return _by_weights(building, i, node, x, y.array)
    if isinstance(x, Fixed):
        turned = Node(
            node.op, node.inputs, node.attributes, (*node.shape[:-2], node.shape[-1], node.shape[-2]), node.path
        )
        y = view(y, lambda at: at.swapaxes(-1, -2))
        made = _by_weights(building, i, turned, y, x.array.swapaxes(-1, -2))
        return view(made, lambda at: at.swapaxes(-1, -2))
    attention = _attention(building, i, node, x, y)
    if attention is not None:
        return attention
    x, y = (building.events_of(v) or v if isinstance(v, Real) else v for v in (x, y))
    if isinstance(x, Events) and isinstance(y, Events):
        return _pairs(i, node, x, y)
    if isinstance(x, Real) and isinstance(y, Real):
        raise Unfit("a matrix product of two currents")
    return _with_current(building, i, node, x, y)


def _by_weights(building: Building, i: int, node: Node, value: Value, w: np.ndarray) -> Real:
    """One matrix for all, or one for each batch entry, which must be the same."""
    if w.ndim > 2:
        flat = w.reshape(-1, *w.shape[-2:])
        if not np.all(flat == flat[0]):
            return matmul_by_head(building, i, node, value, w)
        w = flat[0]
    if value.shape[:-1] != node.shape[:-1]:
        value = view(value, lambda at: np.broadcast_to(at, (*node.shape[:-1], at.shape[-1])))
    return matmul_of_weights(building, i, node, value, w)


def _batched(value: Events | Real, node: Node) -> np.ndarray:
    """Addresses (or places) [batch, rows, columns]."""
    at = value.at if value.at is not None else positions(value.shape)
    lead = node.shape[:-2]
    return np.broadcast_to(at, (*lead, *at.shape[-2:])).reshape(math.prod(lead), *at.shape[-2:])


def _pairs(i: int, node: Node, x: Events, y: Events) -> Real:
    left, right = _batched(x, node), _batched(y, node)
    sizes = (left.shape[0], left.shape[1], left.shape[2], right.shape[2])
    space = (sizes[0] * sizes[1], sizes[3])
    producer = Pairs(node.path, space, x, y, sizes, left.reshape(-1), right.reshape(-1))
    return Real(Sum(i, node.shape, producer=producer, at=positions(node.shape)))


def _attention(building: Building, i: int, node: Node, x: Value, y: Value) -> Real | None:
    """(Q K^T) V or Q (K^T V), the first product read by the second alone."""
    for first, second, order in ((x, y, "qk"), (y, x, "kv")):
        if not isinstance(first, Real) or not isinstance(second, Events) or first.of.stored is not None:
            continue
        found = building.lone_term(first)
        if found is None or not isinstance(found[0].producer, Pairs) or np.any(found[1]):
            continue
        term = found[0]
        if building.readers.others(term.of.node, i) or first.of.sent is not None:
            continue
        gain = 1.0 if term.gain is None else float(np.asarray(term.gain).reshape(-1)[0])
        if term.gain is not None and not np.all(term.gain == gain):
            continue
        pairs: Pairs = term.producer
        if not np.array_equal(term.at.reshape(-1), positions((term.at.size,))):
            continue
        made = _heads(i, node, pairs, second, order, gain)
        if made is not None:
            return made
    return None


def _heads(i: int, node: Node, pairs: Pairs, third: Events, official: str, gain: float) -> Real | None:
    n_heads, a, b, c = pairs.sizes
    left = pairs.left_order.reshape(n_heads, a, b)
    right = pairs.right_order.reshape(n_heads, b, c)
    rest = _batched(third, node)
    if official == "qk":  # [h, n, d] [h, d, m] [h, m, e]
        q, k, v = left, right.swapaxes(1, 2), rest
        streams = (pairs.left, pairs.right, third)
    else:  # [h, n, d] ([h, d, m] [h, m, e])
        q, k, v = rest, left.swapaxes(1, 2), right
        streams = (third, pairs.left, pairs.right)
    if not q.shape == k.shape == v.shape or any(events.kind != "B" for events in streams):
        return None
    scale = gain * math.prod(events.unit for events in streams)
    if math.frexp(scale)[0] != 0.5:
        return None
    orders = {}
    for port, at in zip("qkv", (q, k, v), strict=True):
        order = np.ascontiguousarray(at.transpose(1, 0, 2)).reshape(-1)
        if np.unique(order).size != order.size:
            return None
        orders[port] = order
    n_tokens, d = q.shape[1:]
    space = (n_tokens, n_heads * d)
    at = positions((n_tokens, n_heads, d)).transpose(1, 0, 2).reshape(node.shape)
    operands = dict(zip("qkv", streams, strict=True))
    producer = HeadProduct(node.path, space, operands, orders, n_heads, gain, official)
    return Real(Sum(i, node.shape, producer=producer, at=np.ascontiguousarray(at)))


def _with_current(building: Building, i: int, node: Node, x: Value, y: Value) -> Real:
    """The spikes' free axis is the tokens: a row of the current is added for each spike."""
    is_left = isinstance(x, Events)
    spikes, real = (x, y) if is_left else (y, x)
    if spikes.kind != "B":
        raise Unfit("a matrix product of a current and spikes that have a value")
    stored = building.store(real)
    spike_at = _batched(spikes, node)
    operand_at = _batched(Real(real.of, stored.at), node)
    if not is_left:  # (Y S)^T = S^T Y^T
        spike_at, operand_at = spike_at.swapaxes(1, 2), operand_at.swapaxes(1, 2)
    n_batch, n_tokens, n_rows = spike_at.shape
    n_columns = operand_at.shape[2]
    sizes = (n_tokens, n_batch, n_rows, n_columns)
    result = positions((n_tokens, n_batch, n_columns)).transpose(1, 0, 2)
    result = result if is_left else result.swapaxes(1, 2)
    space = (n_tokens, n_batch * n_columns)
    building.pin(stored.current)
    producer = WithReal(
        node.path, space, spikes, Stored(stored.current, stored.at), sizes,
        np.ascontiguousarray(operand_at).reshape(-1), np.ascontiguousarray(spike_at.transpose(1, 0, 2)).reshape(-1),
    )  # fmt: skip
    return Real(Sum(i, node.shape, producer=producer, at=np.ascontiguousarray(result).reshape(node.shape)))


RULES = {"matmul": _matmul}
