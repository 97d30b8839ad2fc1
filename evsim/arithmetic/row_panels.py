"""Rows padded to whole vectors of 64 bytes, and how a kernel goes over them: in panels that the registers hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from evsim.arithmetic.vectors import INT

__all__ = ["by_panel", "n_items", "row_width", "vector_kind"]

_BYTES = 64


def row_width(n: int, dtype: type = np.int32) -> int:
    """Places of a row that holds n numbers: whole vectors of them."""
    n_lanes = _BYTES // np.dtype(dtype).itemsize
    return -(-n // n_lanes) * n_lanes


def by_panel(builder: ir.IRBuilder, width: ir.Value, n_lanes: int, do: Callable[[ir.Value, int], None]) -> None:
    """do(first lane, vectors) for panels of four vectors while they last, then of two and of one."""
    n_panels = builder.sdiv(width, INT(4 * n_lanes))
    with cgutils.for_range(builder, n_panels) as loop:
        do(builder.mul(loop.index, INT(4 * n_lanes)), 4)
    at = builder.mul(n_panels, INT(4 * n_lanes))
    for n_vectors in (2, 1):
        rest = builder.and_(width, INT(n_vectors * n_lanes))
        with builder.if_then(builder.icmp_signed("!=", rest, INT(0))):
            do(at, n_vectors)
        at = builder.add(at, rest)


def vector_kind(row: ir.Value) -> ir.VectorType:
    """The vector of 64 bytes of what `row` points to: float32 or whole numbers."""
    element = row.type.pointee
    n_bits = 32 if isinstance(element, ir.FloatType) else element.width
    return ir.VectorType(element, 8 * _BYTES // n_bits)


def n_items(context, builder, signature, arguments, i):
    return context.make_array(signature.args[i])(context, builder, arguments[i]).nitems
