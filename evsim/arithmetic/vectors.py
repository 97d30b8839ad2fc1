"""Vectors, as kernels tell them to the compiler: loads, stores and broadcasts of any number of lanes.

What is written so is legal on every target: a vector wider than the machine's is split, one it lacks becomes numbers.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError

__all__ = ["INT", "WORD", "address_of", "check_contiguous", "load", "spread", "store"]

INT, WORD = ir.IntType(64), ir.IntType(32)


def address_of(context, builder, signature, arguments, i: int) -> ir.Value:
    """The address of the first element of array argument i."""
    return context.make_array(signature.args[i])(context, builder, arguments[i]).data


def check_contiguous(*arrays: types.Array) -> None:
    """Pointers know no strides: refuse to compile for an array that has them."""
    if any(array.layout != "C" for array in arrays):
        raise TypingError("evsim.arithmetic.vectors: arrays must be contiguous")


def load(builder: ir.IRBuilder, pointer: ir.Value, kind: ir.VectorType) -> ir.Value:
    """A vector of this kind from `pointer` on, which need not be aligned."""
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=_alignment(kind))


def store(builder: ir.IRBuilder, vector: ir.Value, pointer: ir.Value) -> None:
    """A vector to `pointer`, which need not be aligned."""
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=_alignment(vector.type))


def _alignment(kind: ir.VectorType) -> int:
    return {ir.FloatType(): 4, ir.DoubleType(): 8}.get(kind.element) or kind.element.width // 8


def spread(builder: ir.IRBuilder, value: ir.Value, n_lanes: int) -> ir.Value:
    """A number in every one of so many lanes."""
    nothing = ir.Constant(ir.VectorType(value.type, n_lanes), ir.Undefined)
    vector = builder.insert_element(nothing, value, WORD(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(WORD, n_lanes), [0] * n_lanes))
