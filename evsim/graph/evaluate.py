"""evaluate: a graph densely in NumPy, step by step: slow, obvious, and all that a graph means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evsim.graph.graph import Graph, Node
from evsim.graph.ops import OPS
from evsim.graph.twins import Twin, form_from, twin_of

__all__ = ["DenseRun", "evaluate", "evaluate_readout", "steps_of_input"]


@dataclass(eq=False)
class DenseRun:
    """What an evaluation leaves behind.

    Attributes
    ----------
    sent : dict of str to array [n_steps, ...]
        What each population sent, in payloads; where spikes were forced, what it would have sent.
    margins : dict of str to array [n_steps, ...]
        How far each charge was from where the decision changes.
    output : array
    """

    sent: dict[str, np.ndarray] = field(default_factory=dict)
    margins: dict[str, np.ndarray] = field(default_factory=dict)
    output: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def logits(self) -> np.ndarray:
        return self.output.reshape(-1)


def steps_of_input(graph: Graph, example: np.ndarray) -> list[np.ndarray]:
    """The example as the input of each step."""
    example = np.asarray(example, np.float32)
    if graph.is_still:
        return [example.reshape(graph.input_shape)] * graph.n_steps
    moved = np.moveaxis(example, graph.axes.index("T"), 0)
    return [step.reshape(graph.input_shape) for step in moved]


def evaluate(graph: Graph, steps: Sequence[np.ndarray], forced: Mapping[str, np.ndarray] | None = None) -> DenseRun:
    """Run all steps, then the readout.

    Parameters
    ----------
    graph : Graph
    steps : sequence of array
        See `steps_of_input`.
    forced : mapping of str to array [n_steps, ...], optional
        Payloads that the populations send whatever they would have sent: each is checked by itself.
    """
    with np.errstate(all="ignore"):
        return _run(graph, steps, forced or {})


def _run(graph: Graph, steps: Sequence[np.ndarray], forced: Mapping[str, np.ndarray]) -> DenseRun:
    twins = {
        i: twin_of(form_from(node.attributes["form"]), node.attributes["unit"], node.attributes["axis"])
        for i, node in enumerate(graph.nodes) if node.op == "neuron"
    }  # fmt: skip
    wanted = {i for node in graph.readout if node.op in ("steps", "at_step") for i in node.inputs}
    last_use = _last_uses(graph.nodes)
    fixed: dict[int, np.ndarray] = {}
    kept: dict[int, list[np.ndarray]] = {i: [] for i in wanted}
    run = DenseRun({}, {})
    sent = {graph.nodes[i].attributes["path"]: [] for i in twins}
    margins = {path: [] for path in sent}
    for t, given in enumerate(steps):
        values: dict[int, np.ndarray] = {}
        for i, node in enumerate(graph.nodes):
            if i in fixed:
                values[i] = fixed[i]
            elif node.op == "input":
                values[i] = given
            elif node.op == "tensor":
                values[i] = fixed[i] = graph.tensors[node.attributes["name"]]
            elif node.op == "neuron":
                values[i] = _fire(node, twins[i], values[node.inputs[0]], t, forced, sent, margins)
            else:
                values[i] = OPS[node.op].value(node.attributes, *(values[j] for j in node.inputs))
                if all(j in fixed for j in node.inputs):
                    fixed[i] = values[i]
            for j in last_use.get(i, ()):
                if j not in wanted:
                    values.pop(j, None)
        for i in wanted:
            kept[i].append(values[i])
    run.sent = {path: np.stack(found) for path, found in sent.items()}
    run.margins = {path: np.stack(found) for path, found in margins.items()}
    run.output = evaluate_readout(graph, {i: np.stack(found) for i, found in kept.items()})
    return run


def _fire(node: Node, twin: Twin, x: np.ndarray, t: int, forced, sent, margins) -> np.ndarray:
    path = node.attributes["path"]
    told = forced[path][t].reshape(x.shape).astype(np.float32) if path in forced else None
    fired = twin.step(x, told)
    sent[path].append(fired)
    margins[path].append(twin.margin())
    payload = fired if told is None else told
    return payload if twin.unit == 1 else payload * twin.unit


def _last_uses(nodes: list[Node]) -> dict[int, list[int]]:
    """Which values are needed no longer once a node is done."""
    last = {j: i for i, node in enumerate(nodes) for j in node.inputs}
    uses: dict[int, list[int]] = {}
    for j, i in last.items():
        uses.setdefault(i, []).append(j)
    return uses


def evaluate_readout(graph: Graph, kept: Mapping[int, np.ndarray]) -> np.ndarray:
    """The output, from the values of all steps [n_steps, ...] of the nodes that the readout reads."""
    values = dict(_readout_values(graph, kept))
    return values[graph.output]


def _readout_values(graph: Graph, kept: Mapping[int, np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    values: dict[int, np.ndarray] = {}
    for place, node in enumerate(graph.readout, len(graph.nodes)):
        if node.op == "steps":
            value = _all_steps(node, kept[node.inputs[0]])
        elif node.op == "at_step":
            value = kept[node.inputs[0]][node.attributes["step"]].reshape(node.shape)
        elif node.op == "tensor":
            value = graph.tensors[node.attributes["name"]]
        elif node.op == "integrator":
            twin = twin_of(form_from(node.attributes["form"]))
            value = np.stack([twin.step(x) for x in values[node.inputs[0]]])
        else:
            value = OPS[node.op].value(node.attributes, *(values[i] for i in node.inputs))
        values[place] = value
        yield place, value


def _all_steps(node: Node, steps: np.ndarray) -> np.ndarray:
    """[n_steps, ...] with time moved to where the model had it: inside axis `axis`, behind `lead` other places."""
    axis, lead, n_steps = node.attributes["axis"], node.attributes["lead"], steps.shape[0]
    before = node.shape[:axis]
    rest = node.shape[axis] // (lead * n_steps) if node.shape else 1
    split = steps.reshape(n_steps, *before, lead, rest, *node.shape[axis + 1 :])
    return np.moveaxis(split, 0, axis + 1).reshape(node.shape)
