"""Program: nodes under construction; the same operation on the same operands is the same node."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.ops import OPS
from evsim.graph.ops.op import BadNode
from evsim.graph.rolling.axes import Unrolled

__all__ = ["Program", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A node of the step, or (`late`) of the readout."""

    node: int
    late: bool = False


class Program:
    """Nodes in order, each known by what it does.

    Parameters
    ----------
    steps : Program, optional
        The program of one step, for that of a readout.
    """

    def __init__(self, steps: Program | None = None) -> None:
        self._steps = steps
        self._nodes: list[Node] = []
        self._known: dict[tuple, int] = {}
        self._fixed: set[int] = set()
        self._forbidden: dict[int, str] = {}

    def add(
        self, op: str, inputs: Sequence[Source], attributes: Mapping[str, object], path: str = "",
        expected: Sequence[int] | None = None,
    ) -> Source:  # fmt: skip
        """The node that does this; raises `Unrolled` where it cannot be, or has not the expected shape."""
        late = self._steps is not None
        inner = tuple(self._place(source) for source in inputs)
        for source in inputs:
            self.check_is_allowed(source)
        attributes = _plain(attributes)
        key = (op, inner, json.dumps(attributes, sort_keys=True))
        if key not in self._known:
            shape = self._shape(op, inputs, attributes)
            if expected is not None and shape != tuple(expected):
                raise Unrolled(f"{op} makes {_x(shape)} in one step, expected {_x(expected)}: the steps differ")
            self._known[key] = len(self._nodes)
            if op not in ("input", "neuron", "steps", "at_step") and all(self.is_fixed(source) for source in inputs):
                self._fixed.add(len(self._nodes))
            self._nodes.append(Node(op, inner, attributes, shape, path))
        return Source(self._known[key], late)

    def tensor(self, name: str, shape: Sequence[int], path: str) -> Source:
        """A weight or constant."""
        return self.add("tensor", [], {"name": name, "shape": list(shape)}, path)

    def number(self, value: float) -> Source:
        """A constant of shape ()."""
        return self.add("full", [], {"shape": [], "value": float(value)})

    def forbid(self, why: str) -> Source:
        """A value that must not be read."""
        self._nodes.append(Node("full", (), {"shape": [], "value": 0.0}, ()))
        self._forbidden[len(self._nodes) - 1] = why
        return Source(len(self._nodes) - 1, True)

    def check_is_allowed(self, source: Source) -> None:
        """Raise the reason for which a value must not be read, if there is one."""
        if source.late and source.node in self._forbidden:
            raise Unrolled(self._forbidden[source.node])

    def shape_of(self, source: Source) -> tuple[int, ...]:
        return self._owner(source)._nodes[source.node].shape

    def path_of(self, source: Source) -> str:
        return self._owner(source)._nodes[source.node].path

    def is_fixed(self, source: Source) -> bool:
        """Whether the node depends on nothing but tensors."""
        return source.node in self._owner(source)._fixed

    def copy_fixed(self, source: Source) -> Source:
        """The same computation of tensors alone, in the readout."""
        node = self._steps._nodes[source.node]
        inputs = [self.copy_fixed(Source(i)) for i in node.inputs]
        return self.add(node.op, inputs, node.attributes, node.path)

    def finished(self) -> list[Node]:
        """The nodes; those of a readout are numbered on from where those of the step end."""
        if self._steps is None:
            return list(self._nodes)
        n = len(self._steps._nodes)
        return [
            node if node.op in ("steps", "at_step") else
            Node(node.op, tuple(n + i for i in node.inputs), node.attributes, node.shape, node.path)
            for node in self._nodes
        ]  # fmt: skip

    def place_of(self, source: Source) -> int:
        """The number of a node in the finished graph."""
        return source.node + (len(self._steps._nodes) if source.late else 0)

    def _owner(self, source: Source) -> Program:
        return self if source.late == (self._steps is not None) else self._steps

    def _place(self, source: Source) -> int:
        return source.node

    def _shape(self, op: str, inputs: Sequence[Source], attributes: Mapping[str, object]) -> tuple[int, ...]:
        try:
            return tuple(OPS[op].shape(attributes, *map(self.shape_of, inputs)))
        except BadNode as error:
            raise Unrolled(f"{op}: {error}") from None


def _plain(attributes: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain_value(value) for key, value in attributes.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, (tuple, list)):
        return [_plain_value(inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return dict(value) if isinstance(value, Mapping) else value


def _x(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"
