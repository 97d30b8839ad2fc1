"""Graph: a network as data. One step as a list of pure operations, and what is done with all steps in the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = ["FORMAT", "Graph", "Node"]

FORMAT = 1


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation: a value from earlier values.

    Parameters
    ----------
    op : str
        See `evsim.graph.ops`.
    inputs : tuple of int
        Earlier nodes. In a readout, numbers go on where those of the step end.
    attributes : dict
        Plain values.
    shape : tuple of int
        Of its value, without time.
    path : str
        Of the module that computed it; several nodes may share one.
    """

    op: str
    inputs: tuple[int, ...]
    attributes: Mapping[str, object]
    shape: tuple[int, ...]
    path: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """A recorded network.

    Parameters
    ----------
    n_steps : int
        Steps (T) that the network was recorded with.
    is_still : bool
        Whether the input is one image for all steps.
    axes : str
        Of the example it was recorded with, one letter an axis.
    nodes : list of Node
        One step, inputs before use; axes of time and batch have size 1 or are gone.
    readout : list of Node
        What is done when all steps are over. Only "steps" and "at_step" read nodes of the step.
    output : int
        The node (of the readout) that holds the logits.
    by_step : bool
        Whether the first axis of the output is time.
    tensors : dict of str to array
        What the nodes "tensor" name.
    """

    n_steps: int
    is_still: bool
    axes: str
    nodes: list[Node]
    readout: list[Node]
    output: int
    by_step: bool
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one step's input, batch and time of size 1 included."""
        return next(node.shape for node in self.nodes if node.op == "input")

    def node(self, place: int) -> Node:
        """A node of the step or of the readout."""
        return self.nodes[place] if place < len(self.nodes) else self.readout[place - len(self.nodes)]

    def neurons(self) -> dict[str, int]:
        """The populations by path, in order."""
        return {node.attributes["path"]: i for i, node in enumerate(self.nodes) if node.op == "neuron"}

    def to_json(self) -> str:
        """The graph without its tensors."""
        text = {
            "format": FORMAT,
            "n_steps": self.n_steps,
            "input": {"shape": list(self.input_shape), "axes": self.axes, "still": self.is_still},
            "nodes": [_plain(node) for node in self.nodes],
            "readout": [_plain(node) for node in self.readout],
            "output": self.output,
            "by_step": self.by_step,
            "fingerprint": self.fingerprint(),
        }
        return json.dumps(text, separators=(",", ":"))

    def fingerprint(self) -> str:
        """SHA-256 of what it computes, weights and paths left aside."""
        nodes = [{k: v for k, v in _plain(node).items() if k != "path"} for node in (*self.nodes, *self.readout)]
        text = json.dumps([nodes, self.output, self.by_step, self.n_steps], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(node: Node) -> dict:
    return {"op": node.op, "in": list(node.inputs), "out": list(node.shape), "path": node.path, **node.attributes}
