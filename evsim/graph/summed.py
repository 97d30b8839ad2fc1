"""summed: how large the terms were that one current is a sum of, which is what its rounding is measured by.

current = sum of w x + b      summed = sum of |w| |x| + |b|
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evsim.graph.graph import Graph, Node
from evsim.graph.ops import OPS

__all__ = ["summed"]


def summed(
    graph: Graph, steps: Sequence[np.ndarray], sent: Mapping[str, np.ndarray], wanted: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], np.ndarray]:
    """For each wanted (population, step) the sum of the sizes of what its input current was summed from.

    Parameters
    ----------
    graph : Graph
    steps : sequence of array
        Inputs, see `evsim.graph.evaluate.steps_of_input`.
    sent : mapping of str to array [n_steps, ...]
        Payloads of every population.
    wanted : iterable of (str, int)

    Returns
    -------
    dict
        Flat arrays in the graph's order.
    """
    neurons, found = graph.neurons(), {}
    for step in sorted({step for _, step in wanted}):
        values = _sizes(graph, steps[step], {path: array[step] for path, array in sent.items()})
        for path, at in wanted:
            if at == step:
                found[path, at] = values[graph.nodes[neurons[path]].inputs[0]].reshape(-1)
    return found


def _sizes(graph: Graph, given: np.ndarray, sent: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Of every node at one step; what depends on weights alone is taken as it is first."""
    values: list[np.ndarray] = []
    fixed: dict[int, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for i, node in enumerate(graph.nodes):
            if node.op == "tensor":
                fixed[i] = graph.tensors[node.attributes["name"]]
            elif node.op not in ("input", "neuron") and all(j in fixed for j in node.inputs):
                fixed[i] = OPS[node.op].value(node.attributes, *(fixed[j] for j in node.inputs))
            if i in fixed:
                values.append(np.abs(fixed[i]))
            elif node.op == "input":
                values.append(np.abs(given))
            elif node.op == "neuron":
                payload = np.abs(sent[node.attributes["path"]].astype(np.float32))
                values.append(payload.reshape(node.shape) * np.float32(node.attributes["unit"]))
            else:
                values.append(_size(node, [values[j] for j in node.inputs], [fixed.get(j) for j in node.inputs]))
    return values


def _size(node: Node, inputs: list[np.ndarray], fixed: list[np.ndarray | None]) -> np.ndarray:
    if node.op == "sub":
        return inputs[0] + inputs[1]
    if node.op == "neg":
        return inputs[0]
    if node.op == "batch_norm":
        mean, var, *affine = fixed[1:]
        gain = np.abs((affine[0] if affine else 1) / np.sqrt(var + node.attributes["eps"]))
        shift = np.abs(mean) * gain + (np.abs(affine[1]) if len(affine) > 1 else 0)
        shape = (1, -1) + (1,) * (len(node.shape) - 2)
        return inputs[0] * gain.reshape(shape) + shift.reshape(shape)
    return np.abs(OPS[node.op].value(node.attributes, *inputs))
