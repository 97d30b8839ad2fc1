"""Machine: tables and state as the kernels see them, each array by the address of its first element.

A kernel that is handed some thirty arrays spends its time on their shapes and their counts of owners; an address is one
word. Nothing checks an index: every offset comes from the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import config, types
from numba.extending import intrinsic, overload

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import ACT_SIZE, READING_SIZE

__all__ = ["Machine", "as_value", "data", "machine"]


class Machine(NamedTuple):
    """Addresses of the arrays of `Tables` and `State`, and numbers; see there."""

    acts: object
    readings: object
    routes: object
    lists: object
    constants: object
    bias: object
    threshold: object
    real: object
    fixed: object
    population_of: object
    now: object
    x: object
    need: object
    v: object
    base: object
    flags: object
    neurons: object
    places: object
    listed: object
    dirty: object
    marks: object
    sums: object
    scratch: object
    carried: object
    relayed: object
    waiting: object
    heap_key: object
    heap_sequence: object
    buckets: object
    group: object
    inputs: object
    logits: object
    curve: object
    zero: float
    never: float
    end_of_handlers: int
    end_of_populations: int
    end_of_readings: int
    n_neurons: int
    n_classes: int
    most_points: int
    n_curve_columns: int
    readout: int
    logit_unit: float
    is_float: bool
    schedule: int
    group_size: int
    patience: int
    commits_at_crossing: bool
    needs_key: bool
    is_late: bool
    refires: bool
    keeps: bool
    remembers: bool
    keeps_curve: bool


def _data_slowly(array):
    return array.reshape(-1)


@intrinsic
def _address_of(typingctx, array):
    def generate(context, builder, signature, arguments):
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


data = _data_slowly if config.DISABLE_JIT else _address_of
"""The elements of an array, to be indexed flat."""


def as_value(like, number):
    """A number in the type of the membranes."""
    return np.float32(number) if isinstance(like, np.floating) else np.int32(number)


@overload(as_value, inline="always")
def _choose_value(like, number):
    if isinstance(like, types.Float):
        return lambda like, number: np.float32(number)
    return lambda like, number: np.int32(number)


@kernel(error_model="numpy", forceinline=True)
def machine(t, s):
    """The machine of some tables and a state."""
    return Machine(
        data(t.acts), data(t.readings), data(t.routes), data(t.lists), data(t.constants), data(t.bias),
        data(t.threshold), data(t.real), data(t.fixed),
        data(t.population_of), data(s.now), data(s.x), data(s.need), data(s.v), data(s.base), data(s.flags),
        data(s.neurons), data(s.places), data(s.listed), data(s.dirty), data(s.marks), data(s.sums), data(s.scratch),
        data(s.carried), data(s.relayed), data(s.waiting), data(s.heap_key), data(s.heap_sequence), data(s.buckets),
        data(s.group), data(s.inputs), data(s.logits), data(s.curve),
        s.scratch[s.scratch.size - 1], s.need[s.need.size - 1],
        t.acts.size - ACT_SIZE, t.n_populations * READING_SIZE, t.readings.size, t.n_neurons, s.logits.size,
        s.curve.shape[0], s.curve.shape[1], t.readout, t.logit_unit, t.is_float, t.schedule, t.group_size, t.patience,
        t.commits_at_crossing, t.needs_key, t.is_late, t.refires, t.keeps, t.remembers, t.keeps_curve,
    )  # fmt: skip
