"""translate: one of PyTorch's operations as nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable

from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.program import Program, Source
from evsim.graph.rolling.rules import arithmetic, layers, views
from evsim.graph.rolling.rules.operation import Operation, Rule, Shape
from evsim.graph.rolling.run import RecordedOp
from evsim.graph.rolling.understood import no_form, understood

__all__ = ["translate"]

_RULES: dict[str, Rule] = views.RULES | arithmetic.RULES | layers.RULES


def translate(
    program: Program, op: RecordedOp, source_of: Callable[[int], Source], shapes: list, shape_of: Callable[[int], Shape]
) -> list[Source | None]:
    """The nodes of each output of `op`, in order; None where none is made.

    Raises
    ------
    Unrolled
        An operation, or a way of calling it, that a graph has no word for; or one whose steps differ.
    """
    rule = _RULES.get(op.name)
    if rule is None:
        raise no_form(op.name)
    made = understood(op, rule, Operation(program, op, source_of, shapes, shape_of))
    made = made if isinstance(made, list) else [made]
    for source, shape in zip(made, shapes, strict=False):
        if source is not None and shape is not None and program.shape_of(source) != tuple(shape):
            found = "x".join(map(str, program.shape_of(source)))
            expected = "x".join(map(str, shape))
            raise Unrolled(f"{op.name} makes {found} in one step, expected {expected}: the steps differ")
    return made
