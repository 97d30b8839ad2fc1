"""Byte lanes: rows of weights of eight bits, two channels to a lane of sixteen.

A row of w weights, w = 32, 64 or 128, is w / 2 lanes: lane j is

    256 * weight[j + w / 2]  +  (weight[j] + 128)

so that its upper byte is one weight and its lower byte the other, made positive. For each event a lane is loaded once
and added twice: A += lane, B += lane >> 8. After n events

    B  =  the sum of the upper weights;    A - 256 * B - 128 * n  =  the sum of the lower ones

both modulo 2^16, and exact, because the true sums of a block fit 16 bits (256 rows of 127). Half as many bytes are
read as for weights of sixteen bits. Shorter rows, and what is left of a wide layer, are bytes in plain order.

Events with a payload come by its bits, see `evsim.handlers.projections.gather.Planes`; only a negative one must be
multiplied, number by number.

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.lanes import Events
from evsim.arithmetic.vectors import INT, WORD, address_of, check_contiguous, load, spread, store

__all__ = ["add_byte_rows", "add_byte_rows_by_vector", "packed", "unpacked"]

_PACKED = (128, 64, 32)
_BYTE, _SHORT = ir.IntType(8), ir.IntType(16)
_BYTES = 64


def packed(rows: np.ndarray) -> np.ndarray:
    """Rows of weights (last axis) from -127 to 127 as they stand in memory, int8."""
    rows, width = rows.astype(np.int16), rows.shape[-1]
    if width not in _PACKED:
        return rows.astype(np.int8)
    lanes = (rows[..., width // 2 :] << 8) + rows[..., : width // 2] + 128
    return np.ascontiguousarray(lanes, np.int16).view(np.int8)


def unpacked(rows: np.ndarray) -> np.ndarray:
    """The weights again, int16."""
    if rows.shape[-1] not in _PACKED:
        return rows.astype(np.int16)
    lanes = np.ascontiguousarray(rows).view(np.int16)
    return np.concatenate([(lanes & 255) - 128, lanes >> 8], axis=-1)


def add_byte_rows(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
    """target[at + j] += 2^shift * units[unit + j] * (sum of rows of weights, times payload where there is one).

    The row of event e begins at ``weights[first + (address[e] - origin) * width]``, flat; arrays are flat but for the
    target's shape.
    """
    flat = target.reshape(-1)
    for event in range(begin, end):
        row = first + (int(address[event]) - origin) * width
        amount = int(payload[event]) << shift if payload.size else 1 << shift
        values = unpacked(weights[row : row + width])
        for j in range(width):
            total = int(flat[at + j]) + amount * int(values[j]) * int(units[unit + j])
            flat[at + j] = np.int64(total).astype(flat.dtype)  # wraps, as lanes do


@intrinsic
def add_byte_rows_by_vector(
    typingctx, weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit
):
    """`add_byte_rows`, compiled: where every event counts 1, a row of sums stays in registers."""
    check_contiguous(weights, address, payload, target, units)
    n = types.int64
    return types.void(weights, n, address, payload, n, n, n, target, n, n, n, units, n), _generate


def _generate(context, builder, signature, arguments):
    _, first, _, payload, begin, end, origin, _, at, width, shift, _, unit = arguments
    weights, address, target, units = (address_of(context, builder, signature, arguments, i) for i in (0, 2, 7, 11))
    weights = builder.gep(weights, [builder.sub(first, builder.mul(origin, width))])
    array = context.make_array(signature.args[3])(context, builder, payload)
    target = _Target(builder, builder.gep(target, [at]), builder.gep(units, [unit]), builder.trunc(shift, WORD))
    with builder.if_else(builder.icmp_signed("!=", array.nitems, INT(0))) as (graded, binary):
        with graded:
            _add_products(Events(builder, begin, end, address, array.data, weights), target, width)
        with binary:
            _add_by_width(Events(builder, begin, end, address, None, weights), target, width)
    return context.get_dummy_value()


class _Target:
    """Where a row of sums goes: target[j] += 2^shift * units[j] * sums[j], in the target's own type."""

    def __init__(self, builder, place, units, shift) -> None:
        self.builder, self.place, self.units = builder, place, units
        self.element = place.type.pointee
        self.shift = shift if self.element.width == 32 else builder.trunc(shift, self.element)

    def add(self, begin: int, sums: ir.Value) -> None:
        """A vector of sums, from channel `begin` on."""
        builder, n_lanes = self.builder, sums.type.count
        kind = ir.VectorType(self.element, n_lanes)
        place = builder.gep(self.place, [INT(begin)])
        unit = load(builder, builder.gep(self.units, [INT(begin)]), ir.VectorType(_SHORT, n_lanes))
        total = builder.mul(self._resized(sums, kind), self._resized(unit, kind))
        total = builder.shl(total, spread(builder, self.shift, n_lanes))
        store(builder, builder.add(load(builder, place, kind), total), place)

    def add_one(self, at: ir.Value, value: ir.Value) -> None:
        """One number (int32), at channel `at`."""
        builder, place = self.builder, self.builder.gep(self.place, [at])
        unit = builder.load(builder.gep(self.units, [at]))
        total = builder.mul(self._resized(value, self.element), self._resized(unit, self.element))
        builder.store(builder.add(builder.load(place), builder.shl(total, self.shift)), place)

    def _resized(self, value, kind):
        width = (getattr(value.type, "element", value.type)).width
        return (
            value
            if width == self.element.width
            else (self.builder.sext if width < self.element.width else self.builder.trunc)(value, kind)
        )


def _add_by_width(events, target, width, widths=(*_PACKED, 16)):
    """A branch for each width that comes in vectors, and one for the rest."""
    if not widths:
        return _add_narrow(events, target, width)
    builder, panel = events.builder, widths[0]
    with builder.if_else(builder.icmp_signed("==", width, INT(panel))) as (fits, otherwise):
        with fits:
            (_add_packed if panel in _PACKED else _add_plain)(events, target, panel)
        with otherwise:
            _add_by_width(events, target, width, widths[1:])


def _zeros(builder, kind, n):
    return [cgutils.alloca_once_value(builder, ir.Constant(kind, None)) for _ in range(n)]  # become registers


def _add_packed(events, target, panel):
    builder, half = events.builder, panel // 2
    n_lanes = min(half, 8 * _BYTES // 16)
    kind, begins = ir.VectorType(_SHORT, n_lanes), range(0, half, n_lanes)
    eight = ir.Constant(kind, [8] * n_lanes)
    both, upper = (_zeros(builder, kind, len(begins)) for _ in range(2))
    with events.each(INT(panel)) as (row, _):
        for begin, a, b in zip(begins, both, upper, strict=True):
            lane = load(builder, builder.gep(row, [INT(2 * begin)]), kind)
            builder.store(builder.add(builder.load(a), lane), a)
            builder.store(builder.add(builder.load(b), builder.ashr(lane, eight)), b)
    n_events = builder.trunc(builder.sub(events.end, events.begin), _SHORT)
    above = spread(builder, builder.shl(n_events, _SHORT(7)), n_lanes)
    for begin, a, b in zip(begins, both, upper, strict=True):
        high = builder.load(b)
        target.add(half + begin, high)
        target.add(begin, builder.sub(builder.sub(builder.load(a), builder.shl(high, eight)), above))


def _add_plain(events, target, panel):
    builder, kind = events.builder, ir.VectorType(_SHORT, panel)
    (total,) = _zeros(builder, kind, 1)
    with events.each(INT(panel)) as (row, _):
        value = builder.sext(load(builder, row, ir.VectorType(_BYTE, panel)), kind)
        builder.store(builder.add(builder.load(total), value), total)
    target.add(0, builder.load(total))


def _add_narrow(events, target, width):
    builder = events.builder
    with events.each(width) as (row, _), cgutils.for_range(builder, width) as loop:
        target.add_one(loop.index, builder.sext(builder.load(builder.gep(row, [loop.index])), WORD))


def _add_products(events, target, width):
    """Number by number, whatever the width; a packed row has channel j in byte 2 j, or in byte 2 (j - half) + 1."""
    builder = events.builder
    half = builder.lshr(width, INT(1))
    is_packed = builder.icmp_signed(">=", width, INT(min(_PACKED)))
    with events.each(width) as (row, amount), cgutils.for_range(builder, width) as loop:
        j = loop.index
        is_upper = builder.icmp_signed(">=", j, half)
        even = builder.shl(j, INT(1))
        byte = builder.select(is_upper, builder.sub(even, builder.sub(width, INT(1))), even)
        value = builder.load(builder.gep(row, [builder.select(is_packed, byte, j)]))
        below = builder.and_(is_packed, builder.not_(is_upper))
        value = builder.select(below, builder.xor(value, _BYTE(-128)), value)
        target.add_one(j, builder.mul(amount, builder.sext(value, WORD)))
