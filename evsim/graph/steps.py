"""with_steps: the same graph for another number of steps."""

from __future__ import annotations

from dataclasses import replace

from evsim.errors import CheckpointError
from evsim.graph.graph import Graph, Node
from evsim.graph.ops import OPS

__all__ = ["with_steps"]


def with_steps(graph: Graph, n_steps: int) -> Graph:
    """The readout for `n_steps`, if time is the first axis of everything in it and nothing reads one step.

    Raises
    ------
    CheckpointError
        Its readout is another: T is part of it.
    """
    if n_steps == graph.n_steps:
        return graph
    readout: list[Node] = []
    depends: list[bool] = []
    for node in graph.readout:
        inputs = [i - len(graph.nodes) for i in node.inputs]
        changed = _changed(node, graph, n_steps) if node.op in ("steps", "at_step") else node
        is_timed = node.op == "steps" or (node.op != "at_step" and any(depends[i] for i in inputs))
        if is_timed and node.op != "steps":
            attributes = node.attributes
            if node.op == "reshape":
                attributes = attributes | {"shape": (_first(node, graph, n_steps), *attributes["shape"][1:])}
            shape = OPS[node.op].shape(attributes, *(readout[i].shape for i in inputs))
            changed = replace(node, attributes=attributes, shape=tuple(shape))
        if is_timed and changed.shape[:1] != (n_steps,):
            raise CheckpointError(_FIXED)
        readout.append(changed)
        depends.append(is_timed)
    return replace(graph, n_steps=n_steps, readout=readout)


_FIXED = "the model: its readout is made for its own number of steps, T is part of the model"


def _changed(node: Node, graph: Graph, n_steps: int) -> Node:
    if node.op == "at_step" or node.attributes["axis"] or node.attributes["lead"] != 1:
        raise CheckpointError(_FIXED)
    shape = (_first(node, graph, n_steps), *node.shape[1:])
    return replace(node, attributes=node.attributes | {"shape": shape}, shape=shape)


def _first(node: Node, graph: Graph, n_steps: int) -> int:
    if node.shape[:1] != (graph.n_steps,):
        raise CheckpointError(_FIXED)
    return n_steps
