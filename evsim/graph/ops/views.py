"""Operations that only move values: each is an address map."""

from __future__ import annotations

import math

import numpy as np

from evsim.graph.ops.op import BadNode, Op, Shape, broadcast, normal_dim, numbers, real, sizes, whole

__all__ = ["MOVES", "OPS"]

_DIM = whole(-16, 16)
_FAR = whole(-(2**31), 2**31)


def _same_count(attributes, x: Shape) -> Shape:
    shape = attributes["shape"]
    if math.prod(shape) != math.prod(x):
        raise BadNode(f"reshapes {'x'.join(map(str, x))} to {'x'.join(map(str, shape))}")
    return tuple(shape)


def _permuted(attributes, x: Shape) -> Shape:
    dims = attributes["dims"]
    if sorted(dims) != list(range(len(x))):
        raise BadNode(f"permutes {len(x)} axes by {list(dims)}")
    return tuple(x[dim] for dim in dims)


def _expanded(attributes, x: Shape) -> Shape:
    shape = tuple(attributes["shape"])
    if broadcast(x, shape) != shape:
        raise BadNode(f"expands {'x'.join(map(str, x))} to {'x'.join(map(str, shape))}")
    return shape


def _slices(attributes, x: Shape) -> tuple[int, slice]:
    dim = normal_dim(attributes["dim"], len(x))
    if attributes["step"] < 1:
        raise BadNode(f"slices with step {attributes['step']}")
    return dim, slice(*slice(attributes["start"], attributes["stop"], attributes["step"]).indices(x[dim]))


def _sliced(attributes, x: Shape) -> Shape:
    dim, part = _slices(attributes, x)
    return (*x[:dim], len(range(x[dim])[part]), *x[dim + 1 :])


def _slice(attributes, x: np.ndarray) -> np.ndarray:
    dim, part = _slices(attributes, x.shape)
    return x[(slice(None),) * dim + (part,)]


def _flip_shape(attributes, x: Shape) -> Shape:
    for dim in attributes["dims"]:
        normal_dim(dim, len(x))
    return x


def _padded(attributes, x: Shape) -> Shape:
    before, after = attributes["before"], attributes["after"]
    if len(before) != len(x) or len(after) != len(x):
        raise BadNode(f"pads {len(before)} of {len(x)} axes")
    shape = tuple(a + size + b for a, size, b in zip(before, x, after, strict=True))
    if min(shape, default=0) < 0:
        raise BadNode("pads to a negative size")
    return sizes(shape)


def _pad(attributes, x: np.ndarray) -> np.ndarray:
    before, after = attributes["before"], attributes["after"]
    inner = tuple(slice(max(-b, 0), size - max(-a, 0)) for b, a, size in zip(before, after, x.shape, strict=True))
    around = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    return np.pad(x[inner], around, constant_values=attributes["value"])


def _joined(attributes, *shapes: Shape) -> Shape:
    dim = normal_dim(attributes["dim"], len(shapes[0]))
    rests = {(*shape[:dim], *shape[dim + 1 :]) for shape in shapes}
    if len(rests) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise BadNode("concatenates values of different shapes")
    return sizes((*shapes[0][:dim], sum(shape[dim] for shape in shapes), *shapes[0][dim + 1 :]))


def _region(attributes, base: Shape) -> tuple[slice, ...]:
    starts, counts, steps = attributes["starts"], attributes["counts"], attributes["steps"]
    if not len(base) == len(starts) == len(counts) == len(steps):
        raise BadNode(f"writes into {len(starts)} of {len(base)} axes")
    for start, count, step, size in zip(starts, counts, steps, base, strict=True):
        if step < 1 or count < 1 or start < 0 or start + (count - 1) * step >= size:
            raise BadNode(f"writes outside of {'x'.join(map(str, base))}")
    return tuple(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, counts, steps, strict=True))


def _scattered(attributes, base: Shape, value: Shape) -> Shape:
    _region(attributes, base)
    if math.prod(attributes["counts"]) != math.prod(value):
        raise BadNode(f"writes {'x'.join(map(str, value))} into {list(attributes['counts'])} places")
    return base


def _scatter(attributes, base: np.ndarray, value: np.ndarray) -> np.ndarray:
    out = np.array(base)
    out[_region(attributes, base.shape)] = value.reshape(attributes["counts"])
    return out


def _nearest_shape(attributes, x: Shape) -> Shape:
    size = attributes["size"]
    if len(size) >= len(x) or 0 in x:
        raise BadNode(f"resizes {len(size)} of {len(x)} axes")
    return sizes((*x[: len(x) - len(size)], *size))


def _nearest(attributes, x: np.ndarray) -> np.ndarray:
    size = attributes["size"]
    for i, n in enumerate(size):
        axis = x.ndim - len(size) + i
        x = np.take(x, (np.arange(n) * x.shape[axis]) // n, axis=axis)
    return x


def _tiled(attributes, x: Shape) -> Shape:
    times = attributes["times"]
    if len(times) != len(x):
        raise BadNode(f"repeats {len(times)} of {len(x)} axes")
    return sizes(tuple(n * size for n, size in zip(times, x, strict=True)))


OPS = {
    "reshape": Op(_same_count, lambda a, x: x.reshape(a["shape"]), {"shape": sizes}),
    "permute": Op(_permuted, lambda a, x: x.transpose(a["dims"]), {"dims": numbers(0, 16)}),
    "expand": Op(_expanded, lambda a, x: np.broadcast_to(x, a["shape"]), {"shape": sizes}),
    "slice": Op(_sliced, _slice, {"dim": _DIM, "start": _FAR, "stop": _FAR, "step": whole(1, 2**31)}),
    "flip": Op(_flip_shape, lambda a, x: np.flip(x, tuple(a["dims"])), {"dims": numbers(-16, 16)}),
    "pad": Op(
        _padded, _pad, {"before": numbers(-(2**20), 2**20), "after": numbers(-(2**20), 2**20), "value": real}
    ),
    "cat": Op(_joined, lambda a, *x: np.concatenate(x, a["dim"]), {"dim": _DIM}, (1, 4096)),
    "scatter": Op(
        _scattered, _scatter,
        {"starts": numbers(0, 2**26), "counts": numbers(0, 2**26), "steps": numbers(1, 2**26)}, (2, 2),
    ),
    "nearest": Op(_nearest_shape, _nearest, {"size": numbers(1, 2**20)}),
    "tile": Op(_tiled, lambda a, x: np.tile(x, a["times"]), {"times": numbers(1, 2**20)}),
}  # fmt: skip

MOVES = frozenset(OPS)
"""Their names."""
