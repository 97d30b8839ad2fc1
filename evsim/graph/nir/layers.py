"""The layers of NIR as operations of a graph: for each its parameters checked, then what it means."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from evsim.checkpoints.refusal import Refused, shown
from evsim.graph.nir.translation import Translation, sizes
from evsim.graph.rolling.program import Source

__all__ = ["LAYERS"]

_LARGEST = 2**16


def _conv(t: Translation, name: str, node: object, x: Source) -> Source:
    n = 1 if type(node).__name__ == "Conv1d" else 2
    weight, shape = node.weight, t.shape(x)
    if np.ndim(weight) != n + 2 or len(shape) != n + 1:
        raise Refused(f"{t.called(name)}: convolves {sizes(shape)} with a weight of {sizes(np.shape(weight))}")
    stride, dilation = (_numbers(t, name, node, key, n, 1) for key in ("stride", "dilation"))
    (groups,) = _numbers(t, name, node, "groups", 1, 1)
    padding = _padding(t, name, node, weight.shape[2:], stride, dilation)
    before, after = zip(*padding, strict=True)
    if before != after:  # "same" with an even kernel
        x = t.op(name, "pad", [x], before=[0, 0, *before], after=[0, 0, *after], value=0.0)
        before = (0,) * n
    inputs = [x, t.tensor(x, name, "weight", weight)]
    if node.bias is not None:
        inputs.append(t.tensor(x, name, "bias", node.bias))
    return t.op(name, "conv", inputs, stride=stride, padding=before, dilation=dilation, groups=groups)


def _padding(t: Translation, name: str, node: object, kernel, stride, dilation) -> list[tuple[int, int]]:
    """Before and after each axis; "same" keeps the size, and puts the odd one behind."""
    if not isinstance(node.padding, str):
        return [(n, n) for n in _numbers(t, name, node, "padding", len(kernel), 0)]
    if node.padding == "valid":
        return [(0, 0)] * len(kernel)
    if set(stride) != {1}:
        raise Refused(f"{t.called(name)}: padding 'same' with a stride of {list(stride)}, expected a stride of 1")
    room = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(n // 2, n - n // 2) for n in room]


def _linear(t: Translation, name: str, node: object, x: Source) -> Source:
    weight = node.weight
    if np.ndim(weight) != 2:
        raise Refused(f"{t.called(name)}: its weight is {sizes(np.shape(weight))}, expected outputs x inputs")
    t.expect(name, t.shape(x), (weight.shape[1],))
    turned = t.op(name, "permute", [t.tensor(x, name, "weight", weight)], dims=[1, 0])
    made = t.op(name, "matmul", [x, turned])
    if not hasattr(node, "bias"):
        return made
    if np.shape(node.bias) != weight.shape[:1]:
        raise Refused(f"{t.called(name)}: its bias is {sizes(np.shape(node.bias))}, expected {weight.shape[0]}")
    return t.op(name, "add", [made, t.tensor(x, name, "bias", node.bias)])


def _scale(t: Translation, name: str, node: object, x: Source) -> Source:
    t.expect(name, t.shape(x), np.shape(node.scale))
    return t.times(name, x, node.scale)


def _pool(t: Translation, name: str, node: object, x: Source) -> Source:
    """A sum is a mean that is divided by one; a mean counts its padding, as PyTorch's does."""
    if len(t.shape(x)) != 3:
        raise Refused(f"{t.called(name)}: pools {sizes(t.shape(x))}, expected channels, rows and columns")
    kernel, stride = (_numbers(t, name, node, key, 2, 1) for key in ("kernel_size", "stride"))
    padding = _numbers(t, name, node, "padding", 2, 0)
    words = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": (1, 1), "ceil": False}
    divisor = 1 if type(node).__name__ == "SumPool2d" else 0
    return t.op(name, "avg_pool", [x], **words, count_padding=True, divisor=divisor)


def _flatten(t: Translation, name: str, node: object, x: Source) -> Source:
    """Axes start_dim to end_dim, both included, of a shape without batch."""
    shape = t.shape(x)
    (start,), (end,) = (_numbers(t, name, node, key, 1, -8) for key in ("start_dim", "end_dim"))
    first, last = (dim + len(shape) if dim < 0 else dim for dim in (start, end))
    if not 0 <= first <= last < len(shape):
        raise Refused(f"{t.called(name)}: flattens axes {start} to {end} of {sizes(shape)}")
    return t.reshape(name, x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def _numbers(t: Translation, name: str, node: object, key: str, n: int, least: int) -> tuple[int, ...]:
    """`n` whole numbers, or one for all axes."""
    value = getattr(node, key)
    array = np.asarray(value)
    is_whole = array.dtype.kind in "iu" or (array.dtype.kind == "f" and np.all(array == np.floor(array)))
    if not is_whole or array.size not in (1, n) or np.any(array < least) or np.any(array > _LARGEST):
        raise Refused(f"{t.called(name)}: {key} is {shown(value)}, expected {n} whole numbers from {least}")
    numbers = tuple(int(number) for number in array.reshape(-1))
    return numbers * n if len(numbers) < n else numbers


LAYERS: dict[str, Callable] = {
    "Affine": _linear, "AvgPool2d": _pool, "Conv1d": _conv, "Conv2d": _conv, "Flatten": _flatten, "Linear": _linear,
    "Scale": _scale, "SumPool2d": _pool,
}  # fmt: skip
"""By the name of the node."""
