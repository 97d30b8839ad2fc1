"""Where values come from: the input, tensors, populations; and for a readout, the values of all steps.

What they mean is not in their arrays: whoever evaluates a graph knows (see `evsim.graph.evaluate`).
"""

from __future__ import annotations

import numpy as np

from evsim.graph.ops.op import BadNode, Op, Shape, real, sizes, whole

__all__ = ["OPS"]


def _text(value: object) -> str:
    if type(value) is not str or not 0 < len(value) <= 1000 or not value.isprintable():
        raise BadNode("is no name")
    return value


def _form(value: object) -> dict:
    if type(value) is not dict:
        raise BadNode("is no form of neurons")
    return value


def _stated(attributes, *inputs: Shape) -> Shape:
    return tuple(attributes["shape"])


def _elsewhere(attributes, *arrays: np.ndarray) -> np.ndarray:
    """A leaf is given, not computed: `evsim.graph.evaluate` puts its value in and never asks for it."""
    raise NotImplementedError


OPS = {
    "input": Op(_stated, _elsewhere, {"shape": sizes}, (0, 0)),
    "tensor": Op(_stated, _elsewhere, {"name": _text, "shape": sizes}, (0, 0)),
    "neuron": Op(
        lambda a, x: x, _elsewhere, {"path": _text, "form": _form, "unit": real, "axis": whole(-16, 0)}, (1, 1)
    ),
    "steps": Op(
        _stated, _elsewhere, {"axis": whole(0, 16), "lead": whole(1, 2**26), "shape": sizes}, (1, 1)
    ),
    "at_step": Op(_stated, _elsewhere, {"step": whole(0, 100_000), "shape": sizes}, (1, 1)),
    "integrator": Op(lambda a, x: x, _elsewhere, {"path": _text, "form": _form}, (1, 1)),
}  # fmt: skip
