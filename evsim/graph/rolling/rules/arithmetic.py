"""Arithmetic element by element."""

from __future__ import annotations

import math

from evsim.graph.rolling.program import Source
from evsim.graph.rolling.rules.operation import Operation, Rule
from evsim.graph.rolling.run import Ref

__all__ = ["RULES"]


def _identity(o: Operation) -> Source:
    return o.operand(0)


def _cast(o: Operation) -> Source:
    """To another type: to whole numbers it cuts, to truth it compares."""
    kind = str(o.op.kwargs.get("dtype", ""))
    if kind.endswith("bool"):
        return o.add("ne", [o.operand(0), o.program.number(0)])
    return o.add("trunc", [o.operand(0)]) if "int" in kind else o.operand(0)


def _copy(o: Operation) -> Source:
    return o.add("expand", [o.operand(1)], shape=o.shapes[0])


def _fill(o: Operation) -> Source:
    value = o.arg(1, "value", 0)
    if isinstance(value, Ref):
        return o.add("expand", [o.source_of(value.value)], shape=o.shapes[0])
    return o.add("full", [], shape=o.shapes[0], value=float(value))


def _full(value: float | None) -> Rule:
    def rule(o: Operation) -> Source:
        found = value
        if found is None:
            found = o.arg(2 if o.op.name == "new_full" else 1, "fill_value")
        return o.add("full", [], shape=o.shapes[0], value=float(found))

    return rule


def _two(name: str, swapped: bool = False) -> Rule:
    def rule(o: Operation) -> Source:
        x, y = o.operand(0), o.operand(1, "other")
        alpha = o.arg(2, "alpha", 1)
        if name in ("add", "sub") and alpha not in (1, None):
            y = o.add("mul", [y, o.program.number(alpha)])
        return o.add(name, [y, x] if swapped else [x, y])

    return rule


def _div(o: Operation) -> Source:
    mode = o.op.kwargs.get("rounding_mode")
    made = o.add("div", [o.operand(0), o.operand(1)])
    return made if mode is None else o.add(mode, [made])


def _one(name: str, **attributes: object) -> Rule:
    return lambda o: o.add(name, [o.operand(0)], **attributes)


def _clamp(o: Operation) -> Source:
    low, high = o.arg(1, "min"), o.arg(2, "max")
    if isinstance(low, Ref) or isinstance(high, Ref):
        x = o.operand(0)
        x = x if low is None else o.add("maximum", [x, o.operand(1, "min")])
        return x if high is None else o.add("minimum", [x, o.operand(2, "max")])
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    return o.add("clamp", [o.operand(0)], low=float(low), high=float(high))


def _pow(o: Operation) -> Source:
    exponent = o.arg(1, "exponent")
    if exponent == 2:
        return o.add("mul", [o.operand(0), o.operand(0)])
    return o.add("power", [o.operand(0), o.operand(1, "exponent")])


def _where(o: Operation) -> Source:
    return o.add("where", [o.operand(0), o.operand(1), o.operand(2)])


def _masked_fill(o: Operation) -> Source:
    return o.add("where", [o.operand(1), o.operand(2), o.operand(0)])


def _addcmul(o: Operation) -> Source:
    product = o.add("mul", [o.operand(1), o.operand(2)])
    value = o.op.kwargs.get("value", 1)
    product = product if value == 1 else o.add("mul", [product, o.program.number(value)])
    return o.add("add", [o.operand(0), product])


def _lerp(o: Operation) -> Source:
    difference = o.add("sub", [o.operand(1), o.operand(0)])
    return o.add("add", [o.operand(0), o.add("mul", [difference, o.operand(2)])])


def _batch_norm(o: Operation) -> list[Source | None]:
    weight, bias = o.has(1), o.has(2)
    eps = o.arg({"native_batch_norm": 7, "cudnn_batch_norm": 7}.get(o.op.name, 6))
    tensors = [o.operand(3), o.operand(4)]
    if weight or bias:
        n = o.program.shape_of(tensors[0])
        tensors.append(o.operand(1) if weight else o.add("full", [], shape=n, value=1.0))
    if bias:
        tensors.append(o.operand(2))
    return [o.add("batch_norm", [o.operand(0), *tensors], eps=float(eps))]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("clone", "detach", "alias", "contiguous", "lift_fresh", "lift", "dropout", "native_dropout",
                     "feature_dropout", "positive"), _identity),
    "_to_copy": _cast, "to": _cast, "copy": _copy, "fill": _fill, "full": _full(None), "full_like": _full(None),
    "new_full": _full(None), "zeros": _full(0), "zeros_like": _full(0), "new_zeros": _full(0), "ones": _full(1),
    "ones_like": _full(1), "new_ones": _full(1), "empty": _full(0), "empty_like": _full(0), "new_empty": _full(0),
    "add": _two("add"), "sub": _two("sub"), "rsub": _two("sub", swapped=True), "mul": _two("mul"), "div": _div,
    **{name: _two(name) for name in ("maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne")},
    **dict.fromkeys(("logical_and", "bitwise_and"), _two("and")),
    **dict.fromkeys(("logical_or", "bitwise_or"), _two("or")),
    **dict.fromkeys(("logical_not", "bitwise_not"), _one("not")),
    **{name: _one(name) for name in ("neg", "abs", "sqrt", "rsqrt", "exp", "log", "sign", "round", "floor", "ceil",
                                     "trunc", "reciprocal", "tanh", "sigmoid", "relu", "erf", "silu", "hardsigmoid",
                                     "hardswish", "softplus", "sin", "cos")},
    "gelu": lambda o: o.add("gelu", [o.operand(0)], tanh=o.op.kwargs.get("approximate", "none") == "tanh"),
    "leaky_relu": lambda o: o.add("leaky_relu", [o.operand(0)], slope=float(o.arg(1, "negative_slope", 0.01))),
    "relu6": lambda o: o.add("clamp", [o.operand(0)], low=0.0, high=6.0), "hardtanh": _clamp, "clamp": _clamp,
    "clamp_min": lambda o: o.add("maximum", [o.operand(0), o.operand(1)]),
    "clamp_max": lambda o: o.add("minimum", [o.operand(0), o.operand(1)]),
    "pow": _pow, "square": lambda o: o.add("mul", [o.operand(0), o.operand(0)]), "where": _where,
    "masked_fill": _masked_fill, "addcmul": _addcmul, "lerp": _lerp,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _batch_norm),
}  # fmt: skip
