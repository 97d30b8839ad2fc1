"""Which axes of every recorded value are time: the example's, those that neurons demand, and what follows."""

from __future__ import annotations

from collections.abc import Mapping

from evsim.graph.rolling.axes import Atom, Axis, Unrolled, axis_size, has_time, plain_axes
from evsim.graph.rolling.label_rules import Timing, elementwise, rule_of
from evsim.graph.rolling.run import NEURON, RecordedOp, Run
from evsim.graph.rolling.understood import no_form, understood

__all__ = ["AxisLabels"]


class AxisLabels:
    """The axes of every value of a run.

    Parameters
    ----------
    run : Run
    ops : list of RecordedOp
        The live ones.
    neurons : mapping of str to Timing
        By path.

    Attributes
    ----------
    axes : dict of int to list of Axis
    mixing : dict of int to str
        Operations (by their place in `ops`) that reach across steps, in words.
    steps : dict of int to int
        The step of the values that belong to one.

    Raises
    ------
    Unrolled
        Something no step-by-step program can do, with the module's path.
    """

    def __init__(self, run: Run, ops: list[RecordedOp], neurons: Mapping[str, Timing]) -> None:
        self.run, self.ops, self.neurons = run, ops, neurons
        self.axes: dict[int, list[Axis]] = {}
        self.mixing: dict[int, str] = {}
        self._atoms: dict[tuple[int, int], Atom] = {}
        for _ in range(2):  # what the second neuron demands may be news to what came before the first
            self._label()

    def _label(self) -> None:
        self.mixing, self.steps = {}, {}
        for place, op in enumerate(self.ops):
            self._place = place
            self._take_step(op)
            try:
                outs = understood(op, self._outs, op)
            except Unrolled as refusal:
                raise Unrolled(f"{op.path or 'the model'}: {refusal}") from None
            for value, axes in zip(op.outs, outs, strict=False):
                if value is not None:
                    shape = self.run.shapes[value]
                    same = tuple(map(axis_size, axes)) == shape
                    self.axes[value] = axes if same else plain_axes(shape)

    def _take_step(self, op: RecordedOp) -> None:
        """Of which step a value is, where a loop over steps was written out: single-step neurons count their calls."""
        found = {self.steps[value] for value in op.operands if value in self.steps}
        step = found.pop() if len(found) == 1 else None
        if op.name == NEURON and self.neurons[op.path].steps == "one":
            step = op.call
        if step is not None and op.name not in ("stack", "cat"):
            self.steps |= dict.fromkeys((value for value in op.outs if value is not None), step)

    def shape(self, op: RecordedOp, port: int = 0) -> tuple[int, ...]:
        return self.run.shapes[op.outs[port]]

    def operand(self, op: RecordedOp, i: int = 0) -> list[Axis]:
        return self.axes[op.args[i].value]

    def atom(self, axis: int, size: int, is_time: bool = False) -> Atom:
        """The atom of a new axis: the same at each pass."""
        key = (self._place, axis)
        if key not in self._atoms:
            self._atoms[key] = Atom(size, is_time)
        return self._atoms[key]

    def mixes(self, what: str) -> None:
        self.mixing[self._place] = what

    def _outs(self, op: RecordedOp) -> list[list[Axis]]:
        rule = rule_of(op.name)
        if rule is None:
            return self._unknown(op)
        first = rule(self, op)
        if first and isinstance(first[0], list) and first[0] and isinstance(first[0][0], list):
            return first  # one list of axes for each output
        rest = [plain_axes(self.run.shapes[value]) if value is not None else [] for value in op.outs[1:]]
        return [first, *rest]

    def _unknown(self, op: RecordedOp) -> list[list[Axis]]:
        """An operation without a rule is element by element if it keeps the shape, else it must not see time."""
        shapes = [self.run.shapes[value] for value in op.operands]
        if any(shape == self.shape(op) for shape in shapes):
            first = [elementwise(self, op)]
        elif any(has_time(axis) for value in op.operands for axis in self.axes[value]):
            raise no_form(op.name)  # whether it mixes steps, nobody knows
        else:
            first = []
        rest = op.outs[len(first) :]
        return first + [plain_axes(self.run.shapes[value]) if value is not None else [] for value in rest]
