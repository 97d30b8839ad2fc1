"""Readers: which operations look at a value as it is, past those that only sum, scale and move."""

from __future__ import annotations

from functools import cache

from evsim.graph.graph import Graph
from evsim.graph.ops.views import MOVES

__all__ = ["LAZY", "Readers"]

LAZY = MOVES | {"add", "sub", "mul", "div", "neg", "batch_norm"}
"""Operations whose result is a sum that is not written before somebody reads it."""


class Readers:
    """Of a graph; a value of the last step's readout counts as read at the end."""

    def __init__(self, graph: Graph) -> None:
        self._consumers: dict[int, list[int]] = {}
        for i, node in enumerate(graph.nodes):
            for j in node.inputs:
                self._consumers.setdefault(j, []).append(i)
        self._end = len(graph.nodes)
        for node in graph.readout:
            if node.op in ("steps", "at_step"):
                self._consumers.setdefault(node.inputs[0], []).append(self._end)
        self._ops = [node.op for node in graph.nodes]
        self.of = cache(self._of)

    def _of(self, node: int, without: int) -> frozenset[int]:
        """The readers of a node's value that do not read it through the node `without`."""
        found, seen, open_nodes = set(), {without}, [node]
        while open_nodes:
            for i in self._consumers.get(open_nodes.pop(), ()):
                if i in seen:
                    continue
                seen.add(i)
                if i < self._end and self._ops[i] in LAZY:
                    open_nodes.append(i)
                else:
                    found.add(i)
        return frozenset(found)

    def others(self, node: int, without: int) -> bool:
        """Whether anybody reads the value other than through `without`."""
        return bool(self.of(node, without))
