"""Rows of whole numbers, told to the compiler as vectors of any target's width; sums are exact in any order.

    sum_rows        the rows that a list names, summed in registers
    add_to_rows     one row, held in registers, added to each row that a list names
    add_amounts     an amount for each row that a list names, in the lanes that the row lets through

Rows are padded to whole vectors of 64 bytes (`row_width`). Callers are compiled again when this file changes (see
`evsim.arithmetic.kernel`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.vectors import INT, address_of, check_contiguous, load, spread, store

__all__ = ["add_amounts", "add_to_rows", "row_width", "sum_rows"]

_BYTES = 64


def row_width(n: int, dtype: type = np.int32) -> int:
    """Places of a row that holds n numbers: whole vectors of them."""
    n_lanes = _BYTES // np.dtype(dtype).itemsize
    return -(-n // n_lanes) * n_lanes


def _sum_by_row(rows, which, begin, end, sums):
    """sums += rows[which[e]] for each e from `begin` to `end`; rows and sums of one type. Nothing is checked."""
    for event in range(begin, end):
        sums += rows[which[event]]


def _add_by_row(row, which, begin, end, rows):
    """rows[which[e]] += row for each e from `begin` to `end`."""
    for event in range(begin, end):
        rows[which[event]] += row


def _add_amounts_by_row(masks, which, amount, n, sums):
    """sums += amount[m] where masks[m] is -1, not where it is 0, for each m of which[:n]; amounts are bytes or int32."""
    for event in range(n):
        sums += np.int32(amount[which[event]]) & masks[which[event]]


def _by_panel(builder: ir.IRBuilder, width: ir.Value, n_lanes: int, do: Callable[[ir.Value, int], None]) -> None:
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


def _each(builder, which, begin, end, width, do):
    """do(number of the row that it names, first place of it) for each event."""
    with cgutils.for_range(builder, builder.sub(end, begin)) as loop:
        event = builder.add(begin, loop.index)
        number = builder.sext(builder.load(builder.gep(which, [event])), INT)
        do(number, builder.mul(number, width))


def _kind(row: ir.Value) -> ir.VectorType:
    return ir.VectorType(row.type.pointee, 8 * _BYTES // row.type.pointee.width)


def _width(context, builder, signature, arguments, i):
    return context.make_array(signature.args[i])(context, builder, arguments[i]).nitems


def _sum_vectors(context, builder, signature, arguments):
    rows, which, sums = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 4))
    width, kind = _width(context, builder, signature, arguments, 4), _kind(sums)

    def do(at, n_vectors):
        places = [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]
        totals = [cgutils.alloca_once_value(builder, load(builder, builder.gep(sums, [p]), kind)) for p in places]

        def add(_, first):
            for place, total in zip(places, totals, strict=True):
                value = load(builder, builder.gep(rows, [builder.add(first, place)]), kind)
                builder.store(builder.add(builder.load(total), value), total)

        _each(builder, which, arguments[2], arguments[3], width, add)
        for place, total in zip(places, totals, strict=True):
            store(builder, builder.load(total), builder.gep(sums, [place]))

    _by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


def _add_vectors(context, builder, signature, arguments):
    row, which, rows = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 4))
    width, kind = _width(context, builder, signature, arguments, 0), _kind(row)

    def do(at, n_vectors):
        places = [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]
        values = [load(builder, builder.gep(row, [place]), kind) for place in places]  # stay in registers

        def add(_, first):
            for place, value in zip(places, values, strict=True):
                target = builder.gep(rows, [builder.add(first, place)])
                store(builder, builder.add(load(builder, target, kind), value), target)

        _each(builder, which, arguments[2], arguments[3], width, add)

    _by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


def _add_amount_vectors(context, builder, signature, arguments):
    masks, which, amount, sums = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 2, 4))
    width, kind = _width(context, builder, signature, arguments, 4), _kind(sums)

    def do(at, n_vectors):
        places = [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]
        totals = [cgutils.alloca_once_value(builder, load(builder, builder.gep(sums, [p]), kind)) for p in places]

        def add(number, first):
            value = builder.load(builder.gep(amount, [number]))
            value = value if value.type == kind.element else builder.zext(value, kind.element)
            value = spread(builder, value, kind.count)
            for place, total in zip(places, totals, strict=True):
                mask = load(builder, builder.gep(masks, [builder.add(first, place)]), kind)
                builder.store(builder.add(builder.load(total), builder.and_(value, mask)), total)

        _each(builder, which, INT(0), arguments[3], width, add)
        for place, total in zip(places, totals, strict=True):
            store(builder, builder.load(total), builder.gep(sums, [place]))

    _by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


@intrinsic
def _sum_by_vector(typingctx, rows, which, begin, end, sums):
    check_contiguous(rows, which, sums)
    return types.void(rows, which, types.int64, types.int64, sums), _sum_vectors


@intrinsic
def _add_by_vector(typingctx, row, which, begin, end, rows):
    check_contiguous(row, which, rows)
    return types.void(row, which, types.int64, types.int64, rows), _add_vectors


@intrinsic
def _add_amounts_by_vector(typingctx, masks, which, amount, n, sums):
    check_contiguous(masks, which, amount, sums)
    return types.void(masks, which, amount, types.int64, sums), _add_amount_vectors


_sum_by_vector.py_func, _add_by_vector.py_func = _sum_by_row, _add_by_row  # as every compiled kernel has them
_add_amounts_by_vector.py_func = _add_amounts_by_row
sum_rows = _sum_by_row if config.DISABLE_JIT else _sum_by_vector
add_to_rows = _add_by_row if config.DISABLE_JIT else _add_by_vector
add_amounts = _add_amounts_by_row if config.DISABLE_JIT else _add_amounts_by_vector
