"""nir_of: a graph of ours in NIR, where the standard can say it: convolutions, linear layers, pools, sums, neurons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evsim.graph.graph import Graph, Node
from evsim.graph.nir.write_layers import RULES
from evsim.graph.nir.writer import InNir, Writer
from evsim.graph.ops import OPS

__all__ = ["nir_of"]


def nir_of(nir, graph: Graph, dt: float | None) -> InNir:
    """The graph in NIR.

    Parameters
    ----------
    nir : module
    graph : Graph
    dt : float or None
        Seconds of a step, which leaks need.

    Raises
    ------
    Refused
        By the module's path: an operation that the standard has no node for, attention first of all.
    """
    writer = Writer(nir, graph, dt)
    _check_products(writer)
    for place in range(len(graph.nodes) + len(graph.readout)):
        _take(writer, place, graph.node(place))
    return writer.finished()


def _check_products(w: Writer) -> None:
    """Attention before all else: of what NIR cannot say, it is what a network is known by."""
    fixed: set[int] = set()
    for place in sorted(w.needed):
        node = w.graph.node(place)
        if node.op not in ("input", "neuron") and fixed.issuperset(node.inputs):
            fixed.add(place)
        elif node.op in ("matmul", "mul") and not fixed.intersection(node.inputs):
            raise w.refused(node, "it multiplies two values that both come with the input, as attention does")


def _take(w: Writer, place: int, node: Node) -> None:
    """One node of the graph; what depends on weights alone is worked out."""
    if place not in w.needed:
        return
    inputs = [w.values[i] for i in node.inputs]
    if node.op == "tensor":
        w.values[place] = np.asarray(w.graph.tensors[node.attributes["name"]], np.float64)
    elif node.op not in ("input", "neuron") and all(isinstance(value, np.ndarray) for value in inputs):
        w.values[place] = np.asarray(OPS[node.op].value(node.attributes, *inputs), np.float64)
    else:
        rule = RULES.get(node.op)
        if rule is None:
            raise w.refused(node, "NIR has no such node")
        sent = rule(w, node, *inputs)
        w.values[place] = replace(sent, is_alone=sent.is_alone and w.n_readers[place] == 1)
