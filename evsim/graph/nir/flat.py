"""flatten: subgraphs in their places, nodes in an order in which each comes behind what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evsim.checkpoints.refusal import Refused, listed, shown

__all__ = ["Flat", "flatten"]

Graph = tuple[Mapping[str, object], Sequence[tuple[str, str]]]


@dataclass(frozen=True, eq=False)
class Flat:
    """A graph without subgraphs.

    Parameters
    ----------
    nodes : dict of str to node
        By path, in order; those of a subgraph are called ``subgraph.node``.
    reads : dict of str to list of str
        What each takes the sum of, in the order of the file.
    input, output : str
    left_out : list of str
        Nodes that lead nowhere.
    """

    nodes: dict[str, object]
    reads: dict[str, list[str]]
    input: str
    output: str
    left_out: list[str] = field(default_factory=list)


def flatten(graph: Graph) -> Flat:
    """The nodes that lead from the input to the output.

    Raises
    ------
    Refused
        An edge leads back, a node reads nothing, or there is not one input and one output: by name.
    """
    nodes: dict[str, object] = {}
    edges: list[tuple[str, str]] = []
    start, end = _put(graph, "", nodes, edges)
    reads: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        reads[target].append(source)
    if reads[start]:
        raise Refused(f"the edge {shown(reads[start][0])} -> {shown(start)} leads into the input")
    order = _order(reads, end)
    for name in order:
        if not reads[name] and name != start:
            raise Refused(f"node {shown(name)} ({type(nodes[name]).__name__}) reads nothing: no edge leads to it")
    kept = set(order)
    left_out = [name for name in nodes if name not in kept]
    return Flat({name: nodes[name] for name in order}, {name: reads[name] for name in order}, start, end, left_out)


def _put(graph: Graph, prefix: str, nodes: dict, edges: list) -> tuple[str, str]:
    """Add a graph under a prefix; where it begins and where it ends."""
    inside, links = graph
    ends: dict[str, tuple[str, str]] = {}
    for key, node in inside.items():
        name = prefix + key
        if not key or not key.isprintable():
            raise Refused(f"a node is called {shown(key)}, expected printable text")
        if isinstance(node, tuple):
            ends[key] = _put(node, f"{name}.", nodes, edges)
            continue
        if name in nodes:
            raise Refused(f"two nodes are called {shown(name)}")
        nodes[name] = node
        ends[key] = (name, name)
    edges.extend((ends[source][1], ends[target][0]) for source, target in links)
    found = []
    for kind in ("Input", "Output"):
        names = [key for key, node in inside.items() if type(node).__name__ == kind]
        if len(names) != 1:
            where = f"the subgraph {shown(prefix[:-1])}" if prefix else "the graph"
            raise Refused(f"{where} has {len(names)} nodes of the type {kind} ({listed(names)}), expected one")
        found.append(prefix + names[0])
    return found[0], found[1]


def _order(reads: Mapping[str, Sequence[str]], end: str) -> list[str]:
    """Depth first from the output, without recursion: a stranger's graph may be as deep as it is long."""
    order: list[str] = []
    done: set[str] = set()
    stack, above = [(end, iter(reads[end]))], {end: 0}
    while stack:
        name, rest = stack[-1]
        for source in rest:
            if source in above:
                around = [*list(above)[above[source] :], source]
                path = " -> ".join(shown(step) for step in reversed(around[-4:]))
                raise Refused(f"recurrent connections cannot run step by step in one pass: {path}")
            if source not in done:
                above[source] = len(above)
                stack.append((source, iter(reads[source])))
                break
        else:
            stack.pop()
            del above[name]
            done.add(name)
            order.append(name)
    return order
