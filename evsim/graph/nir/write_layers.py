"""The operations of a graph as nodes of NIR: a rule for each that the standard has a node for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.nir.write_neurons import written_neurons
from evsim.graph.nir.writer import Sent, Writer, core
from evsim.graph.twins import form_from

__all__ = ["RULES"]


def _input(w: Writer, node: Node) -> Sent:
    shape = tuple(n for n, letter in zip(node.shape, w.graph.axes, strict=True) if letter not in "TB")
    w.nodes["input"] = w.nir.Input({"input": np.array(shape)})
    return Sent(("input",), shape)


def _conv(w: Writer, node: Node, x: Sent, weight: object, bias: object = None) -> Sent:
    if not isinstance(weight, np.ndarray) or not isinstance(x, Sent):
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
    return w.put(node, made, x, core(node.shape, n + 1))


def _padding(w: Writer, node: Node, x: Sent, n: int) -> tuple[int, ...] | str:
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


def _matmul(w: Writer, node: Node, x: object, y: object) -> Sent:
    if not isinstance(y, np.ndarray) or y.ndim != 2:
        raise w.refused(node, "its weights stand on the left, or differ from place to place")
    x = _vector(w, node, x)
    return w.put(node, w.nir.Linear(np.ascontiguousarray(y.T)), x, (y.shape[1],))


def _vector(w: Writer, node: Node, x: Sent) -> Sent:
    """What a linear layer takes."""
    if len([n for n in x.shape if n != 1]) > 1:
        raise w.refused(node, f"it acts on the last of {len(x.shape)} axes, and a Linear on a vector")
    return x if len(x.shape) == 1 else w.flat(node, x)


def _add(w: Writer, node: Node, x: object, y: object) -> Sent:
    if isinstance(x, np.ndarray):
        x, y = y, x
    if isinstance(y, np.ndarray):
        return _shifted(w, node, x, np.ones(1), y)
    if x.shape != y.shape or x.pads or y.pads:
        raise w.refused(node, f"it adds values of {list(x.shape)} and {list(y.shape)}")
    if set(x.names) & set(y.names):
        raise w.refused(node, "it adds a value to itself")
    return Sent(x.names + y.names, x.shape, is_alone=False)


def _shifted(w: Writer, node: Node, x: Sent, gain: np.ndarray, shift: np.ndarray) -> Sent:
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


def _batch_norm(w: Writer, node: Node, x: Sent, *tensors: np.ndarray) -> Sent:
    mean, var, *affine = tensors
    gain = 1 / np.sqrt(var + node.attributes["eps"])
    gain = affine[0] * gain if affine else gain
    shift = (affine[1] if len(affine) > 1 else 0) - mean * gain
    return _shifted(w, node, x, gain, shift)


def _mul(w: Writer, node: Node, x: object, y: object) -> Sent:
    if isinstance(x, np.ndarray):
        x, y = y, x
    scale = np.broadcast_to(y.reshape([n for n in y.shape if n != 1] or (1,)) if y.ndim > len(x.shape) else y, x.shape)
    return w.put(node, w.nir.Scale(np.array(scale, np.float32)), x, x.shape)


def _pool(w: Writer, node: Node, x: Sent) -> Sent:
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


def _mean(w: Writer, node: Node, x: Sent) -> Sent:
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
    return w.flat(node, pooled)


def _reshape(w: Writer, node: Node, x: Sent) -> Sent:
    """Axes of size 1 come and go; a map becomes a vector."""
    wanted = core(node.shape)
    if node.op == "permute":
        order = [dim for dim in node.attributes["dims"] if w.graph.node(node.inputs[0]).shape[dim] != 1]
        wanted = None if order != sorted(order) else core(x.shape)
    timed = (w.graph.n_steps,) if w.graph.n_steps > 1 and any(node is one for one in w.graph.readout) else ()
    if wanted is not None and wanted in (core(x.shape), timed + core(x.shape)):
        return x
    if wanted is not None and len(wanted) <= 1 and not x.pads:
        return w.flat(node, x)
    raise w.refused(node, f"it makes {list(node.shape)} of {list(x.shape)}, and NIR flattens alone")


def _pad(w: Writer, node: Node, x: Sent) -> Sent:
    a, n = node.attributes, len(x.shape) - 1
    pads = tuple(zip(a["before"], a["after"], strict=True))
    if a["value"] or x.pads or any(any(pair) for pair in pads[: len(pads) - n]) or min(map(min, pads)) < 0:
        raise w.refused(node, "NIR pads maps with zeros, in convolutions alone")
    return replace(x, pads=pads[len(pads) - n :])


def _neuron(w: Writer, node: Node, x: Sent) -> Sent:
    a = node.attributes
    if a.get("unit", 1.0) != 1:
        raise w.refused(node, f"its spikes are worth {a['unit']:g}")
    axis = a.get("axis", -1 if node.op == "integrator" else 0)
    made = written_neurons(w.nir, a["path"], form_from(a["form"]), axis, x.shape, w.dt)
    w.written[a["path"]] = made
    return w.put(node, made.node, x, x.shape)


def _steps(w: Writer, node: Node, x: Sent) -> Sent:
    return x


def _cumsum(w: Writer, node: Node, x: Sent) -> Sent:
    return w.put(node, w.nir.I(np.ones(x.shape)), x, x.shape)


RULES: dict[str, Callable[..., Sent]] = {
    "input": _input, "conv": _conv, "matmul": _matmul, "add": _add, "batch_norm": _batch_norm, "mul": _mul,
    "avg_pool": _pool, "mean": _mean, "sum": _mean, "reshape": _reshape, "permute": _reshape, "pad": _pad,
    "neuron": _neuron, "integrator": _neuron, "steps": _steps, "cumsum": _cumsum,
}  # fmt: skip
