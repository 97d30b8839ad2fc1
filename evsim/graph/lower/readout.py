"""The end of a network: logits at each step where the model's output is their mean, else a program of all steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.errors import CheckpointError
from evsim.graph.evaluate import evaluate_readout
from evsim.graph.graph import Graph, Node
from evsim.graph.lower.arithmetic import as_real
from evsim.graph.lower.building import Building
from evsim.graph.lower.dense import cost
from evsim.graph.lower.layers import matmul_of_weights
from evsim.graph.lower.values import Events, Fixed, Part, Real, Stored, Sum, Value, positions, view
from evsim.graph.steps import with_steps
from evsim.handlers.readout import Readout

__all__ = ["add_readout"]


def add_readout(building: Building, graph: Graph, values: Mapping[int, Value], any_steps: bool = False) -> None:
    """Append the handler that holds the logits; with `any_steps` it takes as many steps as come.

    Raises
    ------
    CheckpointError
        The readout is no such for any number of steps.
    """
    if any_steps:
        graph = with_steps(graph, 1)
    logits = _linear_in_steps(building, graph, values)
    if logits is None:
        _add_program(building, graph, values, any_steps)
        return
    real = as_real(building, len(graph.nodes), logits, graph.node(graph.output).path)
    n = math.prod(real.shape)
    current = building.store_alone(real, positions((n,)).reshape(real.shape), (1, n))
    building.add(Readout(building.name("", "readout"), current))


def _linear_in_steps(building: Building, graph: Graph, values: Mapping[int, Value]) -> Value | None:
    """What has the output as its mean over the steps, if the readout is a mean and what commutes with one."""
    node = graph.node(graph.output)
    if node.op == "steps":
        return values[node.inputs[0]] if graph.by_step else None
    return _mean_of(building, graph, values, graph.output)


def _mean_of(building: Building, graph: Graph, values, place: int) -> Value | None:
    """The value whose mean over the steps a node of the readout is; None where it is anything else."""
    node = graph.node(place)
    if node.op == "mean":
        source = graph.node(node.inputs[0])
        if source.op != "steps" or source.attributes["lead"] != 1:
            return None
        axis, n_steps = source.attributes["axis"], graph.n_steps
        if [dim % len(source.shape) for dim in node.attributes["dims"]] != [axis] or source.shape[axis] != n_steps:
            return None
        shape = node.shape
        return view(values[source.inputs[0]], lambda x: x.reshape(shape))
    if node.op in ("reshape", "permute"):
        inner = _mean_of(building, graph, values, node.inputs[0])
        return None if inner is None else _moved(node, inner)
    if node.op in ("add", "matmul"):
        return _layer_of_mean(building, graph, values, node)
    return None


def _moved(node: Node, value: Value) -> Value:
    a = node.attributes
    return view(value, lambda x: x.reshape(a["shape"]) if node.op == "reshape" else x.transpose(a["dims"]))


def _layer_of_mean(building: Building, graph: Graph, values, node: Node) -> Value | None:
    """A classifier behind the mean: the mean of what it makes of each step."""
    fixed = _fixed(graph)
    x, w = node.inputs
    if x in fixed and node.op == "add":
        x, w = w, x
    if w not in fixed or x in fixed:
        return None
    inner = _mean_of(building, graph, values, x)
    if inner is None:
        return None
    if node.op == "matmul":
        made = matmul_of_weights(building, len(graph.nodes), node, inner, fixed[w])
        if hasattr(made.of.producer, "is_once"):
            made.of.producer.is_once = True
        return made
    real = as_real(building, len(graph.nodes), inner, node.path)
    constant = np.asarray(fixed[w], np.float64)
    if real.of.producer is not None and hasattr(real.of.producer, "has_bias"):
        real.of.producer.has_bias = True
    return Real(Sum(len(graph.nodes), node.shape, [Part(real.of, real.at)], constant=constant))


def _fixed(graph: Graph) -> dict[int, np.ndarray]:
    """Values of the readout that depend on weights alone."""
    from evsim.graph.ops import OPS

    fixed: dict[int, np.ndarray] = {}
    for place, node in enumerate(graph.readout, len(graph.nodes)):
        if node.op == "tensor":
            fixed[place] = graph.tensors[node.attributes["name"]]
        elif node.op not in ("steps", "at_step", "integrator") and all(i in fixed for i in node.inputs):
            fixed[place] = OPS[node.op].value(node.attributes, *(fixed[i] for i in node.inputs))
    return fixed


def _add_program(building: Building, graph: Graph, values: Mapping[int, Value], any_steps: bool) -> None:
    """The readout as the graph has it, once, on the values of all steps."""
    wanted = sorted({node.inputs[0] for node in graph.readout if node.op in ("steps", "at_step")})
    if not wanted:
        raise CheckpointError("the model: its output does not depend on the input")
    inputs, ports, takers = [], {}, {}
    for k, place in enumerate(wanted):
        value = values[place]
        if isinstance(value, Fixed):
            takers[place] = value.array
            continue
        if isinstance(value, Events) and value.kind != "absent":
            ports[f"in{k}"] = value.source
            inputs.append((f"in{k}", (value.n_places,)))
            takers[place] = (len(inputs) - 1, value.at, value.unit)
            continue
        stored: Stored = building.store(as_real(building, len(graph.nodes), value, ""))
        inputs.append((stored.current, (stored.current.n_places, stored.current.n_channels)))
        takers[place] = (len(inputs) - 1, stored.at, 1.0)
    if any_steps and not graph.by_step:
        raise CheckpointError("the model: its output is no value of each step, so that it has a number of steps")
    n_classes = math.prod(graph.node(graph.output).shape) // (graph.n_steps if graph.by_step else 1)
    name = building.name("", "readout")
    from evsim.handlers.readout_program import ReadoutProgram

    layer = ReadoutProgram(
        name, _Program(graph, takers), inputs, n_classes, cost=_cost(graph), costs_each_step=any_steps
    )
    building.add(layer, **ports)


class _Program:
    """Arrays [n_steps, places ...] -> logits."""

    def __init__(self, graph: Graph, takers: Mapping[int, object]) -> None:
        self.graph, self.takers = graph, takers

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        n_steps = arrays[0].shape[0] if arrays else self.graph.n_steps
        graph = self.graph if n_steps == self.graph.n_steps else with_steps(self.graph, n_steps)
        kept = {}
        for place, taker in self.takers.items():
            if isinstance(taker, np.ndarray):
                kept[place] = np.broadcast_to(taker, (n_steps, *taker.shape))
                continue
            which, at, unit = taker
            rows = arrays[which].reshape(arrays[which].shape[0], -1)
            padded = np.concatenate([rows, np.zeros((rows.shape[0], 1), np.float32)], axis=1)
            kept[place] = padded[:, at] * np.float32(unit)
        with np.errstate(all="ignore"):
            made = np.asarray(evaluate_readout(graph, kept), np.float32)
        if graph.by_step:  # logits are the mean of what the model returns for each step
            return made.reshape(n_steps, -1).mean(axis=0, dtype=np.float64).astype(np.float32)
        return made.reshape(-1)


def _cost(graph: Graph) -> OpCounts:
    """Once: products as real ones, additions of steps as residual ones."""
    macs = adds = scalings = comparisons = updates = 0
    for node in graph.readout:
        shapes = [graph.node(i).shape for i in node.inputs]
        n = math.prod(node.shape)
        if node.op in ("matmul", "conv"):
            macs += cost(node, shapes)[0]
        elif node.op in ("sum", "mean", "cumsum", "add", "sub"):
            adds += max(0, math.prod(shapes[0]) - n) if node.op in ("sum", "mean") else n
            scalings += n if node.op == "mean" else 0
        elif node.op == "integrator":
            updates += n
        elif node.op in ("mul", "div", "batch_norm"):
            scalings += n
        else:
            comparisons += cost(node, shapes)[1] if shapes else 0
    if graph.by_step and graph.n_steps > 1:
        n = math.prod(graph.node(graph.output).shape)
        adds, scalings = adds + n - n // graph.n_steps, scalings + n // graph.n_steps
    return OpCounts(macs=macs, residual_adds=adds, scalings=scalings, comparisons=comparisons, updates=updates)
