"""Rows summed eight at a time, told to the compiler as vectors of any target's width; the sums stay in registers.

The order of the additions is fixed, so that float32 sums are the same bits everywhere: trees of eight rows, then of
two, then the last. Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.row_panels import by_panel, n_items, vector_kind
from evsim.arithmetic.vectors import INT, address_of, check_contiguous, load, store

__all__ = ["sum_rows_by_eight"]


def _sum_by_tree(rows, which, begin, end, total):
    """total = the sum of the rows named by which[begin:end], in the type of `total`. Nothing is checked.

    Rows are padded to whole vectors of `total`.
    """
    named = rows[which[begin:end]].astype(total.dtype)
    total[:] = 0
    event = 0
    for n in (8, 2, 1):
        while event + n <= len(named):
            total += _tree(np.add, list(named[event : event + n]))
            event += n


def _tree(add, values):
    while len(values) > 1:
        values = [add(values[i], values[i + 1]) for i in range(0, len(values), 2)]
    return values[0]


def _tree_vectors(context, builder, signature, arguments):
    rows, which, total = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 4))
    begin, end, width = arguments[2], arguments[3], n_items(context, builder, signature, arguments, 4)
    kind, element = vector_kind(total), rows.type.pointee
    is_float = isinstance(element, ir.FloatType)
    add, stored = (builder.fadd if is_float else builder.add), ir.VectorType(element, kind.count)

    def row(event, place):
        number = builder.sext(builder.load(builder.gep(which, [event])), INT)
        value = load(builder, builder.gep(rows, [builder.add(builder.mul(number, width), place)]), stored)
        return value if stored == kind else builder.sext(value, kind)

    def do(at, n_vectors):
        places = [builder.add(at, INT(kind.count * i)) for i in range(n_vectors)]
        sums = [cgutils.alloca_once(builder, kind) for _ in places]  # become registers
        for each in sums:
            builder.store(ir.Constant(kind, None), each)
        first = begin
        for n in (8, 2, 1):
            n_trees = builder.sdiv(builder.sub(end, first), INT(n))
            with cgutils.for_range(builder, n_trees) as loop:
                event = builder.add(first, builder.mul(loop.index, INT(n)))
                for place, each in zip(places, sums, strict=True):
                    tree = _tree(add, [row(builder.add(event, INT(i)), place) for i in range(n)])
                    builder.store(add(builder.load(each), tree), each)
            first = builder.add(first, builder.mul(n_trees, INT(n)))
        for place, each in zip(places, sums, strict=True):
            store(builder, builder.load(each), builder.gep(total, [place]))

    by_panel(builder, width, kind.count, do)
    return context.get_dummy_value()


@intrinsic
def _sum_by_vector(typingctx, rows, which, begin, end, total):
    check_contiguous(rows, which, total)
    return types.void(rows, which, types.int64, types.int64, total), _tree_vectors


_sum_by_vector.py_func = _sum_by_tree  # as every compiled kernel has it
sum_rows_by_eight = _sum_by_tree if config.DISABLE_JIT else _sum_by_vector
