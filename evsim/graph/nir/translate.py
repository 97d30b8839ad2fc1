"""graph_of: a NIR graph as a graph of ours: layers become operations, populations forms, integrators a readout."""

from __future__ import annotations

import math

import numpy as np

from evsim.checkpoints.refusal import Refused, shown
from evsim.graph.graph import Graph
from evsim.graph.nir.flat import Flat
from evsim.graph.nir.layers import LAYERS
from evsim.graph.nir.neurons import INTEGRATORS, POPULATIONS, Neurons, neurons_of
from evsim.graph.nir.reading import Reading
from evsim.graph.nir.translation import Translation, sizes
from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.program import Source

__all__ = ["graph_of"]

_AXES = {1: "TC", 2: "TCL", 3: "TCHW"}
_MOST_VALUES = 2**26


def graph_of(flat: Flat, reading: Reading, n_steps: int) -> Graph:
    """The graph; its readout is the sum of the output over the steps, divided by their number.

    Parameters
    ----------
    flat : Flat
    reading : Reading
    n_steps : int
        Of a run that says nothing else.

    Raises
    ------
    Refused
        A node is none that can run event by event, or its shapes do not fit; by name.
    """
    made = Translation(flat, reading, n_steps)
    for name, node in flat.nodes.items():
        try:
            made.values[name] = _value(made, name, node)
        except Unrolled as error:
            raise Refused(f"{made.called(name)}: {error}") from None
    output = made.late(made.values[flat.output])
    late = made.readout.finished()
    return Graph(
        n_steps, False, made.axes, made.step.finished(), late, made.readout.place_of(output), True, made.tensors
    )  # fmt: skip


def _value(t: Translation, name: str, node: object) -> Source:
    """What a node sends."""
    kind = type(node).__name__
    if name == t.flat.input:
        return _input(t, name, node)
    x = t.inputs_of(name)
    if kind in POPULATIONS or kind in INTEGRATORS:
        neurons = neurons_of(t.called(name), node, t.reading)
        t.expect(name, t.shape(x), None if math.prod(neurons.shape) == 1 else neurons.shape)  # one number is for all
        return _neurons(t, name, t.times(name, x, neurons.gain), neurons)
    if kind in ("Input", "Output"):
        told = node.input_type["input"]
        t.expect(name, t.shape(x), None if told is None else _whole(told))
        return x
    if kind not in LAYERS:
        raise Refused(f"{t.called(name)}: cannot run step by step, expected {', '.join(sorted(LAYERS))} or neurons")
    return LAYERS[kind](t, name, node, x)


def _input(t: Translation, name: str, node: object) -> Source:
    told = node.input_type["input"]
    shape = () if told is None else _whole(told)
    if len(shape) not in _AXES or min(shape, default=0) < 1 or math.prod(shape) > _MOST_VALUES:
        raise Refused(f"{t.called(name)}: is of the shape {sizes(shape)}, expected one to three axes of values")
    t.axes = _AXES[len(shape)]
    return t.step.add("input", [], {"shape": [1, *shape]}, name)


def _neurons(t: Translation, name: str, x: Source, neurons: Neurons) -> Source:
    if type(t.flat.nodes[name]).__name__ in INTEGRATORS:
        return _integrator(t, name, t.late(x), neurons)
    if x.late:
        raise Refused(
            f"{t.called(name)}: its current is made of the membranes of other neurons (I, LI, CubaLI), which may stand "
            "in front of the output alone: events carry spikes"
        )
    told = {"path": name, "form": neurons.form.to_dict(), "unit": 1.0, "axis": neurons.axis}
    return t.step.add("neuron", [x], told, name)


def _integrator(t: Translation, name: str, x: Source, neurons: Neurons) -> Source:
    if neurons.form is None:
        return t.op(name, "cumsum", [x], dim=0)
    if neurons.axis not in (0, -1):
        raise Refused(f"{t.called(name)}: its constants differ along an axis that is not the last")
    return t.op(name, "integrator", [x], path=name, form=neurons.form.to_dict())


def _whole(value: object) -> tuple[int, ...]:
    array = np.atleast_1d(np.asarray(value))
    if array.ndim != 1 or array.size > 8 or array.dtype.kind not in "iu":
        raise Refused(f"a shape is {shown(value)}, expected whole numbers")
    return tuple(map(int, array))
