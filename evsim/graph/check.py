"""A graph from a file, checked before it is believed: the worst a stranger's file can do is compute wrong numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.refusal import Refused, shown
from evsim.errors import EvsimError
from evsim.graph.graph import FORMAT, Graph, Node
from evsim.graph.ops import OPS
from evsim.graph.ops.op import BadNode
from evsim.graph.twins import form_from

__all__ = ["parse_graph"]

_LARGEST_TEXT = 8 * 2**20
_MOST_NODES = 50_000
_MOST_STEPS = 10_000
_LARGEST_OF_STEP = 2**24
"""Elements of a value that comes with the input; 1280 x 720 pixels in 16 channels have fewer."""
_MOST_ELEMENTS = 2**28
"""Of all such values together, of one step; and of all values of the readout."""
_FIXED_TO_TENSORS = 64
"""What is computed of weights alone is no larger than so many times the weights (and some room for small ones)."""
_READOUT_ONLY = {"steps", "at_step", "integrator"}
_STEP_ONLY = {"input", "neuron"}
_KEYS = {"op", "in", "out", "path"}


def parse_graph(text: bytes, tensors: Mapping[str, np.ndarray]) -> Graph:
    """The graph that a file's ``ir_json`` describes, with its tensors.

    Raises
    ------
    Refused
        It is no graph: unknown operations, operands that come later or not at all, shapes that do not follow, names of
        tensors that are not there, sizes beyond all reason.
    """
    data = _load(text)
    try:
        return _parse(data, tensors)
    except BadNode as error:
        raise Refused(f"its graph: {error}") from None


def _load(text: bytes) -> dict:
    if len(text) > _LARGEST_TEXT:
        raise Refused(f"its graph takes {len(text)} bytes, more than {_LARGEST_TEXT}")
    if (n_nodes := text.count(b'"op"')) > _MOST_NODES:  # before seconds are spent on reading them
        raise Refused(f"its graph has {n_nodes} nodes, more than {_MOST_NODES}")
    try:
        data = json.loads(text.decode(), parse_constant=_constant)
    except (ValueError, RecursionError):
        raise Refused("its graph is not JSON") from None
    if type(data) is not dict or data.get("format") != FORMAT:
        found = data.get("format") if type(data) is dict else None
        raise Refused(f"its graph has the format {shown(found)}, and this evsim reads {FORMAT}")
    return data


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError(name)
    return math.inf if name == "Infinity" else -math.inf


def _parse(data: Mapping[str, object], tensors: Mapping[str, np.ndarray]) -> Graph:
    given = _field(data, "input", dict)
    n_steps, axes = _field(data, "n_steps", int), _field(given, "axes", str)
    if not 1 <= n_steps <= _MOST_STEPS:
        raise BadNode(f"n_steps is {n_steps}, expected 1 to {_MOST_STEPS}")
    if not 0 < len(axes) <= 12 or not axes.isalpha():
        raise BadNode(f"the input's axes are {shown(axes)}, expected a letter each")
    raw_nodes, raw_readout = _field(data, "nodes", list), _field(data, "readout", list)
    if len(raw_nodes) + len(raw_readout) > _MOST_NODES:
        raise BadNode(f"it has {len(raw_nodes) + len(raw_readout)} nodes, more than {_MOST_NODES}")
    nodes: list[Node] = []
    for raw in raw_nodes:
        nodes.append(_node(raw, nodes, 0, tensors, _READOUT_ONLY))
    _check_step(nodes, tensors)
    readout: list[Node] = []
    for raw in raw_readout:
        readout.append(_readout_node(raw, nodes, readout, n_steps, tensors))
    _check_total(sum(math.prod(node.shape) for node in readout), "in the end")
    output = _field(data, "output", int)
    if not len(nodes) <= output < len(nodes) + len(readout):
        raise BadNode(f"its output is node {output}, expected one of the readout")
    graph = Graph(
        n_steps, _field(given, "still", bool), axes, nodes, readout, output, _field(data, "by_step", bool),
        dict(tensors),
    )  # fmt: skip
    _check_input(graph)
    return graph


def _field(data: Mapping[str, object], name: str, kind: type):
    value = data.get(name)
    if type(value) is not kind:
        raise BadNode(f"{name} is {shown(value)}, expected {kind.__name__}")
    return value


def _check_input(graph: Graph) -> None:
    inputs = [node for node in graph.nodes if node.op == "input"]
    if len(inputs) != 1:
        raise BadNode(f"it has {len(inputs)} inputs, expected one")
    if ("T" in graph.axes) == graph.is_still:
        raise BadNode("the input's axes and 'still' contradict each other")
    if len(inputs[0].shape) != len(graph.axes):
        raise BadNode(f"its input has {len(inputs[0].shape)} axes, their names are {shown(graph.axes)}")
    for size, letter in zip(inputs[0].shape, graph.axes, strict=True):
        if letter in "TB" and size != 1:
            raise BadNode(f"the axis {letter} of one step's input has size {size}, expected 1")
    shape = graph.node(graph.output).shape
    if graph.by_step and (not shape or shape[0] != graph.n_steps):
        raise BadNode(f"its output is {shown(list(shape))}, expected {graph.n_steps} steps in front")


def _check_step(nodes: list[Node], tensors: Mapping[str, np.ndarray]) -> None:
    """Sizes of everything together, and that no two populations share a name."""
    fixed: set[int] = set()
    made = total = 0
    for i, node in enumerate(nodes):
        size = math.prod(node.shape)
        if node.op not in ("input", "neuron") and fixed.issuperset(node.inputs):
            fixed.add(i)
            made += size if node.op != "tensor" else 0
            continue
        total += size
        if size > _LARGEST_OF_STEP:
            raise BadNode(f"node {i} ({node.op}): makes {size} elements at each step, more than {_LARGEST_OF_STEP}")
    _check_total(total, "a step")
    room = _FIXED_TO_TENSORS * sum(tensor.size for tensor in tensors.values()) + 2**22
    if made > room:
        raise BadNode(f"constants made of its weights take {made} elements, more than {room}")
    paths = [node.attributes["path"] for node in nodes if node.op == "neuron"]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise BadNode(f"two populations are called {shown(twice)}")


def _check_total(n_elements: int, when: str) -> None:
    if n_elements > _MOST_ELEMENTS:
        raise BadNode(f"its values take {n_elements} elements {when}, more than {_MOST_ELEMENTS}")


def _node(
    raw: object, before: list[Node], first: int, tensors: Mapping[str, np.ndarray], forbidden: set[str]
) -> Node:  # fmt: skip
    where = f"node {first + len(before)}"
    if type(raw) is not dict or type(raw.get("op")) is not str or raw["op"] not in OPS or raw["op"] in forbidden:
        op = raw.get("op") if type(raw) is dict else raw
        raise BadNode(f"{where}: the operation {shown(op)} is unknown here")
    op, name = OPS[raw["op"]], raw["op"]
    where = f"{where} ({name})"
    path, places, out = raw.get("path", ""), raw.get("in"), raw.get("out")
    if type(path) is not str or len(path) > 1000 or not (path == "" or path.isprintable()):
        raise BadNode(f"{where}: its path is {shown(path)}")
    if type(places) is not list or not op.n_inputs[0] <= len(places) <= op.n_inputs[1]:
        raise BadNode(f"{where}: its operands are {shown(places)}, expected {op.n_inputs[0]} to {op.n_inputs[1]}")
    for place in places:
        if type(place) is not int or not first <= place < first + len(before):
            raise BadNode(f"{where}: reads {shown(place)}, expected a node before it")
    attributes = _attributes(where, raw, op.attributes)
    try:
        shape = op.shape(attributes, *(before[place - first].shape for place in places))
    except BadNode as error:
        raise BadNode(f"{where}: {error}") from None
    if type(out) is not list or out != list(shape):
        raise BadNode(f"{where}: says it makes {shown(out)}, and makes {list(shape)}")
    node = Node(name, tuple(places), attributes, tuple(shape), path)
    _check_leaf(where, node, tensors)
    return node


def _attributes(where: str, raw: Mapping[str, object], expected) -> dict[str, object]:
    wrong = (set(raw) - _KEYS) ^ (set(expected) - _KEYS)
    if wrong:
        raise BadNode(f"{where}: the attribute {shown(min(map(str, wrong)))} is missing or unknown")
    attributes = {}
    for key, check in expected.items():
        try:
            attributes[key] = check(raw.get(key))
        except BadNode as error:
            raise BadNode(f"{where}: {key} {error}") from None
    return attributes


def _check_leaf(where: str, node: Node, tensors: Mapping[str, np.ndarray]) -> None:
    if node.op == "tensor":
        name = node.attributes["name"]
        if name not in tensors:
            raise BadNode(f"{where}: the file has no tensor {shown(name)}")
        if tensors[name].shape != node.shape or tensors[name].dtype.kind not in "fiub":
            raise BadNode(f"{where}: tensor {shown(name)} is {tensors[name].shape}, expected {node.shape}")
    if node.op in ("neuron", "integrator"):
        _check_form(where, node)


def _check_form(where: str, node: Node) -> None:
    """The form must be one, its numbers must fit the population, and what it sends must be where it may be sent."""
    try:
        form = form_from(node.attributes["form"])
    except (EvsimError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise BadNode(f"{where}: its neurons: {shown(str(error))}") from None
    if (form.sends == "R") != (node.op == "integrator"):
        raise BadNode(f"{where}: neurons that send {form.sends!r} cannot stand here")
    axis, unit = node.attributes.get("axis", 0), node.attributes.get("unit", 1.0)
    arrays = [value.shape for value in vars(form).values() if isinstance(value, np.ndarray) and value.ndim]
    size = node.shape[axis] if axis and -axis <= len(node.shape) else None
    if any(shape != (size,) for shape in arrays):
        raise BadNode(f"{where}: its neurons have numbers of shape {shown(arrays[0])} along an axis of {size}")
    if not 0 < unit < math.inf:
        raise BadNode(f"{where}: unit is {unit}, expected a positive number")


def _readout_node(raw: object, nodes, readout, n_steps: int, tensors: Mapping[str, np.ndarray]) -> Node:
    first = len(nodes)
    if type(raw) is dict and raw.get("op") in ("steps", "at_step"):
        node = _node({**raw, "in": raw.get("in")}, nodes, 0, tensors, set())
        _check_steps(f"node {first + len(readout)} ({node.op})", node, nodes[node.inputs[0]].shape, n_steps)
        return node
    return _node(raw, readout, first, tensors, _STEP_ONLY)


def _check_steps(where: str, node: Node, shape: tuple[int, ...], n_steps: int) -> None:
    """All steps of a value have so many elements, and time where they say it is."""
    times = n_steps if node.op == "steps" else 1
    if math.prod(node.shape) != times * math.prod(shape):
        raise BadNode(f"{where}: makes {list(node.shape)} of {times} times {list(shape)}")
    if node.op == "at_step" and node.attributes["step"] >= n_steps:
        raise BadNode(f"{where}: reads step {node.attributes['step']} of {n_steps}")
    if node.op == "steps":
        axis, lead = node.attributes["axis"], node.attributes["lead"]
        if axis >= len(node.shape) or node.shape[axis] % (lead * n_steps):
            raise BadNode(f"{where}: time is in axis {axis} behind {lead} places of {list(node.shape)}")
