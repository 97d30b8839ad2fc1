"""A fresh tensor that a loop fills index by index is a stack."""

from __future__ import annotations

from evsim.graph.rolling.run import SCATTER, RecordedOp, Ref, Run

__all__ = ["with_stacks"]

_CHANGES_NOTHING = {"detach", "alias"}


def with_stacks(run: Run) -> None:
    """``out = zeros(n, ...); out[i] = x_i`` for every i becomes ``out = stack(x_0 ... x_n-1)``, in place."""
    maker = {value: op for op in run.ops for value in op.outs if value is not None}
    stacks = {}
    for op in run.ops:
        elements = _elements(run, maker, op)
        if elements is not None:
            stacks[id(op)] = RecordedOp("stack", (elements, 0), {}, op.outs, op.path)
    run.ops = [stacks.get(id(op), op) for op in run.ops]


def _elements(run: Run, maker: dict[int, RecordedOp], op: RecordedOp) -> tuple[Ref, ...] | None:
    """What stands at each index, if writes have filled them all."""
    if op.name != SCATTER or _index(op) is None:
        return None
    size, found = run.shapes[op.outs[0]][0], {}
    while op is not None and op.name == SCATTER:
        index, write = _index(op), maker[op.args[1].value]
        if index is None or write.name != "copy":
            return None
        if run.shapes[write.args[1].value] != run.shapes[write.outs[0]]:
            return None
        found.setdefault(index % size, write.args[1])
        if len(found) == size:
            return tuple(found[i] for i in range(size))
        op = maker.get(op.args[0].value)
    return None


def _index(op: RecordedOp) -> int | None:
    """The index along the first axis that a scatter writes to, if it is one."""
    steps = [step for step in op.args[2] if step[0] not in _CHANGES_NOTHING]
    if len(steps) != 1 or steps[0][0] != "select" or steps[0][1][0] != 0:
        return None
    return steps[0][1][1]
