"""lower: a graph becomes a network of event-driven handlers, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError, EvsimError
from evsim.graph.graph import Graph, Node
from evsim.graph.lower import arithmetic, dense, layers, neurons, pools, products
from evsim.graph.lower.building import Building
from evsim.graph.lower.readout import add_readout
from evsim.graph.lower.refusal import Unfit
from evsim.graph.lower.values import Events, Fixed, Value, positions
from evsim.graph.ops import OPS

__all__ = ["Lowered", "input_layout", "lower"]

Rule = Callable[[Building, int, Node, list[Value]], Value]
_RULES: dict[str, Rule] = {}
for _module in (arithmetic, layers, neurons, pools, products):
    _RULES |= _module.RULES


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network, and what was decided on the way.

    Parameters
    ----------
    network : Network
    notes : list of str
        What was fused, what multiplies real values.
    dense : dict of str to str
        Handlers that run densely, and the operation they stand for.
    """

    network: Network
    notes: list[str] = field(default_factory=list)
    dense: dict[str, str] = field(default_factory=dict)


def lower(
    graph: Graph, name: str = "recorded", rates: Mapping[str, float] | None = None, *, as_written: bool = False,
    allow_dense: bool = False, any_steps: bool = False,
) -> Lowered:  # fmt: skip
    """The network of a graph.

    Parameters
    ----------
    graph : Graph
    name : str
    rates : mapping of str to float, optional
        Measured spikes per neuron and step of each population: they decide what is worth fusing.
    as_written : bool
        Keep layers apart that have no neurons between them.
    allow_dense : bool
        Operations without an event-driven form run on whole arrays, counted apart.
    any_steps : bool
        Whether the network runs with another number of steps as well; its readout then is written for one step.

    Raises
    ------
    CheckpointError
        An operation has no event-driven form, and dense ones are not allowed.
    """
    at, shape = input_layout(graph)
    network = Network(name, shape, graph.n_steps)
    building = Building(graph, network, rates or {}, as_written)
    values: dict[int, Value] = {}
    dense_ones: dict[str, str] = {}
    fixed = fold(graph)
    for i, node in enumerate(graph.nodes):
        building.now = i
        if i in fixed:
            values[i] = Fixed(fixed[i])
        elif node.op == "input":
            values[i] = Events(INPUT, at, at.size, "X", n_channels=shape[2])
        else:
            inputs = [values[j] for j in node.inputs]
            values[i] = _value(building, i, node, inputs, allow_dense, dense_ones)
    building.now = len(graph.nodes)
    add_readout(building, graph, values, any_steps)
    return Lowered(network, building.notes, dense_ones)


def _value(building: Building, i: int, node: Node, inputs: list[Value], allow_dense: bool, dense_ones) -> Value:
    rule = _RULES.get(node.op)
    try:
        if rule is None:
            raise Unfit("no handler does it")
        if any(isinstance(value, Events) and value.kind == "absent" for value in inputs) and node.op not in (
            "mul", "reshape", "permute", "expand", "slice",
        ):  # fmt: skip
            raise Unfit("1 - spikes")
        return rule(building, i, node, inputs)
    except Unfit as unfit:
        if not allow_dense:
            raise CheckpointError(
                f"{node.path or 'the model'}: operation {node.op} has no event-driven form here ({unfit}): allow_dense "
                "(--allow-dense) runs it densely and counts it so"
            ) from None
        return dense.value(building, i, node, inputs, dense_ones)
    except EvsimError as error:
        raise CheckpointError(f"{node.path or 'the model'}: {error}") from None
    except Exception as error:  # a graph that nobody foresaw, maybe a stranger's
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CheckpointError(
            f"{node.path or 'the model'}: operation {node.op} is used in a way that has no event-driven form here "
            f"({words})"
        ) from error


def fold(graph: Graph) -> dict[int, np.ndarray]:
    """The values that depend on weights alone, worked out once."""
    fixed: dict[int, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for i, node in enumerate(graph.nodes):
            if node.op == "tensor":
                fixed[i] = graph.tensors[node.attributes["name"]]
            elif node.op not in ("input", "neuron") and all(j in fixed for j in node.inputs):
                fixed[i] = OPS[node.op].value(node.attributes, *(fixed[j] for j in node.inputs))
                _check_finite(graph, node, fixed[i])
    return fixed


def _check_finite(graph: Graph, node: Node, array: np.ndarray) -> None:
    """A weight that is computed and infinite comes from a statistic that nobody ever set."""
    if np.all(np.isfinite(array)):
        return
    names = [graph.nodes[j].attributes["name"] for j in node.inputs if graph.nodes[j].op == "tensor"]
    raise CheckpointError(
        f"{node.path or 'the model'}: {node.op} of {', '.join(names) or 'its weights'} is not finite: a statistic that "
        "was never set (a firing rate or a variance of 0), expected a trained model"
    )


def input_layout(graph: Graph) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The address of each element of one step's input, and its rows, columns and channels.

    The letters C, H and W say which axis is which; without them the first of three or two data axes is the channels.
    """
    letters = [letter for letter in graph.axes if letter not in "TB"]
    sizes = [size for size, letter in zip(graph.input_shape, graph.axes, strict=True) if letter not in "TB"]
    order = _channels_last(letters)
    turned = [sizes[axis] for axis in order]
    shape = tuple([1] * (3 - len(turned)) + turned)
    if len(turned) > 3:
        raise CheckpointError(
            f"the input has {len(turned)} axes of data, expected up to three: channels, rows, columns"
        )
    at = positions(tuple(turned)).transpose(np.argsort(order)) if order else positions((1,))
    return np.ascontiguousarray(at).reshape(graph.input_shape), shape


def _channels_last(letters: list[str]) -> list[int]:
    if sorted(letters) == ["C", "H", "W"]:
        return [letters.index(letter) for letter in "HWC"]
    return [*range(1, len(letters)), 0] if letters else []
