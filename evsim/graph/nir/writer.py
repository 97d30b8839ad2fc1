"""Writer: the NIR graph under construction, and what the rules of layers build with."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from evsim.checkpoints.refusal import Refused
from evsim.graph.graph import Graph, Node
from evsim.graph.nir.write_neurons import Written

__all__ = ["InNir", "Sent", "Writer", "core"]


@dataclass(frozen=True, eq=False)
class InNir:
    """What was made.

    Parameters
    ----------
    graph : nir.NIRGraph
    reset, spikes : str
        What `evsim import` is to be told so that it reads the same neurons.
    rounded : list of str
        Populations whose equation is the same in another order of roundings.
    is_sum : bool
        Whether the model's output is the sum over the steps, of which NIR sends the terms.
    """

    graph: object
    reset: str
    spikes: str
    rounded: list[str]
    is_sum: bool


@dataclass(frozen=True, eq=False)
class Sent:
    """A value: the nodes whose sum it is, its shape in NIR, and whether nobody else reads it.

    `pads` are zeros around its last axes, (before, after) for each, which a convolution is to take in.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    is_alone: bool = True
    pads: tuple[tuple[int, int], ...] = ()


@dataclass(eq=False)
class Writer:
    """Nodes and edges so far.

    Parameters
    ----------
    nir : module
    graph : Graph
    dt : float or None
        Seconds of a step.

    Attributes
    ----------
    values : dict of int to Sent or array
        Of each node of the graph; arrays are what depends on weights alone.
    n_readers : Counter
    needed : set of int
        Nodes that lead to the output.
    """

    nir: object
    graph: Graph
    dt: float | None
    nodes: dict[str, object] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    values: dict[int, Sent | np.ndarray] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)
    is_sum: bool = False

    def __post_init__(self) -> None:
        every = (*self.graph.nodes, *self.graph.readout)
        self.n_readers = Counter(i for node in every for i in node.inputs)
        self.needed = needed(self.graph)

    def refused(self, node: Node, why: str) -> Refused:
        return Refused(f"{node.path or 'the model'}: operation {node.op} cannot be written as NIR: {why}")

    def put(self, node: Node, made: object, source: Sent, shape: tuple[int, ...]) -> Sent:
        """A node of NIR behind a value."""
        if source.pads:
            raise self.refused(node, "zeros are put around what comes in")
        base = (node.attributes.get("path") or node.path or node.op).replace("/", ".")
        name = base if base not in (*self.nodes, "input", "output") else f"{base}.{type(made).__name__.lower()}"
        n = 1
        while name in self.nodes:
            n += 1
            name = f"{base}.{n}"
        self.nodes[name] = made
        self.edges += [(before, name) for before in source.names]
        return Sent((name,), tuple(map(int, shape)))

    def flat(self, node: Node, x: Sent) -> Sent:
        """A map as a vector."""
        made = self.nir.Flatten(input_type={"input": np.array(x.shape)}, start_dim=0, end_dim=-1)
        return self.put(replace(node, op="flatten", attributes={}), made, x, (math.prod(x.shape),))

    def finished(self) -> InNir:
        output = self.values[self.graph.output]
        if isinstance(output, np.ndarray):
            raise Refused("its output does not depend on its input")
        self.nodes["output"] = self.nir.Output({"output": np.array(output.shape)})
        self.edges += [(name, "output") for name in output.names]
        told = {}
        for key in ("reset", "spikes"):
            found = {getattr(one, key) for one in self.written.values()} - {""}
            if len(found) > 1:
                raise Refused(f"some of its populations have {key} {' and others '.join(sorted(found))}: NIR has one")
            told[key] = found.pop() if found else ""
        rounded = [path for path, one in self.written.items() if one.is_rounded]
        made = self.nir.NIRGraph(self.nodes, self.edges, metadata={}, type_check=False)
        return InNir(made, **told, rounded=rounded, is_sum=self.is_sum)


def core(shape: tuple[int, ...], last: int | None = None) -> tuple[int, ...]:
    """The axes of a shape that hold more than one value, or so many of the last ones."""
    return tuple(n for n in shape if n != 1) if last is None else tuple(shape[len(shape) - last :])


def needed(graph: Graph) -> set[int]:
    """The nodes that lead to the output."""
    found, rest = set(), [graph.output]
    while rest:
        place = rest.pop()
        if place not in found:
            found.add(place)
            rest += graph.node(place).inputs
    return found
