"""Rows of whole numbers, told to the compiler as vectors of any target's width; sums are exact in any order.

    sum_rows        the rows that a list names, summed in registers
    add_spikes      1 added to a row in each lane where a byte is marked
    add_amounts     an amount for each place that a list names, in the lanes where its bytes are marked

Nothing is multiplied: a mark is a byte of ones, and a lane that is not marked keeps its sum. Rows are padded to whole
vectors (`row_panels.row_width`); what stands in the lanes of the padding has no meaning. Callers are compiled again
when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.row_panels import by_panel, n_items, vector_kind
from evsim.arithmetic.vectors import INT, address_of, check_contiguous, load, spread, store

__all__ = ["MARK", "add_amounts", "add_spikes", "sum_rows"]

MARK = np.uint8(255)
_BYTE = ir.IntType(8)


def _sum_by_row(rows, first, which, begin, end, origin, sums):
    """sums += the row at rows[first + (which[e] - origin) * width], flat, for each e from `begin` to `end`."""
    flat, width = rows.reshape(-1), sums.size
    for event in range(begin, end):
        at = first + (int(which[event]) - origin) * width
        sums += flat[at : at + width]


def _add_spikes_by_row(marks, at, rows, place, width):
    """rows[place : place + width] += 1 where marks[at : ...] is set, flat; `width` is whole vectors of the rows."""
    rows.reshape(-1)[place : place + width] += marks[at : at + width] != 0


def _add_amounts_by_row(marks, first, stride, which, amount, n, sums):
    """sums += amount[m] where marks[first + m * stride : ...] is set, for each m of which[:n]."""
    for m in which[:n]:
        at = first + int(m) * stride
        sums[marks[at : at + sums.size] != 0] += sums.dtype.type(amount[m])


def _places(builder, at, kind, n_vectors):
    return [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]


def _in_registers(builder, sums, places, kind, add_all):
    """Load the sums, let `add_all(totals)` add to them, and store them."""
    totals = [cgutils.alloca_once_value(builder, load(builder, builder.gep(sums, [p]), kind)) for p in places]
    add_all(totals)
    for place, total in zip(places, totals, strict=True):
        store(builder, builder.load(total), builder.gep(sums, [place]))


def _sum_vectors(context, builder, signature, arguments):
    rows, which, sums = (address_of(context, builder, signature, arguments, i) for i in (0, 2, 6))
    _, first, _, begin, end, origin, _ = arguments
    width, kind = n_items(context, builder, signature, arguments, 6), vector_kind(sums)

    def do(at, n_vectors):
        places = _places(builder, at, kind, n_vectors)

        def add_all(totals):
            with cgutils.for_range(builder, builder.sub(end, begin)) as loop:
                number = builder.load(builder.gep(which, [builder.add(begin, loop.index)]))
                number = builder.sub(builder.sext(number, INT), origin)
                row = builder.gep(rows, [builder.add(first, builder.mul(number, width))])
                for place, total in zip(places, totals, strict=True):
                    value = load(builder, builder.gep(row, [place]), kind)
                    builder.store(builder.add(builder.load(total), value), total)

        _in_registers(builder, sums, places, kind, add_all)

    by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


def _spread_marks(builder, marks, place, kind):
    """Lanes of -1 where a byte is marked."""
    marked = load(builder, builder.gep(marks, [place]), ir.VectorType(_BYTE, kind.count))
    return builder.sext(marked, kind)


def _spike_vectors(context, builder, signature, arguments):
    marks, rows = (address_of(context, builder, signature, arguments, i) for i in (0, 2))
    marks, rows = builder.gep(marks, [arguments[1]]), builder.gep(rows, [arguments[3]])
    kind = vector_kind(rows)

    def do(at, n_vectors):
        for place in _places(builder, at, kind, n_vectors):
            target = builder.gep(rows, [place])
            total = builder.sub(load(builder, target, kind), _spread_marks(builder, marks, place, kind))
            store(builder, total, target)

    by_panel(builder, arguments[4], kind.count, do)
    return context.get_dummy_value()


def _amount_vectors(context, builder, signature, arguments):
    marks, which, amount, sums = (address_of(context, builder, signature, arguments, i) for i in (0, 3, 4, 6))
    _, first, stride, _, _, n, _ = arguments
    width, kind = n_items(context, builder, signature, arguments, 6), vector_kind(sums)

    def do(at, n_vectors):
        places = _places(builder, at, kind, n_vectors)

        def add_all(totals):
            with cgutils.for_range(builder, n) as loop:
                m = builder.sext(builder.load(builder.gep(which, [loop.index])), INT)
                value = builder.load(builder.gep(amount, [m]))
                value = value if value.type == kind.element else builder.zext(value, kind.element)
                value = spread(builder, value, kind.count)
                row = builder.gep(marks, [builder.add(first, builder.mul(m, stride))])
                for place, total in zip(places, totals, strict=True):
                    passed = builder.and_(value, _spread_marks(builder, row, place, kind))
                    builder.store(builder.add(builder.load(total), passed), total)

        _in_registers(builder, sums, places, kind, add_all)

    by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


@intrinsic
def _sum_by_vector(typingctx, rows, first, which, begin, end, origin, sums):
    check_contiguous(rows, which, sums)
    i = types.int64
    return types.void(rows, i, which, i, i, i, sums), _sum_vectors


@intrinsic
def _add_spikes_by_vector(typingctx, marks, at, rows, place, width):
    check_contiguous(marks, rows)
    i = types.int64
    return types.void(marks, i, rows, i, i), _spike_vectors


@intrinsic
def _add_amounts_by_vector(typingctx, marks, first, stride, which, amount, n, sums):
    check_contiguous(marks, which, amount, sums)
    i = types.int64
    return types.void(marks, i, i, which, amount, i, sums), _amount_vectors


_sum_by_vector.py_func, _add_spikes_by_vector.py_func = _sum_by_row, _add_spikes_by_row  # as compiled kernels have them
_add_amounts_by_vector.py_func = _add_amounts_by_row
sum_rows = _sum_by_row if config.DISABLE_JIT else _sum_by_vector
add_spikes = _add_spikes_by_row if config.DISABLE_JIT else _add_spikes_by_vector
add_amounts = _add_amounts_by_row if config.DISABLE_JIT else _add_amounts_by_vector
