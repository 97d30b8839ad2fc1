"""Literal counts once more, from a graph and the model's own spikes: windows counted with NumPy, no kernel of evsim."""

import numpy as np

from evsim.graph.evaluate import steps_of_input
from evsim.graph.graph import Graph
from evsim.graph.ops import OPS


def operands(graph: Graph, reference, places):
    """At each step, the arrays of the wanted nodes, every population sending what the model sent."""
    fixed = {}
    for t, given in enumerate(steps_of_input(graph, reference.example)):
        values = dict(fixed)
        for i, node in enumerate(graph.nodes):
            if i in values:
                continue
            if node.op == "input":
                values[i] = given
            elif node.op == "tensor":
                values[i] = fixed[i] = graph.tensors[node.attributes["name"]]
            elif node.op == "neuron":
                sent = reference.sent[node.attributes["path"]][t].reshape(node.shape)
                values[i] = sent.astype(np.float32) * np.float32(node.attributes["unit"])
            else:
                values[i] = OPS[node.op].value(node.attributes, *(values[j] for j in node.inputs))
                if all(j in fixed for j in node.inputs):
                    fixed[i] = values[i]
        yield {i: values[i] for i in places}


def fan_outs(graph: Graph, place: int) -> np.ndarray:
    """How many weights one element of the operand of a layer meets: a convolution of ones, turned round."""
    node = graph.nodes[place]
    shape, w = graph.nodes[node.inputs[0]].shape, graph.nodes[node.inputs[1]].shape
    if node.op == "matmul":
        return np.full(shape, w[-1])
    a, n = node.attributes, len(w) - 2
    met = np.ones((1,), int)
    for axis in range(n):
        size, out, k = shape[2 + axis], node.shape[2 + axis], w[2 + axis]
        taps = np.zeros(size, int)
        for o in range(out):
            for tap in range(k):
                at = o * a["stride"][axis] - a["padding"][axis] + tap * a["dilation"][axis]
                if 0 <= at < size:
                    taps[at] += 1
        met = np.multiply.outer(met, taps)
    return np.broadcast_to(met[0] * (w[0] // a["groups"]), shape)


def layers(graph: Graph) -> dict[str, int]:
    """Convolutions and products with weights, by path."""
    fixed = {i for i, node in enumerate(graph.nodes) if node.op == "tensor"}
    for i, node in enumerate(graph.nodes):
        if node.op not in ("input", "neuron") and node.inputs and fixed.issuperset(node.inputs):
            fixed.add(i)
    found = {}
    for i, node in enumerate(graph.nodes):
        if node.op in ("conv", "matmul") and node.inputs[1] in fixed and node.inputs[0] not in fixed:
            found.setdefault(node.path, i)
    return found


def recount(graph: Graph, reference) -> dict[str, tuple[int, int, int]]:
    """Additions of events, the same in units of their payload, and events, of each layer over all steps."""
    places = layers(graph)
    counts = {path: np.zeros(3, np.int64) for path in places}
    wanted = {graph.nodes[i].inputs[0] for i in places.values()}
    met = {path: fan_outs(graph, i) for path, i in places.items()}
    for values in operands(graph, reference, wanted):
        for path, i in places.items():
            x = values[graph.nodes[i].inputs[0]]
            counts[path] += [met[path][x != 0].sum(), round(float((met[path] * np.abs(x)).sum())), np.count_nonzero(x)]
    return {path: tuple(map(int, c)) for path, c in counts.items()}
