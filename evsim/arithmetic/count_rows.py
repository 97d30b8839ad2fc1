"""Rows of whole numbers, told to the compiler as vectors of any target's width; sums are exact in any order.

    sum_rows        the rows that a list names, summed in registers
    add_to_rows     one row, held in registers, added to each row that a list names
    add_amounts     an amount for each row that a list names, in the lanes that the row lets through

Rows are padded to whole vectors (`row_panels.row_width`). Callers are compiled again when this file changes (see
`evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.row_panels import by_panel, each_row, n_items, vector_kind
from evsim.arithmetic.vectors import INT, address_of, check_contiguous, load, spread, store

__all__ = ["add_amounts", "add_to_rows", "sum_rows"]


def _sum_by_row(rows, which, begin, end, sums):
    """sums += rows[which[e]] for each e from `begin` to `end`; rows and sums of one type. Nothing is checked."""
    for event in range(begin, end):
        sums += rows[which[event]]


def _add_by_row(row, which, begin, end, rows):
    """rows[which[e]] += row for each e from `begin` to `end`."""
    for event in range(begin, end):
        rows[which[event]] += row


def _add_amounts_by_row(masks, which, amount, n, sums):
    """sums += amount[m] where masks[m] is -1, not where it is 0, for each m of which[:n]."""
    for event in range(n):
        sums += np.int32(amount[which[event]]) & masks[which[event]]


def _sum_vectors(context, builder, signature, arguments):
    rows, which, sums = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 4))
    width, kind = n_items(context, builder, signature, arguments, 4), vector_kind(sums)

    def do(at, n_vectors):
        places = [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]
        totals = [cgutils.alloca_once_value(builder, load(builder, builder.gep(sums, [p]), kind)) for p in places]

        def add(_, first):
            for place, total in zip(places, totals, strict=True):
                value = load(builder, builder.gep(rows, [builder.add(first, place)]), kind)
                builder.store(builder.add(builder.load(total), value), total)

        each_row(builder, which, arguments[2], arguments[3], width, add)
        for place, total in zip(places, totals, strict=True):
            store(builder, builder.load(total), builder.gep(sums, [place]))

    by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


def _add_vectors(context, builder, signature, arguments):
    row, which, rows = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 4))
    width, kind = n_items(context, builder, signature, arguments, 0), vector_kind(row)

    def do(at, n_vectors):
        places = [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]
        values = [load(builder, builder.gep(row, [place]), kind) for place in places]  # stay in registers

        def add(_, first):
            for place, value in zip(places, values, strict=True):
                target = builder.gep(rows, [builder.add(first, place)])
                store(builder, builder.add(load(builder, target, kind), value), target)

        each_row(builder, which, arguments[2], arguments[3], width, add)

    by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


def _add_amount_vectors(context, builder, signature, arguments):
    masks, which, amount, sums = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 2, 4))
    width, kind = n_items(context, builder, signature, arguments, 4), vector_kind(sums)

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

        each_row(builder, which, INT(0), arguments[3], width, add)
        for place, total in zip(places, totals, strict=True):
            store(builder, builder.load(total), builder.gep(sums, [place]))

    by_panel(builder, width, kind.count, do)
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
