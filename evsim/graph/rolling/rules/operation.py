"""Operation: a recorded operation with what its nodes need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.program import Program, Source
from evsim.graph.rolling.run import RecordedOp, Ref, refs

__all__ = ["Operation", "Rule", "Shape"]

Shape = Sequence[int]


@dataclass(eq=False)
class Operation:
    """One recorded operation with what its nodes need: operands as nodes, and shapes without time.

    Parameters
    ----------
    program : Program
    op : RecordedOp
    source_of : callable
        The node of a recorded value.
    shapes : list of shape or None
        Of each output.
    shape_of : callable
        The shape of a recorded value.
    """

    program: Program
    op: RecordedOp
    source_of: Callable[[int], Source]
    shapes: list
    shape_of: Callable[[int], Shape]

    def arg(self, i: int, name: str = "", default: object = None) -> object:
        """A positional argument, or one by name."""
        if i < len(self.op.args):
            return self.op.args[i]
        return self.op.kwargs.get(name, default)

    def operand(self, i: int, name: str = "") -> Source:
        """An operand as a node; a number becomes one."""
        argument = self.arg(i, name)
        if isinstance(argument, Ref):
            return self.source_of(argument.value)
        if isinstance(argument, (bool, int, float)):
            return self.program.number(argument)
        raise Unrolled(f"operation {self.op.name} without its operand {i}")

    def operands(self, i: int = 0) -> list[Source]:
        """The operands of a list argument; empty tensors, which old code starts from, left out."""
        return [self.source_of(v) for v in refs(self.arg(i)) if tuple(self.shape_of(v)) != (0,)]

    def shape(self, i: int = 0) -> Shape:
        """The shape of an operand."""
        return self.shape_of(self.op.args[i].value)

    def add(self, op: str, inputs: Sequence[Source], **attributes: object) -> Source:
        return self.program.add(op, inputs, attributes, self.op.path)

    def has(self, i: int, name: str = "") -> bool:
        return self.arg(i, name) is not None


Rule = Callable[[Operation], "Source | list[Source | None]"]
