"""Rows of bytes, a one where a spike is: events mark them, and rows are ORed as vectors of the target's own width.

    mark_row    mark the events of one row, and weigh each by its column
    or_each     the OR of equally spaced rows, three in one pass
    pack_bytes  the marks of 64 places as the bits of a word
    count_bits  the bits of a word that are set

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.vectors import INT, address_of, check_contiguous, load, store

__all__ = ["count_bits", "mark_row", "or_each", "pack_bytes", "zero_marks"]

_BYTE = ir.IntType(8)
_LONG, _SHORT = 64, 16


def zero_marks(n_places: int) -> np.ndarray:
    """Bytes for so many places, in whole vectors as `lanes.list_nonzero` takes them."""
    return np.zeros((n_places + 15) // 16 * 16, np.uint8)


def _or_by_byte(target, at, first, a, second, b, third, c, width):
    """target[at : at + width] = first[a : ...] | second[b : ...] | third[c : ...]; flat arrays of bytes.

    A row may be named twice, and `target` itself where it begins at `at`. Nothing is checked.
    """
    rows = first[a : a + width] | second[b : b + width] | third[c : c + width]
    target[at : at + width] = rows


def _or_vectors(context, builder, signature, arguments):
    """Vectors of 64 bytes, then of 16, of which the last may do some bytes again; bytes alone in a short row."""
    (to, *sources), width = (
        [builder.gep(address_of(context, builder, signature, arguments, i), [arguments[i + 1]]) for i in (0, 2, 4, 6)],
        arguments[8],
    )

    def do(at, kind):
        a, b, c = (load(builder, builder.gep(source, [at]), kind) for source in sources)
        store(builder, builder.or_(builder.or_(a, b), c), builder.gep(to, [at]))

    long, short = ir.VectorType(_BYTE, _LONG), ir.VectorType(_BYTE, _SHORT)
    with builder.if_else(builder.icmp_signed("<", width, INT(_SHORT))) as (narrow, wide):
        with narrow, cgutils.for_range(builder, width) as loop:
            do(loop.index, ir.VectorType(_BYTE, 1))
        with wide:
            n_long = builder.sdiv(width, INT(_LONG))
            with cgutils.for_range(builder, n_long) as loop:
                do(builder.mul(loop.index, INT(_LONG)), long)
            begin = builder.mul(n_long, INT(_LONG))
            last = builder.sub(width, INT(_SHORT))
            with cgutils.for_range_slice(builder, begin, width, INT(_SHORT)) as (index, _):
                is_last = builder.icmp_signed(">", index, last)
                do(builder.select(is_last, last, index), short)
    return context.get_dummy_value()


@intrinsic
def _or_by_vector(typingctx, target, at, first, a, second, b, third, c, width):
    check_contiguous(target, first, second, third)
    i = types.int64
    return types.void(target, i, first, i, second, i, third, i, i), _or_vectors


_or_by_vector.py_func = _or_by_byte  # as every compiled kernel has it
_or_rows = _or_by_byte if config.DISABLE_JIT else _or_by_vector


def _pack_by_byte(marks, at):
    """The word whose bit i is whether marks[at + i] is set, for 64 bytes of a flat array."""
    return np.packbits(marks[at : at + 64] != 0, bitorder="little").view(np.uint64)[0]


def _count_by_bit(word):
    """How many bits of a word are set."""
    return int(word).bit_count()


def _pack_vector(context, builder, signature, arguments):
    marks = builder.gep(address_of(context, builder, signature, arguments, 0), [arguments[1]])
    kind = ir.VectorType(_BYTE, 64)
    is_set = builder.icmp_unsigned("!=", load(builder, marks, kind), ir.Constant(kind, None))
    return builder.bitcast(is_set, INT)


@intrinsic
def _pack_by_vector(typingctx, marks, at):
    check_contiguous(marks)
    return types.uint64(marks, types.int64), _pack_vector


@intrinsic
def _count_in_word(typingctx, word):
    return types.int64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


_pack_by_vector.py_func, _count_in_word.py_func = _pack_by_byte, _count_by_bit
pack_bytes = _pack_by_byte if config.DISABLE_JIT else _pack_by_vector
count_bits = _count_by_bit if config.DISABLE_JIT else _count_in_word


@kernel(error_model="numpy", forceinline=True)
def or_each(source, begin, end, step, width, target, at):
    """target[at : at + width] = the OR of the rows of `source` that begin at begin, begin + step, ..., below `end`.

    Arrays are flat and differ; no row at all gives zeros.
    """
    if begin >= end:
        target[at : at + width] = 0
    for a in range(begin, end, 3 * step):
        b, c = a + step, a + 2 * step
        b, c = b if b < end else a, c if c < end else a
        if a == begin:
            _or_rows(target, at, source, a, source, b, source, c, width)
        else:
            _or_rows(target, at, target, at, source, a, source, b, width)
            _or_rows(target, at, target, at, source, b, source, c, width)


@kernel(error_model="numpy")
def mark_row(address, begin, first, weight_of, pixel_weights, most_by_event, row):
    """Mark the events of one row; returns the first event behind it, and the sum of the weights of the marked places.

    Parameters
    ----------
    address : int32 [n]
        Sorted; the row's first event is `begin`.
    first : int
        Address of the row's first place.
    weight_of : int32 [n_places]
        Of each place of the row.
    pixel_weights : int64 [n_pixels]
        The same, pixel by pixel; the places of a pixel have one weight.
    most_by_event : int
        Events, at most, that are weighed one by one; the marks of more are summed eight bytes at a time, for which a
        pixel must be whole words, 255 at most.
    row : uint8 [n_places]
    """
    end, stop = begin, first + row.size
    while end + 32 <= address.size and address[end + 31] < stop:  # one look for 32 events
        end += 32
    while end < address.size and address[end] < stop:
        end += 1
    for event in range(begin, end):
        row[np.uint32(address[event] - first)] = 1
    if end - begin > most_by_event:
        return end, _weigh_words(row.view(np.uint64), pixel_weights)
    weight = np.int64(0)
    for event in range(begin, end):
        weight += weight_of[np.uint32(address[event] - first)]
    return end, weight


@kernel(error_model="numpy")
def _weigh_words(words, pixel_weights):
    weight, n_words = np.int64(0), words.size // pixel_weights.size
    pairs_of_bytes, eight = np.uint64(0x00FF00FF00FF00FF), np.uint64(8)
    for pixel in range(pixel_weights.size):
        total = np.uint64(0)
        for word in range(pixel * n_words, (pixel + 1) * n_words):
            total += words[word]
        total = (total & pairs_of_bytes) + (total >> eight & pairs_of_bytes)
        total += total >> np.uint64(32)
        total += total >> np.uint64(16)
        weight += np.int64(total & np.uint64(0xFFFF)) * pixel_weights[pixel]
    return weight
