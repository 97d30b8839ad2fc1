"""What has no event-driven form, on whole arrays: allowed by the user alone, and counted apart."""

from __future__ import annotations

import math

import numpy as np

from evsim.engine.current import Current
from evsim.graph.graph import Node
from evsim.graph.lower.arithmetic import as_real
from evsim.graph.lower.building import Building
from evsim.graph.lower.producers.others import Dense
from evsim.graph.lower.values import Events, Fixed, Real, Sum, Value, positions
from evsim.graph.ops import OPS

__all__ = ["cost", "value"]

_COMPARES = {
    "max",
    "min",
    "max_pool",
    "maximum",
    "minimum",
    "clamp",
    "relu",
    "gt",
    "ge",
    "lt",
    "le",
    "eq",
    "ne",
    "where",
}


def value(building: Building, i: int, node: Node, inputs: list[Value], dense_ones: dict[str, str]) -> Value:
    """One operation of the graph as a handler; its result is a current."""
    n_channels = node.shape[-1] if node.shape else 1
    space = (max(1, math.prod(node.shape) // max(n_channels, 1)), n_channels)
    operands, ports, pieces = [], {}, []
    for k, operand in enumerate(inputs):
        if isinstance(operand, Fixed):
            pieces.append(operand.array)
            continue
        if isinstance(operand, Events):
            ports[f"in{k}"] = operand.source
            operands.append((f"in{k}", (operand.n_places,)))
            pieces.append(_OfEvents(operand, len(operands) - 1))
        else:
            stored = building.store(as_real(building, i, operand, node.path))
            building.pin(stored.current)
            operands.append((stored.current, (stored.current.n_places, stored.current.n_channels)))
            pieces.append(_OfCurrent(stored.at, len(operands) - 1))
    function = _Function(node, pieces, space)
    macs, comparisons = cost(node, [piece.shape for piece in pieces])
    name = building.name(node.path, node.op)
    dense_ones[name] = node.op
    building.notes.append(f"{name}: runs densely ({node.op}), {macs:,} multiply-accumulates a step")

    def add(current: Current) -> None:
        from evsim.handlers.dense_node import DenseNode

        building.add(DenseNode(name, function, operands, current, dense_macs=macs, comparisons=comparisons), **ports)

    return Real(Sum(i, node.shape, producer=Dense(node.path, space, add), at=positions(node.shape)))


class _OfEvents:
    """Payloads of the places that are elements, in the graph's order."""

    def __init__(self, events: Events, which: int) -> None:
        self.at, self.unit, self.which = events.at, np.float32(events.unit), which
        self.shape = events.at.shape
        self.is_absent = events.kind == "absent"

    def take(self, arrays) -> np.ndarray:
        found = np.append(arrays[self.which].reshape(-1), np.float32(0))[self.at] * self.unit
        return 1 - found if self.is_absent else found


class _OfCurrent:
    def __init__(self, at: np.ndarray, which: int) -> None:
        self.at, self.which, self.shape = at, which, at.shape

    def take(self, arrays) -> np.ndarray:
        return np.append(arrays[self.which].reshape(-1), np.float32(0))[self.at]


class _Function:
    """The operation on what arrives, as [places, channels]."""

    def __init__(self, node: Node, pieces: list, space: tuple[int, int]) -> None:
        self.node, self.pieces, self.space = node, pieces, space

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        inputs = [piece if isinstance(piece, np.ndarray) else piece.take(arrays) for piece in self.pieces]
        with np.errstate(all="ignore"):
            made = OPS[self.node.op].value(self.node.attributes, *inputs)
        return np.asarray(made, np.float32).reshape(self.space)


def cost(node: Node, shapes: list[tuple[int, ...]]) -> tuple[int, int]:
    """Multiply-accumulates and comparisons of one operation on whole arrays, by formula of its shapes.

    Products and convolutions by their inner sizes; softmax, norms and activations one for each element and pass.
    """
    n = math.prod(node.shape)
    if node.op == "matmul":
        return n * shapes[0][-1], 0
    if node.op == "conv":
        return n * math.prod(shapes[1][1:]), 0
    if node.op in _COMPARES:
        return 0, max(n, math.prod(shapes[0]))
    if node.op in ("softmax", "log_softmax", "layer_norm"):
        return 4 * n, n
    return max(n, math.prod(shapes[0])), 0
