"""Arithmetic element by element, float32 as the reference computes it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from evsim.graph.ops.op import BadNode, Op, Shape, broadcast, flag, real, sizes

__all__ = ["OPS"]

_F = np.float32


def _binary(function: Callable) -> Op:
    return Op(lambda a, x, y: sizes(broadcast(x, y)), lambda a, x, y: function(x, y), {}, (2, 2))


def _unary(function: Callable, **attributes) -> Op:
    return Op(lambda a, x: x, lambda a, x: function(x, **a), attributes)


def _compare(function: Callable) -> Op:
    return _binary(lambda x, y: function(x, y).astype(_F))


def _erf(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return erf(x).astype(_F)


def _gelu(x: np.ndarray, tanh: bool) -> np.ndarray:
    if tanh:
        inner = _F(math.sqrt(2 / math.pi)) * (x + _F(0.044715) * x * x * x)
        return _F(0.5) * x * (_F(1) + np.tanh(inner))
    return x * _F(0.5) * (_F(1) + _erf(x * _F(math.sqrt(0.5))))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return _F(1) / (_F(1) + np.exp(-x))


def _norm_shape(a, x: Shape, *rest: Shape) -> Shape:
    if len(x) < 2 or any(shape != (x[1],) for shape in rest):
        raise BadNode(f"normalises {'x'.join(map(str, x))} with tensors of {rest}")
    return x


def _batch_norm(a, x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight=None, bias=None) -> np.ndarray:
    """PyTorch's own order on a CPU: one factor and one summand a channel."""
    factor = _F(1) / np.sqrt(var + _F(a["eps"]))
    factor = factor if weight is None else factor * weight
    summand = -mean * factor if bias is None else bias - mean * factor
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return x * factor.reshape(shape) + summand.reshape(shape)


def _where(a, condition: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(condition != 0, x, y)


OPS = {
    "add": _binary(np.add), "sub": _binary(np.subtract), "mul": _binary(np.multiply), "div": _binary(np.divide),
    "maximum": _binary(np.maximum), "minimum": _binary(np.minimum), "power": _binary(np.power),
    "gt": _compare(np.greater), "ge": _compare(np.greater_equal), "lt": _compare(np.less),
    "le": _compare(np.less_equal), "eq": _compare(np.equal), "ne": _compare(np.not_equal),
    "and": _compare(np.logical_and), "or": _compare(np.logical_or),
    "not": _unary(lambda x: np.logical_not(x).astype(_F)),
    "where": Op(lambda a, c, x, y: sizes(broadcast(c, x, y)), _where, {}, (3, 3)),
    "neg": _unary(np.negative), "abs": _unary(np.abs), "sqrt": _unary(np.sqrt), "exp": _unary(np.exp),
    "log": _unary(np.log), "sign": _unary(np.sign), "round": _unary(np.round), "floor": _unary(np.floor),
    "ceil": _unary(np.ceil), "trunc": _unary(np.trunc), "reciprocal": _unary(lambda x: _F(1) / x),
    "rsqrt": _unary(lambda x: _F(1) / np.sqrt(x)), "tanh": _unary(np.tanh),
    "sin": _unary(np.sin), "cos": _unary(np.cos),
    "sigmoid": _unary(_sigmoid), "relu": _unary(lambda x: np.maximum(x, _F(0))), "erf": _unary(_erf),
    "silu": _unary(lambda x: x * _sigmoid(x)), "gelu": _unary(_gelu, tanh=flag),
    "softplus": _unary(lambda x: np.logaddexp(x, _F(0))),
    "leaky_relu": _unary(lambda x, slope: np.where(x > 0, x, x * _F(slope)), slope=real),
    "hardsigmoid": _unary(lambda x: np.clip(x / _F(6) + _F(0.5), 0, 1)),
    "hardswish": _unary(lambda x: x * np.clip(x + _F(3), 0, 6) / _F(6)),
    "clamp": _unary(lambda x, low, high: np.clip(x, _F(low), _F(high)), low=real, high=real),
    "batch_norm": Op(_norm_shape, _batch_norm, {"eps": real}, (3, 5)),
    "full": Op(lambda a: tuple(a["shape"]), lambda a: np.full(a["shape"], a["value"], _F),
               {"shape": sizes, "value": real}, (0, 0)),
}  # fmt: skip
