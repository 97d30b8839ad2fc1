"""Views and writes through them: what only moves values."""

from __future__ import annotations

import math

from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.program import Source
from evsim.graph.rolling.rules.operation import Operation, Rule
from evsim.graph.rolling.run import SCATTER

__all__ = ["RULES"]


def _reshape(o: Operation) -> Source:
    return o.add("reshape", [o.operand(0)], shape=o.shapes[0])


def _permute(o: Operation) -> Source:
    n = len(o.shape())
    return o.add("permute", [o.operand(0)], dims=[dim % n for dim in o.arg(1)])


def _transpose(o: Operation) -> Source:
    dims = list(range(len(o.shape())))
    i, j = (dim % len(dims) for dim in ((o.arg(1), o.arg(2)) if o.has(2) else (0, 1))) if len(dims) > 1 else (0, 0)
    if dims:
        dims[i], dims[j] = dims[j], dims[i]
    return o.add("permute", [o.operand(0)], dims=dims)


def _expand(o: Operation) -> Source:
    return o.add("expand", [o.operand(0)], shape=o.shapes[0])


def _repeat(o: Operation) -> Source:
    shape, out = list(o.shape()), list(o.shapes[0])
    shape = [1] * (len(out) - len(shape)) + shape
    times = [n // max(size, 1) for n, size in zip(out, shape, strict=True)]
    x = o.add("reshape", [o.operand(0)], shape=shape)
    return x if all(n == 1 for n in times) else o.add("tile", [x], times=times)


def _select(o: Operation) -> Source:
    dim, index = o.arg(1) % len(o.shape()), o.arg(2)
    start = index % o.shape()[dim]
    one = o.add("slice", [o.operand(0)], dim=dim, start=start, stop=start + 1, step=1)
    return o.add("reshape", [one], shape=o.shapes[0])


def _slice(o: Operation) -> Source:
    dim = o.arg(1, "dim", 0) % len(o.shape())
    size = o.shape()[dim]
    start, stop, step = o.arg(2, "start"), o.arg(3, "end"), o.arg(4, "step", 1)
    start, stop, step = slice(start, stop, step).indices(size)
    if (start, stop, step) == (0, size, 1) or o.shapes[0][dim] == size:
        return o.operand(0)
    return o.add("slice", [o.operand(0)], dim=dim, start=start, stop=stop, step=step)


def _split(o: Operation) -> list[Source]:
    dim = o.arg(2, "dim", 0) % len(o.shape())
    made, start = [], 0
    for shape in o.shapes:
        stop = start + shape[dim]
        made.append(o.add("slice", [o.operand(0)], dim=dim, start=start, stop=stop, step=1))
        start = stop
    return made


def _unbind(o: Operation) -> list[Source]:
    dim = o.arg(1, "dim", 0) % len(o.shape())
    made = []
    for i, shape in enumerate(o.shapes):
        one = o.add("slice", [o.operand(0)], dim=dim, start=i, stop=i + 1, step=1)
        made.append(o.add("reshape", [one], shape=shape))
    return made


def _cat(o: Operation) -> Source:
    operands = o.operands()
    dim = o.arg(1, "dim", 0) % len(o.shapes[0])
    return operands[0] if len(operands) == 1 else o.add("cat", operands, dim=dim)


def _stack(o: Operation) -> Source:
    shape = list(o.shapes[0])
    dim = o.arg(1, "dim", 0) % len(shape)
    shape[dim] = 1
    parts = [o.add("reshape", [part], shape=shape) for part in o.operands()]
    return parts[0] if len(parts) == 1 else o.add("cat", parts, dim=dim)


def _pad(o: Operation) -> Source:
    n, pads = len(o.shape()), o.arg(1)
    before, after = [0] * n, [0] * n
    for i in range(len(pads) // 2):
        before[n - 1 - i], after[n - 1 - i] = pads[2 * i], pads[2 * i + 1]
    return o.add("pad", [o.operand(0)], before=before, after=after, value=float(o.arg(2, "value", 0) or 0))


def _flip(o: Operation) -> Source:
    n = len(o.shape())
    return o.add("flip", [o.operand(0)], dims=[dim % n for dim in o.arg(1)])


def _roll(o: Operation) -> Source:
    shifts, dims = o.arg(1), o.arg(2, "dims", ())
    if len(shifts) != len(dims):
        raise Unrolled("roll without axes has no form here")
    x, shape = o.operand(0), o.shape()
    for shift, dim in zip(shifts, dims, strict=True):
        size = shape[dim]
        cut = -shift % size
        if cut:
            ends = [
                o.add("slice", [x], dim=dim % len(shape), start=a, stop=b, step=1) for a, b in ((cut, size), (0, cut))
            ]
            x = o.add("cat", ends, dim=dim % len(shape))
    return x


def _nearest(o: Operation) -> Source:
    return o.add("nearest", [o.operand(0)], size=list(o.shapes[0])[2:])


def _scatter(o: Operation) -> Source:
    """A chain of slices and selections is a box in the base."""
    base_shape = list(o.shape(0))
    axes: list[int | None] = list(range(len(base_shape)))
    starts, counts, steps = [0] * len(axes), list(base_shape), [1] * len(axes)
    for name, arguments, _, _ in o.op.args[2]:
        _narrow(name, arguments, axes, starts, counts, steps)
    if math.prod(counts) != math.prod(o.shape(1)):
        raise Unrolled("a write into a part of a value has no form here: it covers several steps")
    return o.add("scatter", [o.operand(0), o.operand(1)], starts=starts, counts=counts, steps=steps)


def _narrow(name: str, arguments: tuple, axes: list, starts: list, counts: list, steps: list) -> None:
    """One view of the chain: which part of which axis of the base is left."""
    if name in ("detach", "alias"):
        return
    dim = arguments[0] if arguments else 0
    if name == "unsqueeze":
        axes.insert(dim % (len(axes) + 1), None)
        return
    dim %= len(axes)
    axis = axes[dim]
    if name == "select" and axis is not None:
        starts[axis] += steps[axis] * (arguments[1] % counts[axis])
        counts[axis] = 1
        axes.pop(dim)
    elif name == "slice" and axis is not None:
        first, stop, step = slice(*(*arguments[1:], None, None, None)[:3]).indices(counts[axis])
        starts[axis] += steps[axis] * first
        counts[axis], steps[axis] = len(range(first, stop, step)), steps[axis] * step
    else:
        raise Unrolled(f"a write through {name} has no form here")


def _pixel_shuffle(o: Operation) -> Source:
    *lead, c, h, w = o.shape()
    r = o.arg(1)
    x = o.add("reshape", [o.operand(0)], shape=[*lead, c // r**2, r, r, h, w])
    n = len(lead)
    x = o.add("permute", [x], dims=[*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return o.add("reshape", [x], shape=o.shapes[0])


RULES: dict[str, Rule] = {
    SCATTER: _scatter,
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze"), _reshape),
    "permute": _permute, "transpose": _transpose, "t": _transpose, "swapaxes": _transpose, "expand": _expand,
    "repeat": _repeat, "select": _select, "slice": _slice, "unbind": _unbind, "cat": _cat, "stack": _stack,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"), _split),
    "constant_pad_nd": _pad, "flip": _flip, "roll": _roll, "pixel_shuffle": _pixel_shuffle,
    **{f"upsample_nearest{n}d": _nearest for n in (1, 2, 3)},
}  # fmt: skip
