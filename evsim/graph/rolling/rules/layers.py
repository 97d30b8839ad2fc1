"""Sums, products and windows."""

from __future__ import annotations

from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.program import Source
from evsim.graph.rolling.rules.operation import Operation, Rule

__all__ = ["RULES"]


def _reduce(name: str) -> Rule:
    def rule(o: Operation) -> list[Source | None]:
        n = len(o.shape())
        dims = o.arg(1, "dim")
        dims = list(range(n)) if dims is None or dims == () else dims
        dims = [dims] if isinstance(dims, int) else dims
        keep = bool(o.arg(2, "keepdim", False))
        return [o.add(name, [o.operand(0)], dims=sorted(dim % n for dim in dims), keepdim=keep)]

    return rule


def _argmax(o: Operation) -> Source:
    if o.arg(1, "dim") is None:
        raise Unrolled("argmax over all axes has no form here")
    found = o.add("argmax", [o.operand(0)], dim=o.arg(1, "dim") % len(o.shape()))
    return o.add("reshape", [found], shape=o.shapes[0])


def _along(name: str) -> Rule:
    return lambda o: o.add(name, [o.operand(0)], dim=o.arg(1, "dim") % len(o.shape()))


def _matmul(o: Operation) -> Source:
    return o.add("matmul", [o.operand(0), o.operand(1)])


def _addmm(o: Operation) -> Source:
    product = o.add("matmul", [o.operand(1), o.operand(2)])
    alpha, beta = o.op.kwargs.get("alpha", 1), o.op.kwargs.get("beta", 1)
    product = product if alpha == 1 else o.add("mul", [product, o.program.number(alpha)])
    first = o.operand(0) if beta == 1 else o.add("mul", [o.operand(0), o.program.number(beta)])
    return product if beta == 0 else o.add("add", [product, first])


def _linear(o: Operation) -> Source:
    product = o.add("matmul", [_matrix(o), o.add("permute", [o.operand(1)], dims=[1, 0])])
    product = o.add("reshape", [product], shape=o.shapes[0])
    return o.add("add", [product, o.operand(2)]) if o.has(2, "bias") else product


def _matrix(o: Operation) -> Source:
    shape = o.shape()
    return o.operand(0) if len(shape) > 1 else o.add("reshape", [o.operand(0)], shape=[1, *shape])


def _mv(o: Operation) -> Source:
    column = o.add("reshape", [o.operand(1)], shape=[*o.shape(1), 1])
    return o.add("reshape", [o.add("matmul", [o.operand(0), column])], shape=o.shapes[0])


def _layer_norm(o: Operation) -> list[Source | None]:
    tensors = [o.operand(i) for i in (2, 3) if o.has(i)]
    if o.has(3) and not o.has(2):
        raise Unrolled("a LayerNorm with a bias and no weight has no form here")
    return [o.add("layer_norm", [o.operand(0), *tensors], n_axes=len(o.arg(1)), eps=float(o.arg(4)))]


def _each(value: object, n: int) -> list[int]:
    value = list(value) if isinstance(value, (tuple, list)) else [value]
    return value * n if len(value) == 1 else value


def _conv(o: Operation) -> Source:
    if o.arg(6, "transposed"):
        raise Unrolled("a transposed convolution has no event-driven form here")
    n = len(o.shape(1)) - 2
    inputs = [o.operand(0), o.operand(1), *([o.operand(2)] if o.has(2, "bias") else [])]
    words = {name: _each(o.arg(i, name), n) for i, name in ((3, "stride"), (4, "padding"), (5, "dilation"))}
    return o.add("conv", inputs, **words, groups=o.arg(8, "groups"))


def _pool_words(o: Operation, n: int) -> dict[str, object]:
    kernel = _each(o.arg(1, "kernel_size"), n)
    stride = o.arg(2, "stride")
    return {
        "kernel": kernel,
        "stride": kernel if stride in (None, (), []) else _each(stride, n),
        "padding": _each(o.arg(3, "padding", 0), n),
    }


def _max_pool(n: int) -> Rule:
    def rule(o: Operation) -> list[Source | None]:
        dilation, ceil = _each(o.arg(4, "dilation", 1), n), bool(o.arg(5, "ceil_mode", False))
        return [o.add("max_pool", [o.operand(0)], **_pool_words(o, n), dilation=dilation, ceil=ceil)]

    return rule


def _avg_pool(n: int) -> Rule:
    def rule(o: Operation) -> Source:
        ceil, count = bool(o.arg(4, "ceil_mode", False)), bool(o.arg(5, "count_include_pad", True))
        divisor = int(o.arg(6, "divisor_override", 0) or 0)
        words = {"dilation": [1] * n, "ceil": ceil, "count_padding": count, "divisor": divisor}
        return o.add("avg_pool", [o.operand(0)], **_pool_words(o, n), **words)

    return rule


def _adaptive(n: int) -> Rule:
    return lambda o: o.add("adaptive_avg_pool", [o.operand(0)], size=list(o.shapes[0])[-n:])


def _adaptive_max(n: int) -> Rule:
    def rule(o: Operation) -> list[Source | None]:
        if set(list(o.shapes[0])[-n:]) != {1}:
            raise Unrolled(f"operation {o.op.name} to more than one place has no form here")
        n_axes = len(o.shape())
        return [o.add("max", [o.operand(0)], dims=list(range(n_axes - n, n_axes)), keepdim=True)]

    return rule


RULES: dict[str, Rule] = {
    "mean": _reduce("mean"), "sum": _reduce("sum"), "amax": _reduce("max"), "amin": _reduce("min"),
    "max": _reduce("max"), "min": _reduce("min"), "argmax": _argmax, "cumsum": _along("cumsum"),
    **dict.fromkeys(("_softmax", "_safe_softmax", "softmax"), _along("softmax")), "_log_softmax": _along("log_softmax"),
    "mm": _matmul, "bmm": _matmul, "matmul": _matmul, "addmm": _addmm, "baddbmm": _addmm, "linear": _linear,
    "mv": _mv, "native_layer_norm": _layer_norm, "convolution": _conv,
    **{f"max_pool{n}d_with_indices": _max_pool(n) for n in (2, 3)},
    **{f"max_pool{n}d": _max_pool(n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": _avg_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _adaptive_max(n) for n in (1, 2, 3)},
    **{f"{under}adaptive_avg_pool{n}d": _adaptive(n) for n in (1, 2, 3) for under in ("_", "")},
}  # fmt: skip
