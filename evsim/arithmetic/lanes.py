"""Lanes: the three things kernels do to many numbers at once, told to the compiler as vectors.

    add_rows        sums in registers: the target row is loaded and stored once, whatever the number of events
    fire            one step of leaky neurons that stand in a row, and the list of those that fire, in one pass
    list_nonzero    the positions of the nonzero bytes of a mask, in order

Numba vectorises a plain loop, but keeps no row of sums in registers across events: that alone is a factor of three.
A lane never meets another lane, so a sum is taken in the order of the events, one addition after the other, whatever
the width of the machine's vectors. With NUMBA_DISABLE_JIT=1 each is an ordinary function.

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

__all__ = ["LANES", "add_rows", "add_scaled_rows", "aligned_zeros", "fire", "list_nonzero"]

LANES = 16
"""float32 values in one vector: AVX-512's width; where vectors are narrower the compiler splits it."""

_ALIGNMENT = 64
_INT = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def aligned_zeros(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """A new array that begins on a cache line, so that no vector straddles two: worth up to 40 % to `add_rows`."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + n_bytes].view(dtype).reshape(shape)


def _data(context, builder, signature, arguments, i):
    """The address of the first element of array argument i."""
    return context.make_array(signature.args[i])(context, builder, arguments[i]).data


def _check_contiguous(*arrays):
    """Pointers know no strides: refuse to compile for an array that has them."""
    if any(array.layout != "C" for array in arrays):
        raise TypingError("evsim.arithmetic.lanes: arrays must be contiguous")


def _load(builder, pointer):
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


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
        weights, address, payload, target = (_data(context, builder, signature, arguments, i) for i in (0, 2, 3, 7))
        weights = builder.gep(weights, [builder.sub(first, builder.mul(origin, width))])
        events = _Events(builder, begin, end, address, payload if is_scaled else None, weights)
        _add_in_panels(events, builder.gep(target, [at]), width, (4, 2, 1))
        return context.get_dummy_value()

    @intrinsic
    def add_rows_typed(typingctx, weights, first, address, payload, begin, end, origin, target, at, width):
        _check_contiguous(weights, address, payload, target)
        n = types.int64
        return types.void(weights, n, address, payload, n, n, n, target, n, n), generate

    add_rows_typed.py_func = add_rows  # as every compiled kernel has it
    return add_rows_typed


class _Events(NamedTuple):
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
            channel = builder.sext(builder.load(builder.gep(self.address, [event])), _INT)
            amount = None if self.payload is None else builder.load(builder.gep(self.payload, [event]))
            yield builder.gep(self.weights, [builder.mul(channel, width)]), amount


def _add_in_panels(events, target, width, choices):
    """A branch for each width the vectors can do, and one for the rest."""
    if not choices:
        return _add_narrow(events, target, width)
    builder = events.builder
    with builder.if_else(builder.icmp_signed("==", width, _INT(LANES * choices[0]))) as (fits, otherwise):
        with fits:
            _add_vectors(events, target, choices[0])
        with otherwise:
            _add_in_panels(events, target, width, choices[1:])


def _add_vectors(events, target, n_vectors):
    builder = events.builder
    places = [builder.gep(target, [_INT(LANES * i)]) for i in range(n_vectors)]
    sums = [cgutils.alloca_once_value(builder, _load(builder, place)) for place in places]  # become registers
    with events.each(_INT(LANES * n_vectors)) as (row, amount):
        for i, total in enumerate(sums):
            value = _load(builder, builder.gep(row, [_INT(LANES * i)]))
            value = value if amount is None else builder.fmul(_spread(builder, amount), value)
            builder.store(builder.fadd(builder.load(total), value), total)
    for place, total in zip(places, sums, strict=True):
        builder.store(builder.load(total), builder.bitcast(place, _VECTOR.as_pointer()), align=4)


def _add_narrow(events, target, width):
    builder = events.builder
    with events.each(width) as (row, amount), cgutils.for_range(builder, width) as loop:
        place = builder.gep(target, [loop.index])
        value = builder.load(builder.gep(row, [loop.index]))
        value = value if amount is None else builder.fmul(amount, value)
        builder.store(builder.fadd(builder.load(place), value), place)


def _store(builder, vector, pointer):
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=4)


def _spread(builder, value):
    """A scalar in every lane."""
    nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    vector = builder.insert_element(nothing, value, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(vector, vector, lanes)


add_rows, add_scaled_rows = _row_adder(False), _row_adder(True)


@njit(nogil=True, error_model="numpy")
def _list_by_byte(mask, size, first, positions, n):
    """Append first + i for each i < size with mask[i] = 1; returns the new length. No branch on a byte.

    `mask` holds whole words, `positions` LANES more places than are needed.
    """
    words = mask.view(np.uint64)
    for word in range((size + 7) // 8):
        if words[word]:
            for i in range(8 * word, min(size, 8 * word + 8)):
                positions[n] = first + i
                n += mask[i]
    return n


class _Compressor:
    """Appends the positions of set lanes: compressed in a register and stored whole, as a compressing store is slow."""

    def __init__(self, builder: ir.IRBuilder, positions: ir.Value, length: ir.Value) -> None:
        bits, numbers = ir.VectorType(ir.IntType(1), LANES), ir.VectorType(ir.IntType(32), LANES)
        compress_type = ir.FunctionType(numbers, [numbers, numbers, bits])
        count_type = ir.FunctionType(ir.IntType(16), [ir.IntType(16)])
        name = f"llvm.x86.avx512.mask.compress.v{LANES}i32"
        self._compress = cgutils.get_or_insert_function(builder.module, compress_type, name)
        self._count = cgutils.get_or_insert_function(builder.module, count_type, "llvm.ctpop.i16")
        self._builder, self._positions = builder, positions
        self._nothing = ir.Constant(numbers, None)
        self._steps = ir.Constant(numbers, list(range(LANES)))
        self._length = cgutils.alloca_once_value(builder, length)

    def append(self, first: ir.Value, lanes: ir.Value) -> None:
        """Append first + i for each set lane i; the list needs room for all lanes."""
        builder = self._builder
        start = _spread(builder, builder.trunc(first, ir.IntType(32)))
        together = builder.call(self._compress, [builder.add(start, self._steps), self._nothing, lanes])
        _store(builder, together, builder.gep(self._positions, [builder.load(self._length)]))
        n_set = builder.zext(builder.call(self._count, [builder.bitcast(lanes, ir.IntType(16))]), _INT)
        builder.store(builder.add(builder.load(self._length), n_set), self._length)

    def length(self) -> ir.Value:
        """Of the list as it is now."""
        return self._builder.load(self._length)


def _compress(context, builder, signature, arguments):
    """Sixteen bytes a turn: one comparison, one compression, one population count."""
    _, size, first, _, length = arguments
    mask, positions = (_data(context, builder, signature, arguments, i) for i in (0, 3))
    bytes_type = ir.VectorType(ir.IntType(8), LANES)
    listed = _Compressor(builder, positions, length)
    turns = builder.lshr(builder.add(size, _INT(LANES - 1)), _INT(4))
    with cgutils.for_range(builder, turns) as loop:
        at = builder.mul(loop.index, _INT(LANES))
        chunk = builder.load(builder.bitcast(builder.gep(mask, [at]), bytes_type.as_pointer()), align=1)
        fired = builder.icmp_unsigned("!=", chunk, ir.Constant(bytes_type, None))
        listed.append(builder.add(first, at), fired)
    return listed.length()


@intrinsic
def _list_by_vector(typingctx, mask, size, first, positions, n):
    _check_contiguous(mask, positions)
    return types.int64(mask, types.int64, types.int64, positions, types.int64), _compress


_list_by_vector.py_func = _list_by_byte.py_func if hasattr(_list_by_byte, "py_func") else _list_by_byte


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
    value, bias, v, fired = (_data(context, builder, signature, arguments, i) for i in (0, 1, 2, 8))
    v_threshold, v_reset, rate, leak = (_spread(builder, c) for c in cgutils.unpack_tuple(builder, constants))
    listed = _Compressor(builder, fired, length)
    with cgutils.for_range(builder, builder.lshr(builder.sub(end, begin), _INT(4))) as loop:
        ahead = builder.mul(loop.index, _INT(LANES))
        at = builder.add(begin, ahead)
        x, u = (_load(builder, builder.gep(pointer, [at])) for pointer in (value, v))
        b = _load(builder, builder.gep(bias, [ahead]))
        decay = builder.fmul(leak, builder.fsub(u, v_reset))
        h = builder.fadd(u, builder.fmul(builder.fsub(builder.fadd(x, b), decay), rate))
        spikes = builder.fcmp_ordered(">=", h, v_threshold)
        _store(builder, builder.select(spikes, v_reset, h), builder.gep(v, [at]))
        with builder.if_then(clears):
            _store(builder, ir.Constant(_VECTOR, None), builder.gep(value, [at]))
        listed.append(builder.add(first, at), spikes)
    return listed.length()


@intrinsic
def _fire_by_vector(typingctx, value, bias, v, constants, clears, begin, end, first, fired, n):
    _check_contiguous(value, bias, v, fired)
    i = types.int64
    return i(value, bias, v, constants, types.boolean, i, i, i, fired, i), _fire_vectors


_fire_by_vector.py_func = getattr(_fire_by_number, "py_func", _fire_by_number)


@njit(nogil=True, error_model="numpy", forceinline=True)
def _fire_in_vectors(value, bias, v, constants, clears, begin, end, first, fired, n):
    rest = end - (end - begin) % LANES
    n = _fire_by_vector(value, bias, v, constants, clears, begin, rest, first, fired, n)
    if rest < end:
        n = _fire_by_number(value, bias[rest - begin :], v, constants, clears, rest, end, first, fired, n)
    return n


def _has_avx512() -> bool:
    return bool(binding.get_host_cpu_features().get("avx512f")) and not config.DISABLE_JIT


fire = _fire_in_vectors if _has_avx512() else _fire_by_number
list_nonzero = _list_by_vector if _has_avx512() else _list_by_byte
