"""Translation: the graph under construction, and what the rules of layers and populations build with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evsim.checkpoints.refusal import Refused, shown
from evsim.graph.nir.flat import Flat
from evsim.graph.nir.reading import Reading
from evsim.graph.rolling.program import Program, Source

__all__ = ["Translation", "sizes"]


class Translation:
    """Values have one step in front, [1, ...]; in the readout all of them, [n_steps, ...].

    Parameters
    ----------
    flat : Flat
    reading : Reading
    n_steps : int

    Attributes
    ----------
    step, readout : Program
    values : dict of str to Source
        What each node sends.
    tensors : dict of str to array
    axes : str
        Of the input.
    """

    def __init__(self, flat: Flat, reading: Reading, n_steps: int) -> None:
        self.flat, self.reading, self.n_steps = flat, reading, n_steps
        self.step = Program()
        self.readout = Program(self.step)
        self.values: dict[str, Source] = {}
        self.tensors: dict[str, np.ndarray] = {}
        self.axes = ""

    def called(self, name: str) -> str:
        return f"node {shown(name)} ({type(self.flat.nodes[name]).__name__})"

    def shape(self, x: Source) -> tuple[int, ...]:
        """Of one step, without time."""
        return self.program(x).shape_of(x)[1:]

    def op(self, name: str, op: str, inputs: Sequence[Source], **attributes) -> Source:
        """An operation where its first operand is, in the step or in the readout."""
        program = self.program(inputs[0])
        return program.add(op, inputs, attributes, name)

    def tensor(self, x: Source, name: str, key: str, array: np.ndarray) -> Source:
        """An array of the node `name`, for an operation on `x`."""
        self.tensors[f"{name}.{key}"] = array = np.ascontiguousarray(array, np.float32)
        return self.program(x).tensor(f"{name}.{key}", array.shape, name)

    def reshape(self, name: str, x: Source, shape: Sequence[int]) -> Source:
        """Of one step."""
        return self.op(name, "reshape", [x], shape=[self.program(x).shape_of(x)[0], *shape])

    def expect(self, name: str, found: tuple[int, ...], expected: tuple[int, ...] | None) -> None:
        """Raise unless what comes in has the shape that a node has."""
        if expected is not None and found != expected:
            raise Refused(f"{self.called(name)}: gets {sizes(found)}, expected {sizes(expected)}")

    def late(self, x: Source) -> Source:
        """The values of all steps."""
        if x.late:
            return x
        shape = [self.n_steps, *self.shape(x)]
        return self.readout.add("steps", [x], {"axis": 0, "lead": 1, "shape": shape})

    def times(self, name: str, x: Source, gain: np.ndarray) -> Source:
        """r, and what else a population multiplies its current by."""
        gain = np.asarray(gain, np.float32)
        if gain.size and np.all(gain == gain.flat[0]):
            one = float(gain.flat[0])
            return x if one == 1 else self.op(name, "mul", [x, self.program(x).number(one)])
        return self.op(name, "mul", [x, self.tensor(x, name, "gain", gain[None])])

    def inputs_of(self, name: str) -> Source:
        """Everything that leads to a node, added up."""
        parts = [self.values[source] for source in self.flat.reads[name]]
        if any(part.late for part in parts):
            parts = [self.late(part) for part in parts]
        total, *rest = parts
        for part in rest:
            self.expect(name, self.shape(part), self.shape(total))
            total = self.op(name, "add", [total, part])
        return total

    def program(self, x: Source) -> Program:
        return self.readout if x.late else self.step


def sizes(shape: Sequence[int]) -> str:
    """A shape in a message."""
    return "x".join(map(str, shape)) or "a number"
