"""pruned: a graph without what its output does not need."""

from __future__ import annotations

from dataclasses import replace

from evsim.graph.graph import Graph, Node

__all__ = ["pruned"]


def pruned(graph: Graph) -> Graph:
    """The same graph without nodes and tensors that nobody reads; the input stays."""
    n = len(graph.nodes)
    whole = [*graph.nodes, *graph.readout]
    needed = {i for i, node in enumerate(graph.nodes) if node.op == "input"}
    still_open = [graph.output]
    while still_open:
        i = still_open.pop()
        if i not in needed:
            needed.add(i)
            still_open += whole[i].inputs
    new = {old: i for i, old in enumerate(sorted(needed))}
    kept = [_renumbered(whole[i], new) for i in sorted(needed)]
    n_kept = sum(i < n for i in needed)
    names = {node.attributes["name"] for node in kept if node.op == "tensor"}
    return replace(
        graph, nodes=kept[:n_kept], readout=kept[n_kept:], output=new[graph.output],
        tensors={name: graph.tensors[name] for name in names},
    )  # fmt: skip


def _renumbered(node: Node, new: dict[int, int]) -> Node:
    return Node(node.op, tuple(new[i] for i in node.inputs), node.attributes, node.shape, node.path)
