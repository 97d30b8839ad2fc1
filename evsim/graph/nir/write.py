"""nir_of: a graph of ours in NIR, where the standard can say it: convolutions, linear layers, pools, sums, neurons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from evsim.checkpoints.refusal import Refused
from evsim.graph.graph import Graph, Node
from evsim.graph.nir.write_neurons import Written, written_neurons
from evsim.graph.ops import OPS
from evsim.graph.twins import form_from

__all__ = ["InNir", "nir_of"]


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
class _Sent:
    """A value: the nodes whose sum it is, its shape in NIR, and whether nobody else reads it.

    `pads` are zeros around its last axes, (before, after) for each, which a convolution is to take in.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    is_alone: bool = True
    pads: tuple[tuple[int, int], ...] = ()


def nir_of(nir, graph: Graph, dt: float | None) -> InNir:
    """The graph in NIR.

    Parameters
    ----------
    nir : module
    graph : Graph
    dt : float or None
        Seconds of a step, which leaks need.

    Raises
    ------
    Refused
        By the module's path: an operation that the standard has no node for, attention first of all.
    """
    writer = _Writer(nir, graph, dt)
    writer.check_products()
    for place in range(len(graph.nodes) + len(graph.readout)):
        writer.take(place, graph.node(place))
    return writer.finished()


@dataclass(eq=False)
class _Writer:
    nir: object
    graph: Graph
    dt: float | None
    nodes: dict[str, object] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    values: dict[int, _Sent | np.ndarray] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)
    is_sum: bool = False

    def __post_init__(self) -> None:
        every = (*self.graph.nodes, *self.graph.readout)
        self.n_readers = Counter(i for node in every for i in node.inputs)
        self.needed = _needed(self.graph)

    def check_products(self) -> None:
        """Attention before all else: of what NIR cannot say, it is what a network is known by."""
        fixed: set[int] = set()
        for place in sorted(self.needed):
            node = self.graph.node(place)
            if node.op not in ("input", "neuron") and fixed.issuperset(node.inputs):
                fixed.add(place)
            elif node.op in ("matmul", "mul") and not fixed.intersection(node.inputs):
                raise self.refused(node, "it multiplies two values that both come with the input, as attention does")

    def take(self, place: int, node: Node) -> None:
        """One node of the graph; what depends on weights alone is worked out."""
        if place not in self.needed:
            return
        inputs = [self.values[i] for i in node.inputs]
        if node.op == "tensor":
            self.values[place] = np.asarray(self.graph.tensors[node.attributes["name"]], np.float64)
        elif node.op not in ("input", "neuron") and all(isinstance(value, np.ndarray) for value in inputs):
            self.values[place] = np.asarray(OPS[node.op].value(node.attributes, *inputs), np.float64)
        else:
            rule = _RULES.get(node.op)
            if rule is None:
                raise self.refused(node, "NIR has no such node")
            sent = rule(self, node, *inputs)
            self.values[place] = replace(sent, is_alone=sent.is_alone and self.n_readers[place] == 1)

    def refused(self, node: Node, why: str) -> Refused:
        return Refused(f"{node.path or 'the model'}: operation {node.op} cannot be written as NIR: {why}")

    def put(self, node: Node, made: object, source: _Sent, shape: tuple[int, ...]) -> _Sent:
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
        return _Sent((name,), tuple(map(int, shape)))

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


def _needed(graph: Graph) -> set[int]:
    """The nodes that lead to the output."""
    found, rest = set(), [graph.output]
    while rest:
        place = rest.pop()
        if place not in found:
            found.add(place)
            rest += graph.node(place).inputs
    return found


def _input(w: _Writer, node: Node) -> _Sent:
    shape = tuple(n for n, letter in zip(node.shape, w.graph.axes, strict=True) if letter not in "TB")
    w.nodes["input"] = w.nir.Input({"input": np.array(shape)})
    return _Sent(("input",), shape)


def _conv(w: _Writer, node: Node, x: _Sent, weight: object, bias: object = None) -> _Sent:
    if not isinstance(weight, np.ndarray) or not isinstance(x, _Sent):
        raise w.refused(node, "its kernel comes with the input")
    n, a = weight.ndim - 2, node.attributes
    if n not in (1, 2) or len(x.shape) != n + 1:
        raise w.refused(node, f"it acts on a value of {len(x.shape)} axes")
    padding, x = _padding(w, node, x, n), replace(x, pads=())
    words = {"stride": a["stride"], "padding": padding, "dilation": a["dilation"]}
    bias = np.zeros(weight.shape[0]) if bias is None else bias
    size = x.shape[1:] if n == 2 else x.shape[1]
    if n == 1:
        words = {key: value if isinstance(value, str) else int(value[0]) for key, value in words.items()}
    made = (w.nir.Conv1d if n == 1 else w.nir.Conv2d)(
        input_shape=size, weight=weight, groups=int(a["groups"]), bias=bias, **words
    )
    return w.put(node, made, x, _core(node.shape, n + 1))


def _padding(w: _Writer, node: Node, x: _Sent, n: int) -> tuple[int, ...] | str:
    """Of the convolution and of the zeros before it, together."""
    own = node.attributes["padding"]
    if not x.pads:
        return tuple(own)
    both = [(b + p, a + p) for (b, a), p in zip(x.pads[-n:], own, strict=True)]
    if all(before == after for before, after in both):
        return tuple(before for before, _ in both)
    sizes = tuple(size for size in node.shape[-n:])
    if any(own) or sizes != x.shape[1:] or any(after - before not in (0, 1) for before, after in both):
        raise w.refused(node, "its padding differs before and behind")
    return "same"


def _matmul(w: _Writer, node: Node, x: object, y: object) -> _Sent:
    if not isinstance(y, np.ndarray) or y.ndim != 2:
        raise w.refused(node, "its weights stand on the left, or differ from place to place")
    x = _vector(w, node, x)
    return w.put(node, w.nir.Linear(np.ascontiguousarray(y.T)), x, (y.shape[1],))


def _vector(w: _Writer, node: Node, x: _Sent) -> _Sent:
    """What a linear layer takes."""
    if len([n for n in x.shape if n != 1]) > 1:
        raise w.refused(node, f"it acts on the last of {len(x.shape)} axes, and a Linear on a vector")
    return x if len(x.shape) == 1 else _flat(w, node, x)


def _flat(w: _Writer, node: Node, x: _Sent) -> _Sent:
    made = w.nir.Flatten(input_type={"input": np.array(x.shape)}, start_dim=0, end_dim=-1)
    return w.put(replace(node, op="flatten", attributes={}), made, x, (math.prod(x.shape),))


def _add(w: _Writer, node: Node, x: object, y: object) -> _Sent:
    if isinstance(x, np.ndarray):
        x, y = y, x
    if isinstance(y, np.ndarray):
        return _shifted(w, node, x, np.ones(1), y)
    if x.shape != y.shape or x.pads or y.pads:
        raise w.refused(node, f"it adds values of {list(x.shape)} and {list(y.shape)}")
    if set(x.names) & set(y.names):
        raise w.refused(node, "it adds a value to itself")
    return _Sent(x.names + y.names, x.shape, is_alone=False)


def _shifted(w: _Writer, node: Node, x: _Sent, gain: np.ndarray, shift: np.ndarray) -> _Sent:
    """gain x + shift by channel, as part of the layer that makes x and of nothing else."""
    layer = w.nodes.get(x.names[0]) if len(x.names) == 1 and x.is_alone and not x.pads else None
    if not isinstance(layer, w.nir.Conv1d | w.nir.Conv2d | w.nir.Linear | w.nir.Affine):
        raise w.refused(node, "NIR adds constants in convolutions and Affine layers alone, and it stands behind none")
    n = layer.weight.shape[0]
    try:
        gain, shift = (_by_channel(value, n, x.shape) for value in (gain, shift))
    except ValueError:
        raise w.refused(node, "its constants differ from place to place") from None
    weight = layer.weight * gain.reshape(-1, *[1] * (layer.weight.ndim - 1))
    bias = getattr(layer, "bias", np.zeros(n)) * gain + shift
    if isinstance(layer, w.nir.Linear | w.nir.Affine):
        w.nodes[x.names[0]] = w.nir.Affine(weight, bias)
    else:
        layer.weight, layer.bias = weight, bias
    return x


def _by_channel(value: np.ndarray, n: int, shape: tuple[int, ...]) -> np.ndarray:
    """One number for each of n channels, which is the first axis; raises ValueError where places differ."""
    core = value.reshape([size for size in value.shape if size != 1] or (1,))
    if core.size == 1:
        return np.full(n, float(core[0]))
    if core.shape == (n,):
        return core
    spread = np.broadcast_to(core, shape).reshape(n, -1)
    if not np.all(spread == spread[:, :1]):
        raise ValueError
    return spread[:, 0]


def _batch_norm(w: _Writer, node: Node, x: _Sent, *tensors: np.ndarray) -> _Sent:
    mean, var, *affine = tensors
    gain = 1 / np.sqrt(var + node.attributes["eps"])
    gain = affine[0] * gain if affine else gain
    shift = (affine[1] if len(affine) > 1 else 0) - mean * gain
    return _shifted(w, node, x, gain, shift)


def _mul(w: _Writer, node: Node, x: object, y: object) -> _Sent:
    if isinstance(x, np.ndarray):
        x, y = y, x
    scale = np.broadcast_to(y.reshape([n for n in y.shape if n != 1] or (1,)) if y.ndim > len(x.shape) else y, x.shape)
    return w.put(node, w.nir.Scale(np.array(scale, np.float32)), x, x.shape)


def _pool(w: _Writer, node: Node, x: _Sent) -> _Sent:
    a = node.attributes
    if len(a["kernel"]) != 2 or len(x.shape) != 3 or set(a["dilation"]) != {1}:
        raise w.refused(node, "NIR pools rows and columns of maps alone")
    sizes = zip(x.shape[1:], a["kernel"], a["stride"], a["padding"], strict=True)
    if a["ceil"] and node.shape[-2:] != tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sizes):
        raise w.refused(node, "its last windows reach beyond the map")
    if a["divisor"] != 1 and (a["divisor"] or not (a["count_padding"] or a["padding"] == (0, 0))):
        raise w.refused(node, "its windows differ in what they are divided by")
    kind = w.nir.SumPool2d if a["divisor"] == 1 else w.nir.AvgPool2d
    made = kind(*(np.array(a[key]) for key in ("kernel", "stride", "padding")))
    return w.put(node, made, x, (x.shape[0], *node.shape[-2:]))


def _mean(w: _Writer, node: Node, x: _Sent) -> _Sent:
    """Over all places of a map: one window. Over the steps: what NIR's output leaves to who reads it."""
    dims = {dim % len(w.graph.node(node.inputs[0]).shape) for dim in node.attributes["dims"]}
    source = w.graph.node(node.inputs[0])
    if source.op == "steps":
        if dims != {source.attributes["axis"]}:
            raise w.refused(node, "it mixes steps and places")
        w.is_sum |= node.op == "sum"
        return x
    n_axes = len(source.shape)
    if node.op == "sum" or len(x.shape) != 3 or dims != {n_axes - 2, n_axes - 1}:
        raise w.refused(node, "NIR takes means of whole maps alone")
    size = np.array(x.shape[1:])
    pooled = w.put(node, w.nir.AvgPool2d(size, size, np.zeros(2, int)), x, (x.shape[0], 1, 1))
    return _flat(w, node, pooled)


def _reshape(w: _Writer, node: Node, x: _Sent) -> _Sent:
    """Axes of size 1 come and go; a map becomes a vector."""
    wanted = _core(node.shape)
    if node.op == "permute":
        order = [dim for dim in node.attributes["dims"] if w.graph.node(node.inputs[0]).shape[dim] != 1]
        wanted = None if order != sorted(order) else _core(x.shape)
    timed = (w.graph.n_steps,) if w.graph.n_steps > 1 and any(node is one for one in w.graph.readout) else ()
    if wanted is not None and wanted in (_core(x.shape), timed + _core(x.shape)):
        return x
    if wanted is not None and len(wanted) <= 1 and not x.pads:
        return _flat(w, node, x)
    raise w.refused(node, f"it makes {list(node.shape)} of {list(x.shape)}, and NIR flattens alone")


def _pad(w: _Writer, node: Node, x: _Sent) -> _Sent:
    a, n = node.attributes, len(x.shape) - 1
    pads = tuple(zip(a["before"], a["after"], strict=True))
    if a["value"] or x.pads or any(any(pair) for pair in pads[: len(pads) - n]) or min(map(min, pads)) < 0:
        raise w.refused(node, "NIR pads maps with zeros, in convolutions alone")
    return replace(x, pads=pads[len(pads) - n :])


def _core(shape: tuple[int, ...], last: int | None = None) -> tuple[int, ...]:
    """The axes of a shape that hold more than one value, or so many of the last ones."""
    return tuple(n for n in shape if n != 1) if last is None else tuple(shape[len(shape) - last :])


def _neuron(w: _Writer, node: Node, x: _Sent) -> _Sent:
    a = node.attributes
    if a.get("unit", 1.0) != 1:
        raise w.refused(node, f"its spikes are worth {a['unit']:g}")
    axis = a.get("axis", -1 if node.op == "integrator" else 0)
    made = written_neurons(w.nir, a["path"], form_from(a["form"]), axis, x.shape, w.dt)
    w.written[a["path"]] = made
    return w.put(node, made.node, x, x.shape)


def _steps(w: _Writer, node: Node, x: _Sent) -> _Sent:
    return x


def _cumsum(w: _Writer, node: Node, x: _Sent) -> _Sent:
    return w.put(node, w.nir.I(np.ones(x.shape)), x, x.shape)


_RULES: dict[str, Callable[..., _Sent]] = {
    "input": _input, "conv": _conv, "matmul": _matmul, "add": _add, "batch_norm": _batch_norm, "mul": _mul,
    "avg_pool": _pool, "mean": _mean, "sum": _mean, "reshape": _reshape, "permute": _reshape, "pad": _pad,
    "neuron": _neuron, "integrator": _neuron, "steps": _steps, "cumsum": _cumsum,
}  # fmt: skip
