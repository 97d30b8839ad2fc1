"""Windows over maps: convolutions and pools, of one, two or three axes behind batch and channels."""

from __future__ import annotations

import math

import numpy as np

from evsim.graph.ops.op import BadNode, Op, Shape, flag, numbers, sizes, whole

__all__ = ["OPS", "out_size", "pool_out_sizes"]

_F = np.float32
_SMALL = numbers(1, 2**16)
_PADS = numbers(0, 2**16)
_WINDOW = {"kernel": _SMALL, "stride": _SMALL, "padding": _PADS, "dilation": _SMALL, "ceil": flag}


def out_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool = False) -> int:
    """Places of a window along one axis; with `ceil`, also one that starts inside and ends outside."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    n = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (n - 1) * stride >= size + padding:
        n -= 1
    return n


def pool_out_sizes(a, x: Shape) -> Shape:
    n = len(a["kernel"])
    if len(x) <= n or not all(len(a[key]) == n for key in ("stride", "padding", "dilation")):
        raise BadNode(f"pools {n} axes of {'x'.join(map(str, x))}")
    windows = zip(x[-n:], a["kernel"], a["stride"], a["padding"], a["dilation"], strict=True)
    out = tuple(out_size(*window, a["ceil"]) for window in windows)
    if min(out) < 1 or any(2 * p > k for p, k in zip(a["padding"], a["kernel"], strict=True)):
        raise BadNode(f"a window of {list(a['kernel'])} does not fit {'x'.join(map(str, x))}")
    return sizes((*x[:-n], *out))


def _windows(x: np.ndarray, a, fill: float) -> np.ndarray:
    """[..., out sizes, kernel sizes]; what lies outside is `fill`."""
    n = len(a["kernel"])
    out = pool_out_sizes(a, x.shape)[-n:]
    pads = [(0, 0)] * (x.ndim - n)
    for size, m, k, s, p, d in zip(
        x.shape[-n:], out, a["kernel"], a["stride"], a["padding"], a["dilation"], strict=True
    ):
        pads.append((p, max(0, (m - 1) * s + d * (k - 1) + 1 - size - p)))
    x = np.pad(x, pads, constant_values=fill)
    return _strided(x, a["kernel"], a["stride"], a["dilation"], out)


def _strided(x: np.ndarray, kernel, stride, dilation, out) -> np.ndarray:
    n = len(kernel)
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    axes = tuple(range(x.ndim - n, x.ndim))
    views = np.lib.stride_tricks.sliding_window_view(x, extent, axis=axes)
    starts = tuple(slice(0, (m - 1) * s + 1, s) for m, s in zip(out, stride, strict=True))
    taps = tuple(slice(None, None, d) for d in dilation)
    return views[(slice(None),) * (x.ndim - n) + starts + taps]


def _max_pool(a, x: np.ndarray) -> np.ndarray:
    n = len(a["kernel"])
    return _windows(x, a, -np.inf).max(tuple(range(-n, 0)))


def _avg_pool(a, x: np.ndarray) -> np.ndarray:
    n = len(a["kernel"])
    axes = tuple(range(-n, 0))
    total = _windows(x, a, 0.0).sum(axes, dtype=_F)
    if a["divisor"]:
        return total / _F(a["divisor"])
    return total / _places(a, x.shape[x.ndim - n :])


def _places(a, size: Shape) -> np.ndarray:
    """Over how many places each window averages: padding may count, what lies behind it never does."""
    n = len(a["kernel"])
    ones = np.ones(size, _F)
    if a["count_padding"]:
        ones = np.pad(ones, [(p, p) for p in a["padding"]], constant_values=1)
        bare = dict(a, padding=(0,) * n)
        out = pool_out_sizes(a, (1, *size))[-n:]
        pads = [
            (0, max(0, (m - 1) * s + k - have))
            for m, s, k, have in zip(out, a["stride"], a["kernel"], ones.shape, strict=True)
        ]
        padded = np.pad(ones, pads)
        return _strided(padded, a["kernel"], a["stride"], bare["dilation"], out).sum(tuple(range(-n, 0)), dtype=_F)
    return _windows(ones[None], a, 0.0).sum(tuple(range(-n, 0)), dtype=_F)[0]


def _adaptive_shape(a, x: Shape) -> Shape:
    n = len(a["size"])
    if len(x) <= n or 0 in x:
        raise BadNode(f"pools {n} axes of {'x'.join(map(str, x))}")
    return sizes((*x[:-n], *a["size"]))


def _adaptive_avg_pool(a, x: np.ndarray) -> np.ndarray:
    n = len(a["size"])
    for i, m in enumerate(a["size"]):
        axis, size = x.ndim - n + i, x.shape[x.ndim - n + i]
        parts = [np.take(x, range((j * size) // m, -((-(j + 1) * size) // m)), axis) for j in range(m)]
        x = np.stack([part.mean(axis, dtype=_F) for part in parts], axis)
    return x


def _conv_shape(a, x: Shape, w: Shape, b: Shape | None = None) -> Shape:
    n, groups = len(w) - 2, a["groups"]
    if n < 1 or len(x) != len(w) or not all(len(a[key]) == n for key in ("stride", "padding", "dilation")):
        raise BadNode(f"convolves {'x'.join(map(str, x))} with {'x'.join(map(str, w))}")
    if x[1] != w[1] * groups or w[0] % groups or (b is not None and b != (w[0],)):
        raise BadNode(f"convolves {x[1]} channels in {groups} groups with {'x'.join(map(str, w))}")
    windows = zip(x[2:], w[2:], a["stride"], a["padding"], a["dilation"], strict=True)
    out = tuple(out_size(*window) for window in windows)
    if min(out) < 1:
        raise BadNode(f"a kernel of {list(w[2:])} does not fit {'x'.join(map(str, x))}")
    return sizes((x[0], w[0], *out))


def _conv(a, x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    out = _conv_shape(a, x.shape, w.shape)[2:]
    n, groups = w.ndim - 2, a["groups"]
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in a["padding"])])
    views = _strided(x, w.shape[2:], a["stride"], a["dilation"], out)  # [B, C, out, kernel]
    views = views.reshape(x.shape[0], groups, w.shape[1], math.prod(out), math.prod(w.shape[2:]))
    weights = w.reshape(groups, w.shape[0] // groups, w.shape[1] * math.prod(w.shape[2:]))
    columns = views.transpose(0, 1, 2, 4, 3).reshape(x.shape[0], groups, weights.shape[2], -1)
    y = np.matmul(weights, columns).reshape(x.shape[0], w.shape[0], *out)
    return y if b is None else y + b.reshape(1, -1, *([1] * n))


OPS = {
    "conv": Op(
        _conv_shape, _conv,
        {"stride": _SMALL, "padding": _PADS, "dilation": _SMALL, "groups": whole(1, 2**16)}, (2, 3),
    ),
    "max_pool": Op(pool_out_sizes, _max_pool, _WINDOW),
    "avg_pool": Op(
        pool_out_sizes, _avg_pool, _WINDOW | {"count_padding": flag, "divisor": whole(0, 2**24)}
    ),
    "adaptive_avg_pool": Op(_adaptive_shape, _adaptive_avg_pool, {"size": numbers(1, 2**16)}),
}  # fmt: skip
