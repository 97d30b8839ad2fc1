"""What each operation makes of the axes of its operands; `rule_of` finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from evsim.graph.rolling.axes import Atom, Axis, Unrolled, axis_size, has_time, join, plain, plain_axes, regroup
from evsim.graph.rolling.run import CONSTANT, INPUT, NEURON, PARAMETER, SCATTER, RecordedOp, Ref, Run, refs

__all__ = ["Labels", "Timing", "elementwise", "rule_of"]


class Timing(Protocol):
    """What is known of when a neuron module runs."""

    steps: str
    folded: int | None


class Labels(Protocol):
    """What a rule may ask of the labels so far; `evsim.graph.rolling.label.AxisLabels` is one."""

    run: Run
    neurons: Mapping[str, Timing]
    axes: dict[int, list[Axis]]
    steps: dict[int, int]

    def shape(self, op: RecordedOp, port: int = 0) -> tuple[int, ...]: ...

    def operand(self, op: RecordedOp, i: int = 0) -> list[Axis]: ...

    def atom(self, axis: int, size: int, is_time: bool = False) -> Atom: ...

    def mixes(self, what: str) -> None: ...


Rule = Callable[[Labels, RecordedOp], list]


def _dim(dim: int, n_axes: int) -> int:
    return dim % n_axes if n_axes else 0


def _dims(dims: object, n_axes: int) -> list[int]:
    if dims is None or dims == () or dims == []:
        return list(range(n_axes))
    return [_dim(dim, n_axes) for dim in (dims if isinstance(dims, (list, tuple)) else [dims])]


def _input(labels: Labels, op: RecordedOp) -> list[Axis]:
    shape = labels.shape(op)
    return [
        [(size, labels.atom(i, size, is_time=True))] if letter == "T" else plain(size)
        for i, (size, letter) in enumerate(zip(shape, labels.run.axes, strict=True))
    ]


def _nothing(labels: Labels, op: RecordedOp) -> list[Axis]:
    return plain_axes(labels.shape(op))


def _uniform(labels: Labels, op: RecordedOp) -> list[Axis]:
    """The same everywhere: any of its axes may turn out to be time."""
    return [[(size, labels.atom(i, size))] if size != 1 else [] for i, size in enumerate(labels.shape(op))]


def _neuron(labels: Labels, op: RecordedOp) -> list[list[Axis]]:
    axes, timing = labels.operand(op), labels.neurons[op.path]
    if timing.steps == "all":
        _demand_time(labels, axes, timing.folded)
    return [
        list(axes) if value is not None and labels.run.shapes[value] == labels.run.shapes[op.args[0].value] else
        plain_axes(labels.run.shapes[value]) if value is not None else []
        for value in op.outs
    ]  # fmt: skip


def _demand_time(labels: Labels, axes: list[Axis], folded: int | None) -> None:
    """The first factor of the first axis is time; with one step there is none."""
    front = [factor for factor in (axes[0] if axes else []) if factor[0] != 1]
    elsewhere = [i for i, axis in enumerate(axes) if i and has_time(axis)]
    if elsewhere:
        raise Unrolled(f"time is axis {elsewhere[0]} of its input, expected the first: say axes=... in the right order")
    if not front or folded == 1:
        return
    size, atom = front[0]
    if atom is not None and (folded is None or size == folded):
        atom.become_time()
    if atom is None or not atom.is_time:
        raise Unrolled("the first axis of its input is not recognised as time: check axes=...")


def _reshape(labels: Labels, op: RecordedOp) -> list[Axis]:
    return regroup(labels.operand(op), labels.shape(op))


def _permute(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = labels.operand(op)
    return [axes[dim] for dim in op.args[1]]


def _transpose(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = list(labels.operand(op))
    i, j = (_dim(dim, len(axes)) for dim in (op.args[1:3] if len(op.args) > 2 else (0, 1)))
    if len(axes) > 1:
        axes[i], axes[j] = axes[j], axes[i]
    return axes


def _unsqueeze(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = list(labels.operand(op))
    axes.insert(_dim(op.args[1], len(axes) + 1), [])
    return axes


def _squeeze(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = labels.operand(op)
    dims = _dims(op.args[1] if len(op.args) > 1 else None, len(axes))
    return [axis for i, axis in enumerate(axes) if i not in dims or axis_size(axis) != 1]


def _expand(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes, shape = labels.operand(op), labels.shape(op)
    axes = [[] for _ in range(len(shape) - len(axes))] + axes
    return [
        axis if axis_size(axis) == size else [(size, labels.atom(i, size))]
        for i, (axis, size) in enumerate(zip(axes, shape, strict=True))
    ]


def _repeat(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes, shape = labels.operand(op), labels.shape(op)
    axes = [[] for _ in range(len(shape) - len(axes))] + axes
    repeated = []
    for i, (axis, size) in enumerate(zip(axes, shape, strict=True)):
        times = size // max(1, axis_size(axis))
        repeated.append(([(times, labels.atom(i, times))] if times > 1 else []) + list(axis))
    return repeated


def _select(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = list(labels.operand(op))
    dim = _dim(op.args[1], len(axes))
    if has_time(axes[dim]):
        labels.steps[op.outs[0]] = op.args[2] % axis_size(axes[dim])
    axes.pop(dim)
    return axes


def _slice(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes, shape = list(labels.operand(op)), labels.shape(op)
    dim = _dim(op.args[1] if len(op.args) > 1 else 0, len(axes))
    if shape[dim] != axis_size(axes[dim]):
        if has_time(axes[dim]):
            labels.mixes("a slice of the axis of time")
        axes[dim] = plain(shape[dim])
    return axes


def _split(labels: Labels, op: RecordedOp) -> list[list[Axis]]:
    axes = labels.operand(op)
    if op.name == "unbind":
        dim = _dim(op.args[1] if len(op.args) > 1 else 0, len(axes))
        if has_time(axes[dim]):
            labels.steps |= {value: step for step, value in enumerate(op.outs)}
        return [[axis for i, axis in enumerate(axes) if i != dim] for _ in op.outs]
    dim = _dim(op.args[2] if len(op.args) > 2 else 0, len(axes))
    if has_time(axes[dim]) and len(op.outs) > 1:
        labels.mixes("a split of the axis of time")
    outs = [list(axes) for _ in op.outs]
    for out, value in zip(outs, op.outs, strict=True):
        if len(op.outs) > 1:
            out[dim] = plain(labels.run.shapes[value][dim])
    return outs


def _stack(labels: Labels, op: RecordedOp) -> list[Axis]:
    values = list(refs(op.args[0]))
    axes = join([labels.axes[value] for value in values])
    dim = _dim(op.args[1] if len(op.args) > 1 else 0, len(axes) + 1)
    atom = labels.atom(dim, len(values))
    if len(values) > 1 and [labels.steps.get(value) for value in values] == list(range(len(values))):
        atom.become_time()
    axes = list(axes)
    axes.insert(dim, [(len(values), atom)])
    return axes


def _cat(labels: Labels, op: RecordedOp) -> list[Axis]:
    values = [value for value in refs(op.args[0]) if labels.run.shapes[value] != (0,)]
    n_axes = len(labels.shape(op))
    dim = _dim(op.args[1] if len(op.args) > 1 else 0, n_axes)
    if any(has_time(labels.axes[value][dim]) for value in values):
        labels.mixes("a concatenation along the axis of time")
    axes = join([[axis if i != dim else [] for i, axis in enumerate(labels.axes[value])] for value in values])
    steps = [labels.steps.get(value) for value in values]
    axes[dim] = plain(labels.shape(op)[dim])
    if len(values) > 1 and steps == list(range(len(values))) and all(labels.run.shapes[v][dim] == 1 for v in values):
        atom = labels.atom(dim, len(values))
        atom.become_time()
        axes[dim] = [(len(values), atom)]
    return axes


def elementwise(labels: Labels, op: RecordedOp) -> list[Axis]:
    operands = [labels.axes[value] for value in op.operands]
    joined = join(operands)
    for axes in operands:
        for mine, all_of in zip(reversed(axes), reversed(joined), strict=False):
            if has_time(all_of) and axis_size(mine) > 1 and not has_time(mine):
                labels.mixes(f"{op.name} with another weight at each step")
    return joined if len(joined) == len(labels.shape(op)) else plain_axes(labels.shape(op))


def _batch_norm(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = labels.operand(op)
    if has_time(axes[1]):
        raise Unrolled("the channels of a BatchNorm hold time, expected one BatchNorm for all steps")
    training = op.args[5] if op.name == "native_batch_norm" else False
    if training is True:
        raise Unrolled(
            "reads the batch axis: this BatchNorm takes its statistics from the batch (training mode, or no running "
            "statistics)"
        )
    return list(axes)


def _windowed(n_spatial: int | None) -> Callable:
    """Convolutions, pools, resizing: the last axes change, and of a convolution the channels."""

    def rule(labels: Labels, op: RecordedOp) -> list[Axis]:
        axes, shape = list(labels.operand(op)), labels.shape(op)
        is_conv = op.name == "convolution"
        n = n_spatial if n_spatial is not None else len(shape) - 2
        if op.name == "constant_pad_nd":
            n = len(op.args[1]) // 2
        for i in range(len(shape)):
            if not (i >= len(shape) - n or (is_conv and i == len(shape) - n - 1)):
                continue
            if has_time(axes[i]):
                same = shape[i] == axis_size(axes[i]) and i >= len(shape) - n
                if same and _leaves_alone(labels, op, i - len(shape), n):
                    continue
                labels.mixes(f"{op.name} over the axis of time")
                if same:  # its places are still the steps, so that neurons behind it can say why they cannot be
                    continue
            if is_conv or shape[i] != axis_size(axes[i]) or has_time(axes[i]):
                axes[i] = plain(shape[i])
        return axes

    return rule


def _leaves_alone(labels: Labels, op: RecordedOp, from_the_end: int, n: int) -> bool:
    """Whether the window of this axis is a single place."""
    if op.name == "convolution":
        kernel = labels.run.shapes[op.args[1].value]
        return kernel[from_the_end] == 1 and not op.args[6]
    if op.name.startswith(("upsample", "constant_pad", "_adaptive", "adaptive")):
        return True
    if "pool" not in op.name or len(op.args) < 2:
        return False
    kernel = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
    return (kernel * n if len(kernel) == 1 else kernel)[from_the_end] == 1


def _reduce(labels: Labels, op: RecordedOp) -> list[list[Axis]]:
    axes = labels.operand(op)
    where = 2 if "norm" in op.name else 1  # the order of a norm comes first
    dims = _dims(op.args[where] if len(op.args) > where and not isinstance(op.args[where], Ref) else None, len(axes))
    if any(has_time(axes[dim]) for dim in dims):
        labels.mixes(f"{op.name} over the axis of time")
    keep = bool(op.args[where + 1]) if len(op.args) > where + 1 else False
    kept = [[] if i in dims else axis for i, axis in enumerate(axes) if keep or i not in dims]
    return [kept if value is not None else [] for value in op.outs]


def _along(labels: Labels, op: RecordedOp) -> list[Axis]:
    """Softmax, cumulative sums: one axis is looked along, the shape stays."""
    axes = labels.operand(op)
    dim = _dim(op.args[1], len(axes))
    if has_time(axes[dim]):
        labels.mixes(f"{op.name} over the axis of time")
    return list(axes)


def _layer_norm(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes, n = labels.operand(op), len(op.args[1])
    if any(has_time(axis) for axis in axes[-n:]):
        labels.mixes("native_layer_norm over the axis of time")
    return list(axes)


def _matmul(labels: Labels, op: RecordedOp) -> list[Axis]:
    x, y = (labels.axes[value] for value in list(op.operands)[-2:])
    if has_time(x[-1]) or has_time(y[-2 if len(y) > 1 else -1]):
        labels.mixes("a matrix product over the axis of time")
    lead = join([x[:-2], y[:-2]]) if len(x) > 2 or len(y) > 2 else []
    return [*lead, *x[-2:-1], *y[-1:]] if len(y) > 1 else [*lead, *x[-2:-1]]


def _linear(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = labels.operand(op)
    if has_time(axes[-1]):
        labels.mixes("linear over the axis of time")
    return [*axes[:-1], plain(labels.shape(op)[-1])]


def _scatter(labels: Labels, op: RecordedOp) -> list[Axis]:
    base, value = (labels.axes[ref.value] for ref in op.args[:2])
    if len(base) != len(value):
        return list(base)
    axes = []
    for mine, theirs in zip(base, value, strict=True):
        same = axis_size(mine) == axis_size(theirs) > 1
        axes.append(join([[mine], [theirs]])[0] if same else mine)
        if has_time(axes[-1]) != (has_time(mine) and (has_time(theirs) or not same)):
            labels.mixes("a write of values that are other ones at each step")
    return axes


def _flip(labels: Labels, op: RecordedOp) -> list[Axis]:
    axes = labels.operand(op)
    dims = op.args[1] if op.name == "flip" else op.args[2] if len(op.args) > 2 else None
    if any(has_time(axes[dim]) for dim in _dims(dims, len(axes))):
        labels.mixes(f"{op.name} over the axis of time")
    return list(axes)


_RULES: dict[str, Rule] = {
    INPUT: _input, PARAMETER: _nothing, CONSTANT: _nothing, NEURON: _neuron, SCATTER: _scatter,
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), _reshape),
    "permute": _permute, "transpose": _transpose, "t": _transpose, "swapaxes": _transpose,
    "unsqueeze": _unsqueeze, "squeeze": _squeeze, "expand": _expand, "repeat": _repeat, "select": _select,
    "slice": _slice, "stack": _stack, "cat": _cat, "flip": _flip, "roll": _flip,
    **dict.fromkeys(("split", "split_with_sizes", "unbind", "chunk", "unsafe_split", "unsafe_chunk"), _split),
    "convolution": _windowed(None), "constant_pad_nd": _windowed(None),
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _batch_norm),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "any", "all", "logsumexp",
                     "argmax", "linalg_vector_norm", "norm"), _reduce),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax", "cumsum", "softmax"), _along),
    "native_layer_norm": _layer_norm, "mm": _matmul, "bmm": _matmul, "matmul": _matmul, "addmm": _matmul,
    "baddbmm": _matmul, "mv": _matmul, "linear": _linear,
    **dict.fromkeys(("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty", "zeros_like",
                     "ones_like", "full_like", "empty_like"), _uniform),
    "fill": lambda labels, op: list(labels.operand(op)),
    **dict.fromkeys(("arange", "eye", "linspace", "scalar_tensor", "rand", "randn", "rand_like", "randn_like",
                     "bernoulli"), _nothing),
}  # fmt: skip


def rule_of(name: str) -> Rule | None:
    """The rule of an operation; None where it has none."""
    if name in _RULES:
        return _RULES[name]
    for n_spatial in (1, 2, 3):
        if f"pool{n_spatial}d" in name or name.startswith(f"upsample_nearest{n_spatial}d"):
            return _windowed(n_spatial)
    return _windowed(2) if name.startswith("upsample_bi") else None
