"""Rows: what one spike adds to the membranes of one place, and whether any of them is at its need afterwards.

    x[at : at + n] += amount * row;   returns whether any x >= need there

One pass over both arrays, a vector of neurons a turn: at one spike a micro-step almost all the time goes into rows of
16 to 256 values, where a plain loop of Numba spends longer on its prologue than on the sums. Arrays come as addresses
(see `evsim.asynchronous.machine`); weights are read where the handler keeps them, and none is copied.

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import ctypes

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.lanes import LANES
from evsim.arithmetic.vectors import INT, load, spread, store

__all__ = ["add_values", "add_weights"]

_MASK = ir.VectorType(ir.IntType(1), LANES)


def _add_weights_slowly(x, at, need, address, first, n, amount):
    kind, size = (ctypes.c_float, 4) if x.dtype == np.float32 else (ctypes.c_int16, 2)
    row = np.ctypeslib.as_array((kind * n).from_address(int(address) + size * int(first)))
    return _add_values_slowly(x, at, need, row, 0, n, amount)


def _add_values_slowly(x, at, need, values, first, n, amount):
    x[at : at + n] += amount * values[first : first + n].astype(x.dtype)
    return bool((x[at : at + n] >= need[at : at + n]).any())


class _Row:
    """The loop over one row, as the compiler sees it: whole vectors, then what is left."""

    def __init__(self, builder, x, need, row, amount) -> None:
        self.builder, self.x, self.need, self.row, self.amount = builder, x, need, row, amount
        self.is_float = isinstance(x.type.pointee, ir.FloatType)
        self.is_hot = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(1), 0))
        self.are_hot = cgutils.alloca_once_value(builder, ir.Constant(_MASK, None))

    def add(self, n):
        """Everything from 0 to n."""
        builder = self.builder
        n_vectors = builder.lshr(n, INT(LANES.bit_length() - 1))
        amounts = spread(builder, self.amount, LANES)
        with cgutils.for_range(builder, n_vectors) as loop:
            self._add_at(builder.mul(loop.index, INT(LANES)), amounts, LANES)
        begin = builder.mul(n_vectors, INT(LANES))
        with cgutils.for_range(builder, builder.sub(n, begin)) as loop:
            self._add_at(builder.add(begin, loop.index), self.amount, 1)
        any_lane = builder.bitcast(builder.load(self.are_hot), ir.IntType(LANES))
        return builder.or_(builder.load(self.is_hot), builder.icmp_unsigned("!=", any_lane, ir.IntType(LANES)(0)))

    def _add_at(self, index, amount, n_lanes):
        builder = self.builder
        value, x, need = (self._load(pointer, index, n_lanes) for pointer in (self.row, self.x, self.need))
        if self.is_float:
            total = builder.fadd(x, builder.fmul(amount, value))
            reached = builder.fcmp_ordered(">=", total, need)
        else:
            value = value if value.type == x.type else builder.sext(value, x.type)
            total = builder.add(x, builder.mul(amount, value))
            reached = builder.icmp_signed(">=", total, need)
        self._store(total, index, n_lanes)
        seen = self.is_hot if n_lanes == 1 else self.are_hot
        builder.store(builder.or_(builder.load(seen), reached), seen)

    def _load(self, pointer, index, n_lanes):
        place = self.builder.gep(pointer, [index])
        if n_lanes == 1:
            return self.builder.load(place)
        return load(self.builder, place, ir.VectorType(pointer.type.pointee, n_lanes))

    def _store(self, total, index, n_lanes):
        place = self.builder.gep(self.x, [index])
        if n_lanes == 1:
            self.builder.store(total, place)
        else:
            store(self.builder, total, place)


def _generate(context, builder, signature, arguments, by_address):
    _, at, _, source, first, n, amount = arguments
    x, need = (builder.gep(arguments[i], [at]) for i in (0, 2))
    if by_address:
        kind = ir.FloatType() if isinstance(x.type.pointee, ir.FloatType) else ir.IntType(16)
        row = builder.inttoptr(source, kind.as_pointer())
    else:
        row = source
    return _Row(builder, x, need, builder.gep(row, [first]), amount).add(n)


@intrinsic
def _add_weights_by_vector(typingctx, x, at, need, address, first, n, amount):
    i = types.int64

    def generate(context, builder, signature, arguments):
        return _generate(context, builder, signature, arguments, by_address=True)

    return types.boolean(x, i, need, i, i, i, x.dtype), generate


@intrinsic
def _add_values_by_vector(typingctx, x, at, need, values, first, n, amount):
    i = types.int64

    def generate(context, builder, signature, arguments):
        return _generate(context, builder, signature, arguments, by_address=False)

    return types.boolean(x, i, need, values, i, i, x.dtype), generate


add_weights = _add_weights_slowly if config.DISABLE_JIT else _add_weights_by_vector
"""x[at : at + n] += amount * weights[first : first + n], the weights (float32 or int16) by their address."""
add_values = _add_values_slowly if config.DISABLE_JIT else _add_values_by_vector
"""The same with values in an array of the type of x."""
