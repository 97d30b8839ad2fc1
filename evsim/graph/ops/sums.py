"""Sums, means and products over axes."""

from __future__ import annotations

import math

import numpy as np

from evsim.graph.ops.op import BadNode, Op, Shape, broadcast, flag, normal_dim, numbers, real, sizes, whole

__all__ = ["OPS"]

_F = np.float32
_DIMS = {"dims": numbers(-16, 16), "keepdim": flag}


def _dims(a, n_axes: int) -> tuple[int, ...]:
    return tuple(sorted({normal_dim(dim, n_axes) for dim in a["dims"]}))


def _reduced(a, x: Shape) -> Shape:
    dims = _dims(a, len(x))
    if math.prod(x[dim] for dim in dims) == 0:
        raise BadNode("reduces an axis of size 0")
    return tuple(1 if i in dims else size for i, size in enumerate(x) if a["keepdim"] or i not in dims)


def _over(function, **options):
    return lambda a, x: function(x, axis=_dims(a, x.ndim), keepdims=a["keepdim"], **options)


def _along_shape(a, x: Shape) -> Shape:
    normal_dim(a["dim"], len(x))
    return x


def _softmax(a, x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(a["dim"], keepdims=True))
    return e / e.sum(a["dim"], keepdims=True)


def _log_softmax(a, x: np.ndarray) -> np.ndarray:
    x = x - x.max(a["dim"], keepdims=True)
    return x - np.log(np.exp(x).sum(a["dim"], keepdims=True))


def _product_shape(a, x: Shape, y: Shape) -> Shape:
    if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
        raise BadNode(f"multiplies {'x'.join(map(str, x))} by {'x'.join(map(str, y))}")
    return sizes((*broadcast(x[:-2], y[:-2]), x[-2], y[-1]))


def _layer_norm_shape(a, x: Shape, *rest: Shape) -> Shape:
    if not 0 < a["n_axes"] <= len(x) or any(shape != x[len(x) - a["n_axes"] :] for shape in rest):
        raise BadNode(f"normalises the last {a['n_axes']} axes of {'x'.join(map(str, x))}")
    return x


def _layer_norm(a, x: np.ndarray, weight=None, bias=None) -> np.ndarray:
    axes = tuple(range(x.ndim - a["n_axes"], x.ndim))
    y = (x - x.mean(axes, keepdims=True, dtype=_F)) / np.sqrt(x.var(axes, keepdims=True) + _F(a["eps"]))
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _argmax_shape(a, x: Shape) -> Shape:
    return _reduced({"dims": (a["dim"],), "keepdim": False}, x)


OPS = {
    "mean": Op(_reduced, _over(np.mean, dtype=_F), _DIMS),
    "sum": Op(_reduced, _over(np.sum, dtype=_F), _DIMS),
    "max": Op(_reduced, _over(np.max), _DIMS),
    "min": Op(_reduced, _over(np.min), _DIMS),
    "argmax": Op(_argmax_shape, lambda a, x: x.argmax(a["dim"]).astype(_F), {"dim": whole(-16, 16)}),
    "cumsum": Op(_along_shape, lambda a, x: np.cumsum(x, a["dim"], dtype=_F), {"dim": whole(-16, 16)}),
    "softmax": Op(_along_shape, _softmax, {"dim": whole(-16, 16)}),
    "log_softmax": Op(_along_shape, _log_softmax, {"dim": whole(-16, 16)}),
    "matmul": Op(_product_shape, lambda a, x, y: np.matmul(x, y), {}, (2, 2)),
    "layer_norm": Op(_layer_norm_shape, _layer_norm, {"n_axes": whole(1, 16), "eps": real}, (1, 3)),
}  # fmt: skip
