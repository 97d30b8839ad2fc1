"""A graph in a weights file: tensors under the model's names, the graph as text, what the model did on an example."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.refusal import Refused, shown
from evsim.checkpoints.weights import Weights
from evsim.graph.check import parse_graph
from evsim.graph.evaluate import steps_of_input
from evsim.graph.graph import Graph

__all__ = ["FAMILY", "GRAPH", "StoredReference", "from_weights", "to_weights"]

FAMILY = "recorded"
GRAPH = "ir_json"
_REFERENCE = "reference/"
_PACKED, _WHOLE, _DEFLATED = f"{_REFERENCE}spk/", f"{_REFERENCE}ispk/", f"{_REFERENCE}zspk/"
"""Spikes of a population as bits, payloads as whole numbers, or the bits deflated (RFC 1951)."""


@dataclass(frozen=True, eq=False)
class StoredReference:
    """What the model did on the example it was recorded with.

    Parameters
    ----------
    example : float32 array
        Axes as the model takes them.
    sent : dict of str to array [n_steps, n_neurons]
        Payloads of each population, in the order of the model's own tensors.
    output : float32 array
        As the model returned it.
    """

    example: np.ndarray
    sent: dict[str, np.ndarray]
    output: np.ndarray

    def rates(self) -> dict[str, float]:
        """Events per neuron and step of each population."""
        return {path: float(np.count_nonzero(array)) / max(array.size, 1) for path, array in self.sent.items()}

    def logits(self, graph: Graph) -> np.ndarray:
        """[n_classes]: the mean over the steps where the model returns each step."""
        if not graph.by_step:
            return self.output.reshape(-1)
        return self.output.reshape(graph.n_steps, -1).mean(axis=0, dtype=np.float64).astype(np.float32)


def to_weights(graph: Graph, reference: StoredReference | None, header: Mapping[str, object]) -> Weights:
    """What `evsim.checkpoints.weights.write_weights` writes; `header` has everything but the family.

    Raises
    ------
    Refused
        A tensor has a name that the file needs for itself.
    """
    taken = [name for name in graph.tensors if name == GRAPH or name.startswith(_REFERENCE)]
    if taken:
        raise Refused(f"a tensor is called {shown(taken[0])}, which a weights file needs for itself")
    tensors = dict(graph.tensors)
    tensors[GRAPH] = np.frombuffer(graph.to_json().encode(), np.uint8)
    if reference is not None:
        tensors |= _encoded(reference)
    return Weights(tensors, {"family": FAMILY, **header})


def from_weights(weights: Weights) -> tuple[Graph, StoredReference | None]:
    """The graph of a weights file, checked, and its reference where it has one.

    Raises
    ------
    Refused
        There is no graph, it is none, or the reference does not fit it.
    """
    text = weights.tensors.get(GRAPH)
    if text is None or text.dtype != np.uint8 or text.ndim != 1:
        raise Refused(f"has no graph ({GRAPH})")
    own = {n: t for n, t in weights.tensors.items() if n != GRAPH and not n.startswith(_REFERENCE)}
    graph = parse_graph(text.tobytes(), {name: _real(name, tensor) for name, tensor in own.items()})
    unused = sorted(
        set(own) - {node.attributes["name"] for node in (*graph.nodes, *graph.readout) if node.op == "tensor"}
    )
    if unused:
        raise Refused(f"its graph does not use the tensor {shown(unused[0])}")
    return graph, _decoded(graph, weights.tensors)


def _real(name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype.kind not in "fiub":
        raise Refused(f"its tensor {shown(name)} is of type {tensor.dtype}")
    return np.asarray(tensor, np.float32)


def _encoded(reference: StoredReference) -> dict[str, np.ndarray]:
    """Binary payloads as bits, deflated; whole numbers in as few bytes as they need."""
    tensors = {
        f"{_REFERENCE}input": _narrow(reference.example),
        f"{_REFERENCE}output": np.asarray(reference.output, np.float32),
    }
    for path, array in reference.sent.items():
        if np.all((array == 0) | (array == 1)):
            bits = np.packbits(array.astype(bool).reshape(-1)).tobytes()
            tensors[_DEFLATED + path] = np.frombuffer(zlib.compress(bits, 6), np.uint8)
        else:
            tensors[_WHOLE + path] = _narrow(array)
    return tensors


def _narrow(array: np.ndarray) -> np.ndarray:
    """The same values in the smallest type that holds them all."""
    for kind in (np.uint8, np.int8, np.int16, np.int32):
        narrow = array.astype(kind)
        if np.array_equal(narrow, array):
            return narrow
    return np.asarray(array, np.float32)


def _decoded(graph: Graph, tensors: Mapping[str, np.ndarray]) -> StoredReference | None:
    if f"{_REFERENCE}input" not in tensors:
        return None
    example = np.asarray(tensors[f"{_REFERENCE}input"], np.float32)
    try:
        steps = steps_of_input(graph, example)
    except ValueError:
        steps = []
    if len(steps) != graph.n_steps:
        raise Refused(f"its reference input is {shown(list(example.shape))}, which does not fit its graph")
    output = tensors.get(f"{_REFERENCE}output", np.empty(0, np.float32))
    if output.size != int(np.prod(graph.node(graph.output).shape)):
        raise Refused(f"its reference output is {shown(list(output.shape))}, which does not fit its graph")
    return StoredReference(example, {path: _sent(graph, tensors, path) for path in graph.neurons()}, output)


def _inflated(deflated: np.ndarray, n_bytes: int) -> np.ndarray | None:
    """Just so many bytes; None where it holds fewer, more, or nothing of the kind."""
    machine = zlib.decompressobj()
    try:
        data = machine.decompress(deflated.tobytes(), n_bytes + 1)
    except zlib.error:
        return None
    return np.frombuffer(data, np.uint8) if len(data) == n_bytes and machine.eof else None


def _sent(graph: Graph, tensors: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    n = int(np.prod(graph.nodes[graph.neurons()[path]].shape))
    packed, whole = tensors.get(_PACKED + path), tensors.get(_WHOLE + path)
    if _DEFLATED + path in tensors:
        packed = _inflated(tensors[_DEFLATED + path], (graph.n_steps * n + 7) // 8)
    if packed is not None and packed.dtype == np.uint8 and packed.shape == ((graph.n_steps * n + 7) // 8,):
        return np.unpackbits(packed, count=graph.n_steps * n).reshape(graph.n_steps, n)
    if whole is not None and whole.dtype.kind in "iu" and whole.size == graph.n_steps * n:
        return whole.reshape(graph.n_steps, n)
    raise Refused(f"its reference has no spikes of {shown(path)} that fit its graph")
