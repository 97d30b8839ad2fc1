"""Lanes: the three things kernels do to many numbers at once, told to the compiler as vectors.

    add_rows        sums in registers: the target row is loaded and stored once, whatever the number of events
    fire            one step of leaky neurons that stand in a row, and the list of those that fire, in one pass
    list_nonzero    the positions of the nonzero bytes of a mask, in order

Numba vectorises a plain loop, but keeps no row of sums in registers across events: that alone is a factor of three.
A lane never meets another lane, so a sum is taken in the order of the events, one addition after the other, whatever
the width of the target's vectors: the same bits everywhere. No instruction of one processor is asked for by name, so
that any target that Numba compiles for will do (NUMBA_CPU_NAME), whatever the processor at hand. With
NUMBA_DISABLE_JIT=1 each is an ordinary function.

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.positions import PositionList
from evsim.arithmetic.vectors import INT, address_of, check_contiguous, load, spread, store

__all__ = ["LANES", "add_rows", "add_scaled_rows", "aligned_zeros", "fire", "list_nonzero"]

LANES = 16
"""float32 values in one vector: the widest there is; where a target's are narrower the compiler splits it."""

_ALIGNMENT = 64
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def aligned_zeros(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """A new array that begins on a cache line, so that no vector straddles two: worth up to 40 % to `add_rows`."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + n_bytes].view(dtype).reshape(shape)


def _row_adder(is_scaled: bool) -> Callable:
    """target[at : at + width] += rows of weights (times payload), one row an event; width is 64, 32, 16 or less.

    The row of event e begins at ``weights[first + (address[e] - origin) * width]``, flat. Nothing is checked.
    """

    def add_rows(weights, first, address, payload, begin, end, origin, target, at, width):
        weights, target = weights.reshape(-1), target.reshape(-1)
        for event in range(begin, end):
            row = first + (int(address[event]) - origin) * width
            amount = payload[event] if is_scaled else np.float32(1)
            target[at : at + width] += amount * weights[row : row + width]

    if config.DISABLE_JIT:
        return add_rows

    def generate(context, builder, signature, arguments):
        _, first, _, _, begin, end, origin, _, at, width = arguments
        arrays = (address_of(context, builder, signature, arguments, i) for i in (0, 2, 3, 7))
        weights, address, payload, target = arrays
        weights = builder.gep(weights, [builder.sub(first, builder.mul(origin, width))])
        events = Events(builder, begin, end, address, payload if is_scaled else None, weights)
        _add_in_panels(events, builder.gep(target, [at]), width, (4, 2, 1))
        return context.get_dummy_value()

    @intrinsic
    def add_rows_typed(typingctx, weights, first, address, payload, begin, end, origin, target, at, width):
        check_contiguous(weights, address, payload, target)
        n = types.int64
        return types.void(weights, n, address, payload, n, n, n, target, n, n), generate

    add_rows_typed.py_func = add_rows  # as every compiled kernel has it
    return add_rows_typed


class Events(NamedTuple):
    """The events of a call of `add_rows`, as the compiler sees them."""

    builder: ir.IRBuilder
    begin: ir.Value
    end: ir.Value
    address: ir.Value
    payload: ir.Value | None
    weights: ir.Value

    @contextmanager
    def each(self, width):
        """The loop over events: (its weight row, its payload)."""
        builder = self.builder
        with cgutils.for_range(builder, builder.sub(self.end, self.begin)) as loop:
            event = builder.add(self.begin, loop.index)
            channel = builder.sext(builder.load(builder.gep(self.address, [event])), INT)
            amount = None if self.payload is None else builder.load(builder.gep(self.payload, [event]))
            yield builder.gep(self.weights, [builder.mul(channel, width)]), amount


def _add_in_panels(events, target, width, choices):
    """A branch for each width the vectors can do, and one for the rest."""
    if not choices:
        return _add_narrow(events, target, width)
    builder = events.builder
    with builder.if_else(builder.icmp_signed("==", width, INT(LANES * choices[0]))) as (fits, otherwise):
        with fits:
            _add_vectors(events, target, choices[0])
        with otherwise:
            _add_in_panels(events, target, width, choices[1:])


def _add_vectors(events, target, n_vectors):
    builder = events.builder
    places = [builder.gep(target, [INT(LANES * i)]) for i in range(n_vectors)]
    sums = [cgutils.alloca_once_value(builder, load(builder, place, _VECTOR)) for place in places]  # become registers
    with events.each(INT(LANES * n_vectors)) as (row, amount):
        for i, total in enumerate(sums):
            value = load(builder, builder.gep(row, [INT(LANES * i)]), _VECTOR)
            value = value if amount is None else builder.fmul(spread(builder, amount, LANES), value)
            builder.store(builder.fadd(builder.load(total), value), total)
    for place, total in zip(places, sums, strict=True):
        store(builder, builder.load(total), place)


def _add_narrow(events, target, width):
    builder = events.builder
    with events.each(width) as (row, amount), cgutils.for_range(builder, width) as loop:
        place = builder.gep(target, [loop.index])
        value = builder.load(builder.gep(row, [loop.index]))
        value = value if amount is None else builder.fmul(amount, value)
        builder.store(builder.fadd(builder.load(place), value), place)


add_rows, add_scaled_rows = _row_adder(False), _row_adder(True)


@njit(nogil=True, error_model="numpy")
def _list_by_byte(mask, size, first, positions, n):
    """Append first + i for each i < size with mask[i] > 0; returns the new length. No branch on a byte.

    `mask` holds whole words, `positions` LANES more places than are needed.
    """
    words = mask.view(np.uint64)
    for word in range((size + 7) // 8):
        if words[word]:
            for i in range(8 * word, min(size, 8 * word + 8)):
                positions[n] = first + i
                n += mask[i] != 0
    return n


def _list_vectors(context, builder, signature, arguments):
    """Sixteen bytes a turn, one comparison."""
    _, size, first, _, length = arguments
    mask, positions = (address_of(context, builder, signature, arguments, i) for i in (0, 3))
    bytes_type = ir.VectorType(ir.IntType(8), LANES)
    listed = PositionList(builder, positions, length)
    turns = builder.lshr(builder.add(size, INT(LANES - 1)), INT(4))
    with cgutils.for_range(builder, turns) as loop:
        at = builder.mul(loop.index, INT(LANES))
        chunk = load(builder, builder.gep(mask, [at]), bytes_type)
        listed.append(builder.add(first, at), builder.icmp_unsigned("!=", chunk, ir.Constant(bytes_type, None)))
    return listed.length()


@intrinsic
def _list_by_vector(typingctx, mask, size, first, positions, n):
    check_contiguous(mask, positions)
    return types.int64(mask, types.int64, types.int64, positions, types.int64), _list_vectors


_list_by_vector.py_func = getattr(_list_by_byte, "py_func", _list_by_byte)  # as every compiled kernel has it


@njit(nogil=True, error_model="numpy")
def _fire_by_number(value, bias, v, constants, clears, begin, end, first, fired, n):
    """One step of the neurons from `begin` to `end`; appends first + j for each j that fires; returns the new length.

    h = v + (value + bias - leak * (v - v_reset)) * rate;  spike = h >= v_threshold;  v = v_reset if spike else h.
    `bias` begins with the bias of neuron `begin`, `constants` are (v_threshold, v_reset, rate, leak), and `clears`
    sets value to 0. Arrays are flat; `fired` holds LANES more places than there are neurons.
    """
    v_threshold, v_reset, rate, leak = constants
    for j in range(begin, end):
        h = v[j] + (value[j] + bias[j - begin] - leak * (v[j] - v_reset)) * rate
        spike = h >= v_threshold
        v[j] = v_reset if spike else h
        fired[n] = first + j
        n += spike
        if clears:
            value[j] = 0
    return n


def _fire_vectors(context, builder, signature, arguments):
    """Sixteen neurons a turn."""
    _, _, _, constants, clears, begin, end, first, _, length = arguments
    value, bias, v, fired = (address_of(context, builder, signature, arguments, i) for i in (0, 1, 2, 8))
    v_threshold, v_reset, rate, leak = (spread(builder, c, LANES) for c in cgutils.unpack_tuple(builder, constants))
    listed = PositionList(builder, fired, length)
    with cgutils.for_range(builder, builder.lshr(builder.sub(end, begin), INT(4))) as loop:
        ahead = builder.mul(loop.index, INT(LANES))
        at = builder.add(begin, ahead)
        x, u = (load(builder, builder.gep(pointer, [at]), _VECTOR) for pointer in (value, v))
        b = load(builder, builder.gep(bias, [ahead]), _VECTOR)
        decay = builder.fmul(leak, builder.fsub(u, v_reset))
        h = builder.fadd(u, builder.fmul(builder.fsub(builder.fadd(x, b), decay), rate))
        spikes = builder.fcmp_ordered(">=", h, v_threshold)
        store(builder, builder.select(spikes, v_reset, h), builder.gep(v, [at]))
        with builder.if_then(clears):
            store(builder, ir.Constant(_VECTOR, None), builder.gep(value, [at]))
        listed.append(builder.add(first, at), spikes)
    return listed.length()


@intrinsic
def _fire_by_vector(typingctx, value, bias, v, constants, clears, begin, end, first, fired, n):
    check_contiguous(value, bias, v, fired)
    i = types.int64
    return i(value, bias, v, constants, types.boolean, i, i, i, fired, i), _fire_vectors


_fire_by_vector.py_func = getattr(_fire_by_number, "py_func", _fire_by_number)


@inner_kernel(error_model="numpy", forceinline=True)
def _fire_in_vectors(value, bias, v, constants, clears, begin, end, first, fired, n):
    rest = end - (end - begin) % LANES
    n = _fire_by_vector(value, bias, v, constants, clears, begin, rest, first, fired, n)
    if rest < end:
        n = _fire_by_number(value, bias[rest - begin :], v, constants, clears, rest, end, first, fired, n)
    return n


fire = _fire_by_number if config.DISABLE_JIT else _fire_in_vectors
list_nonzero = _list_by_byte if config.DISABLE_JIT else _list_by_vector
