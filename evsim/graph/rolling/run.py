"""Run: every operation of one recorded forward pass, on values that nothing overwrites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

__all__ = ["CONSTANT", "INPUT", "NEURON", "PARAMETER", "SCATTER", "RecordedOp", "Ref", "Run", "refs", "refs_of"]

INPUT, PARAMETER, CONSTANT, NEURON, SCATTER = "input", "parameter", "constant", "neuron", "write through a view"
"""Names of recorded operations that are none of PyTorch's."""


@dataclass(frozen=True, slots=True)
class Ref:
    """An operand that is a value, not a number."""

    value: int


@dataclass(eq=False, slots=True)
class RecordedOp:
    """One operation.

    Parameters
    ----------
    name : str
        As PyTorch's dispatcher names it ("convolution"), in-place ones without their underscore; or one of this file's.
    args : tuple
        Numbers, text, None, `Ref`, and lists of these. A `SCATTER` has base, value and the chain of views by which the
        value is found in the base: tuples (name, further arguments, which output).
    kwargs : dict
    outs : tuple of int or None
        The values it makes; None for an output that is no tensor.
    path : str
        Of the module that was running.
    call : int
        Of a neuron: how often the module had been called before.
    """

    name: str
    args: tuple
    kwargs: dict
    outs: tuple
    path: str
    call: int = 0

    @property
    def operands(self) -> tuple[int, ...]:
        """The values it reads, in order."""
        return (*refs(self.args), *refs(tuple(self.kwargs.values())))


@dataclass(eq=False)
class Run:
    """A recorded forward pass.

    Parameters
    ----------
    ops : list of RecordedOp
        In the order in which they ran.
    shapes : dict of int to tuple
        Of every value, as it was when the value was made.
    names : dict of int to str
        Values that are parameters or buffers, by their name in the state dict.
    parameters : dict of str to array
        What these hold.
    constants : dict of int to array
        Other values known without the input.
    outputs : list of int
    calls : dict of str to int
        How often each neuron module was called.
    axes : str
        Of the input, one letter an axis: T, B, or anything else.
    """

    ops: list[RecordedOp] = field(default_factory=list)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    constants: dict[int, np.ndarray] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    axes: str = ""

    def live(self) -> list[RecordedOp]:
        """The operations that the first output needs, in order."""
        maker = {value: i for i, op in enumerate(self.ops) for value in op.outs if value is not None}
        needed: set[int] = set()
        open_values = list(self.outputs[:1])
        while open_values:
            i = maker[open_values.pop()]
            if i not in needed:
                needed.add(i)
                open_values += self.ops[i].operands
        return [op for i, op in enumerate(self.ops) if i in needed]

    def behind_all_neurons(self) -> set[int]:
        """Values that no neuron is fed by, through whatever lies between."""
        feeding: set[int] = set()
        for op in reversed(self.ops):
            if op.name == NEURON or feeding.intersection(value for value in op.outs if value is not None):
                feeding.update(op.operands)
        return {value for op in self.ops for value in op.outs if value is not None} - feeding


def refs(arguments: object) -> Iterator[int]:
    """The values among (nested) arguments."""
    if isinstance(arguments, Ref):
        yield arguments.value
    elif isinstance(arguments, (list, tuple)):
        for argument in arguments:
            yield from refs(argument)


def refs_of(arguments: object, change) -> object:
    """The arguments with each `Ref` replaced by ``change(value)``."""
    if isinstance(arguments, Ref):
        return change(arguments.value)
    if isinstance(arguments, (list, tuple)):
        return type(arguments)(refs_of(argument, change) for argument in arguments)
    return arguments
