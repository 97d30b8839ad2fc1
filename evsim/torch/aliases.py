"""Which tensors share memory, so that a write through one is seen by the others, in values that nothing overwrites."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from evsim.graph.rolling.run import SCATTER, RecordedOp, Ref, Run

__all__ = ["Aliases"]


@dataclass(eq=False)
class _Memory:
    """What a tensor and all views of it stand on: its value now, and how often it was written."""

    value: int
    version: int = 0


@dataclass(eq=False)
class _Place:
    """Where a tensor lies in a memory: the chain of views that leads to it, and its value at one version."""

    memory: _Memory
    chain: tuple = ()
    value: int = 0
    version: int = 0
    known: dict = field(default_factory=dict)


class Aliases:
    """value_of(tensor), through views and writes.

    A write makes a new value. A write through a view makes a new value of the memory behind it (a "scatter"); any view
    of that memory that is read afterwards is taken anew from it.

    Parameters
    ----------
    run : Run
        Gets the operations that reading a stale view takes.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._places = WeakTensorKeyDictionary()
        self._n_values = 0

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return tensor in self._places

    def new_value(self, shape) -> int:
        """A value nobody has yet."""
        value = self._n_values
        self._n_values += 1
        self._run.shapes[value] = tuple(shape)
        return value

    def own(self, tensor: torch.Tensor) -> int:
        """A tensor with memory of its own; returns its value."""
        value = self.new_value(tensor.shape)
        memory = _Memory(value)
        self._places[tensor] = _Place(memory, (), value)
        return value

    def view(self, tensor: torch.Tensor, source: torch.Tensor, step: tuple, value: int) -> None:
        """`tensor`, whose value was just made, is a view of `source`: (name, further arguments, which output)."""
        place = self._places[source]
        self._places[tensor] = _Place(place.memory, (*place.chain, step), value, place.memory.version)

    def reshaped_in_place(self, tensor: torch.Tensor, step: tuple, value: int) -> None:
        """The tensor itself became a view of what it was (``unsqueeze_``)."""
        place = self._places[tensor]
        self._places[tensor] = _Place(place.memory, (*place.chain, step), value, place.memory.version)

    def value_of(self, tensor: torch.Tensor, path: str) -> int:
        """What the tensor holds now."""
        place = self._places[tensor]
        if not place.chain:
            return place.memory.value
        if place.version != place.memory.version:
            place.value, place.version = self._replay(place, path), place.memory.version
        return place.value

    def write(self, tensor: torch.Tensor, value: int, path: str) -> None:
        """`tensor` now holds `value`, and so does whatever shares its memory."""
        place = self._places[tensor]
        memory = place.memory
        if place.chain:
            base = self.new_value(self._run.shapes[memory.value])
            self._run.ops.append(RecordedOp(SCATTER, (Ref(memory.value), Ref(value), place.chain), {}, (base,), path))
            memory.value = base
        else:
            memory.value = value
        memory.version += 1
        place.value, place.version = value, memory.version

    def _replay(self, place: _Place, path: str) -> int:
        """The chain of views once more, from what the memory holds now."""
        value = place.memory.value
        for name, arguments, port, shapes in place.chain:
            outs = tuple(self.new_value(shape) for shape in shapes)
            self._run.ops.append(RecordedOp(name, (Ref(value), *arguments), {}, outs, path))
            value = outs[port]
        return value
