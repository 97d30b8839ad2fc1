"""roll_up: a run over all steps becomes the program of one step, by hash-consing, and a readout.

A node is known by its operation and operands: the same layer at step 1 finds the node of step 0. That each neuron
module is fed by the same node at each call is the proof that all steps compute the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from evsim.errors import EvsimError
from evsim.graph.graph import Graph
from evsim.graph.rolling.axes import Unrolled, axis_size, has_time, size_of_step
from evsim.graph.rolling.label import AxisLabels
from evsim.graph.rolling.program import Program, Source
from evsim.graph.rolling.pruned import pruned
from evsim.graph.rolling.recurrence import check_feed_forward
from evsim.graph.rolling.run import CONSTANT, INPUT, NEURON, PARAMETER, RecordedOp, Run, refs
from evsim.graph.rolling.stacks import with_stacks
from evsim.graph.rolling.translate import translate

__all__ = ["Neuron", "roll_up"]

_NEVER_EVENT_DRIVEN = {
    "_softmax", "_log_softmax", "_safe_softmax", "softmax", "native_layer_norm", "sigmoid", "tanh", "gelu", "silu",
    "exp", "log", "sqrt", "reciprocal", "relu", "leaky_relu", "softplus", "hardsigmoid", "hardswish",
}  # fmt: skip
"""What the readout does where it may: no handler can, and behind the last neurons none has to."""
_SAME = {"clone", "detach", "alias", "contiguous", "lift_fresh", "lift"}


@dataclass(frozen=True)
class Neuron:
    """A population as a graph stores it, and when its module runs (see `evsim.graph.rolling.label.Timing`)."""

    form: Mapping[str, object]
    sends: str
    steps: str
    unit: float = 1.0
    folded: int | None = None
    axis: int = 0


def roll_up(run: Run, neurons: Mapping[str, Neuron]) -> Graph:
    """The graph of a recorded run.

    Raises
    ------
    Unrolled
        With the module's path: time is split, mixed in front of a neuron, or the steps differ.
    """
    with_stacks(run)
    return _Roller(run, neurons).graph()


@dataclass(eq=False)
class _Roller:
    """One pass over the operations.

    Attributes
    ----------
    at : dict of int to (Source, step or None)
        Values that one step of the program makes.
    late : dict of int to Source
        Values that are made when all steps are over.
    """

    run: Run
    neurons: Mapping[str, Neuron]
    at: dict[int, tuple[Source, int | None]] = field(default_factory=dict)
    late: dict[int, Source] = field(default_factory=dict)
    elements: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    fed_by: dict[str, Source] = field(default_factory=dict)
    why: str = ""

    def __post_init__(self) -> None:
        self.ops = self.run.live()
        check_feed_forward(self.ops, self.neurons)
        self.labels = AxisLabels(self.run, self.ops, self.neurons)
        self.program = Program()
        self.readout = Program(self.program)
        self.tensors: dict[str, np.ndarray] = {}
        self._constants: dict[tuple, str] = {}
        self._behind_all_neurons = self.run.behind_all_neurons()
        self.n_steps = self._count_steps()

    def graph(self) -> Graph:
        """Walk, then say where the output is."""
        for place, op in enumerate(self.ops):
            self._roll_named(place, op)
        value = self.run.outputs[0]
        output = self.late[value] if value in self.late else self._whole(value)
        self.readout.check_is_allowed(output)
        if not any(op.name == INPUT for op in self.ops):
            raise Unrolled("the model: its output does not depend on the input")
        return pruned(
            Graph(
                n_steps=self.n_steps,
                is_still="T" not in self.run.axes,
                axes=self.run.axes,
                nodes=self.program.finished(),
                readout=self.readout.finished(),
                output=self.program.place_of(output) if not output.late else self.readout.place_of(output),
                by_step=self._has_steps(value),
                tensors=self.tensors,
            )
        )

    # ---- steps

    def _count_steps(self) -> int:
        """How many steps the run had: the size of whatever is time, or the calls of single-step neurons."""
        sizes = {
            atom.size for axes in self.labels.axes.values() for axis in axes for _, atom in axis
            if atom is not None and atom.is_time
        }  # fmt: skip
        sizes |= {
            self.run.calls[op.path] for op in self.ops if op.name == NEURON and self.neurons[op.path].steps == "one"
        }
        sizes = {size for size in sizes if size > 1} or {1}
        if len(sizes) > 1:
            found = " and ".join(map(str, sorted(sizes)))
            raise Unrolled(f"the model: axes and loops of time have {found} steps, expected one number")
        return sizes.pop()

    def _has_steps(self, value: int) -> bool:
        """Whether the first axis of the output is time."""
        axes = self.labels.axes[value]
        return bool(axes) and has_time(axes[0]) and size_of_step(axes[0]) == 1

    # ---- one operation

    def _roll_named(self, place: int, op: RecordedOp) -> None:
        """Whatever goes wrong is said with the module's path; refusals have it already."""
        try:
            self._roll(place, op)
        except EvsimError:
            raise
        except Exception as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            where = op.path or "the model"
            raise Unrolled(
                f"{where}: operation {op.name} is called in a way that has no form here ({words})"
            ) from error

    def _roll(self, place: int, op: RecordedOp) -> None:
        if op.name == NEURON and self.neurons[op.path].sends == "R":
            self._integrate(op)
            return
        why = self.labels.mixing.get(place)
        late = next((value for value in op.operands if value in self.late), None)
        can_wait = op.name in _NEVER_EVENT_DRIVEN and self._behind_all_neurons.issuperset(op.outs)
        if why is not None or late is not None or can_wait:
            self._postpone(op, why)
            return
        if op.name in _SAME and op.args[0].value in self.elements:
            self.elements[op.outs[0]] = self.elements[op.args[0].value]
        steps = {self.at[value][1] for value in op.operands} - {None}
        if op.name == "stack" and self._stack(op, steps):
            return
        if op.name == "select" and self._select(op):
            return
        if op.name == "cat" and self._cat(op, steps):
            return
        if len(steps) > 1:
            self._postpone(op, f"{op.name} of values of several steps")
            return
        step = next(iter(steps), None)
        if op.name == NEURON:
            self._neuron(op, step)
            return
        self._emit(op, step)

    def _check_one_step(self, op: RecordedOp) -> None:
        """A module that takes one step a call is not given all of them as if they were a batch."""
        factors = [factor for axis in self.labels.axes[op.args[0].value] for factor in axis]
        found = next((size for size, atom in factors if atom is not None and atom.is_time and size > 1), None)
        if found is not None:
            raise Unrolled(
                f"{op.path}: a single-step neuron module is given all {found} steps in one call, expected one step a "
                "call, or a multi-step module (step_mode='m', steps='all')"
            )

    def _neuron(self, op: RecordedOp, step: int | None) -> None:
        neuron, n_calls = self.neurons[op.path], self.run.calls[op.path]
        source = self.at[op.args[0].value][0]
        if neuron.steps == "all" and n_calls > 1:
            raise Unrolled(
                f"{op.path}: a multi-step neuron module is called {n_calls} times; its state at the end of one call "
                "would be the start of the next"
            )
        if neuron.steps == "one":
            self._check_one_step(op)
            if step is not None and step != op.call:
                raise Unrolled(f"{op.path}: call {op.call} reads a value of step {step}, expected the same step")
            step = op.call
        if neuron.steps != "none" and self.fed_by.setdefault(op.path, source) != source:
            raise Unrolled(
                f"{op.path}: is fed by another computation in call {op.call} than in call 0: the steps differ, or the "
                "module stands in two places"
            )
        path = op.path
        if neuron.steps == "none" and self.fed_by.setdefault(op.path, source) != source:
            path = self._place_of(op.path, source)
        attributes = {"path": path, "form": neuron.form, "unit": neuron.unit, "axis": neuron.axis}
        self.at[op.outs[0]] = (self.program.add("neuron", [source], attributes, path), step)
        for value in op.outs[1:]:
            if value is not None:
                self.late[value] = self.readout.forbid(f"{op.path}: its membrane is read, expected its spikes alone")

    def _place_of(self, path: str, source: Source) -> str:
        """A module without a state may stand in several places: each is a population of its own."""
        n = 1
        while self.fed_by.setdefault(f"{path}#{n}", source) != source:
            n += 1
        return f"{path}#{n}"

    def _integrate(self, op: RecordedOp) -> None:
        """Neurons that send their membrane: nothing is sent between layers, the readout runs them."""
        neuron, value = self.neurons[op.path], op.args[0].value
        if value in self.late:
            raise Unrolled(f"{op.path}: neurons behind {self.why}")
        source, _ = self.at[value]
        if self.fed_by.setdefault(op.path, source) != source:
            raise Unrolled(
                f"{op.path}: is fed by another computation in call {op.call} than in call 0: the steps differ"
            )
        shape = self._step_shape(value)
        whole = {"axis": 0, "lead": 1, "shape": [self.n_steps, *shape]}
        given = self.readout.add("steps", [source], whole, op.path)
        made = self.readout.add("integrator", [given], {"path": op.path, "form": neuron.form}, op.path)
        if neuron.steps == "all":
            self.late[op.outs[0]] = made
        else:
            taken = {"dim": 0, "start": op.call, "stop": op.call + 1, "step": 1}
            one = self.readout.add("slice", [made], taken, op.path)
            self.late[op.outs[0]] = self.readout.add("reshape", [one], {"shape": shape}, op.path)
        self.why = "neurons that send their membrane"

    def _stack(self, op: RecordedOp, steps: set[int]) -> bool:
        values = list(refs(op.args[0]))
        n_axes = len(self.run.shapes[op.outs[0]])
        dim = (op.args[1] if len(op.args) > 1 else 0) % n_axes
        self.elements[op.outs[0]] = (dim, tuple(values))
        found = [self.at[value] for value in values]
        same_node = len({source for source, _ in found}) == 1
        in_order = [step for _, step in found] == list(range(len(found)))
        held = len({step for _, step in found}) == 1 and has_time(self.labels.axes[op.outs[0]][dim])
        if same_node and ((in_order and len(found) > 1) or held):
            self._reshape(op, found[0][0], None)
            return True
        return False

    def _cat(self, op: RecordedOp, steps: set[int]) -> bool:
        found = [self.at[value] for value in refs(op.args[0])]
        in_order = len(found) > 1 and [step for _, step in found] == list(range(len(found)))
        if in_order and len({source for source, _ in found}) == 1:
            dim = (op.args[1] if len(op.args) > 1 else 0) % len(self.run.shapes[op.outs[0]])
            if has_time(self.labels.axes[op.outs[0]][dim]):
                self._reshape(op, found[0][0], None)
                return True
        return False

    def _select(self, op: RecordedOp) -> bool:
        value = op.args[0].value
        dim = op.args[1] % len(self.run.shapes[value])
        if value in self.elements and self.elements[value][0] == dim:
            element = self.elements[value][1][op.args[2]]
            self.at[op.outs[0]] = self.at[element]
            return True
        axis = self.labels.axes[value][dim]
        if has_time(axis):
            self._reshape(op, self.at[value][0], op.args[2] % axis_size(axis))
            return True
        return False

    def _reshape(self, op: RecordedOp, source: Source, step: int | None) -> None:
        shape = self._step_shape(op.outs[0])
        self.at[op.outs[0]] = (self.program.add("reshape", [source], {"shape": shape}, op.path), step)

    def _emit(self, op: RecordedOp, step: int | None) -> None:
        if op.name == "unbind" and self._unbind(op):
            return
        shapes = [self._step_shape(value) if value is not None else None for value in op.outs]
        sources = self._translated(self.program, op, lambda value: self.at[value][0], shapes, self._step_shape)
        for value, source in zip(op.outs, sources, strict=False):
            if value is not None and source is not None:
                self.at[value] = (source, step)

    def _unbind(self, op: RecordedOp) -> bool:
        """One value for each step."""
        value = op.args[0].value
        dim = (op.args[1] if len(op.args) > 1 else 0) % len(self.run.shapes[value])
        if not has_time(self.labels.axes[value][dim]):
            return False
        shape = self._step_shape(op.outs[0])
        source = self.program.add("reshape", [self.at[value][0]], {"shape": shape}, op.path)
        self.at |= {out: (source, step) for step, out in enumerate(op.outs)}
        return True

    # ---- what comes when all steps are over

    def _postpone(self, op: RecordedOp, why: str | None) -> None:
        self.why = why or self.why
        if op.name == NEURON:
            raise Unrolled(f"{op.path}: neurons behind {self.why}")
        shapes = [self.run.shapes[value] if value is not None else None for value in op.outs]
        whole = {value: self.late[value] if value in self.late else self._whole(value) for value in op.operands}
        try:
            sources = self._translated(self.readout, op, whole.__getitem__, shapes, self.run.shapes.__getitem__)
        except Unrolled as refusal:  # raised by whoever reads it: neurons have a better reason
            sources = [self.readout.forbid(str(refusal)) for _ in op.outs]
        for value, source in zip(op.outs, sources, strict=False):
            if value is not None and source is not None:
                self.late[value] = source

    def _whole(self, value: int) -> Source:
        """The value over all steps, as a leaf of the readout."""
        source, step = self.at[value]
        shape = list(self.run.shapes[value])
        path = self.program.path_of(source)
        if step is not None:
            return self.readout.add("at_step", [source], {"step": step, "shape": shape}, path)
        for axis, factors in enumerate(self.labels.axes[value]):
            lead = 1
            for size, atom in factors:
                if atom is not None and atom.is_time:
                    attributes = {"axis": axis, "lead": lead, "shape": shape}
                    return self.readout.add("steps", [source], attributes, path)
                lead *= size
        if self.program.is_fixed(source):
            return self.readout.copy_fixed(source)
        return self.readout.add("at_step", [source], {"step": 0, "shape": shape}, path)

    def _translated(self, program: Program, op: RecordedOp, source_of, shapes, shape_of) -> list[Source | None]:
        if op.name in (PARAMETER, CONSTANT):
            return [self._tensor(program, op.outs[0], op.path)]
        if op.name == INPUT:
            return [program.add("input", [], {"shape": shapes[0]})]
        try:
            return translate(program, op, source_of, shapes, shape_of)
        except Unrolled as refusal:
            if op.outs[0] in self.run.constants:  # of weights alone: its value is known, whatever made it
                return [self._tensor(program, op.outs[0], op.path)]
            raise Unrolled(f"{op.path or 'the model'}: {refusal}") from None

    def _tensor(self, program: Program, value: int, path: str) -> Source:
        """A weight by its name in the state dict; a constant by a number, equal ones being the same."""
        name = self.run.names.get(value)
        if name is None:
            array = np.asarray(self.run.constants[value], np.float32)
            key = (array.shape, sha256(np.ascontiguousarray(array)).digest())
            name = self._constants.setdefault(key, f"const/{len(self._constants)}")
        else:
            array = self.tensors.get(name)
            array = np.asarray(self.run.parameters[name], np.float32) if array is None else array
        self.tensors[name] = array
        return program.tensor(name, array.shape, path)

    def _step_shape(self, value: int) -> list[int]:
        return [size_of_step(axis) for axis in self.labels.axes[value]]
