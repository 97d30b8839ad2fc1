"""Whole lanes: what `lanes` does to float32 numbers, done to whole numbers; the sums are exact in any order.

    add_rows        weights int16; a row of sums stays in registers, int16 where every event counts 1, else int32; of
                    weights in bytes see `byte_lanes`
    fire            one step of leaky neurons in int32 or int16
    add_moved       sums to another scale
    scaled, rescaled    a finished sum times a constant
    charge          the membrane potential of one neuron, in either arithmetic

Each takes the float32 path where its arrays are float32, so that a kernel is written once for both arithmetics.
Whoever calls has proved that no sum leaves its type, see `evsim.arithmetic.whole`: nothing is checked here.

Callers are compiled again when this file changes (see `evsim.arithmetic.kernel`).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from evsim.arithmetic import byte_lanes, lanes
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.positions import PositionList
from evsim.arithmetic.vectors import INT, WORD, address_of, check_contiguous, load, spread, store

__all__ = ["add_moved", "add_rows", "charge", "fire", "rescaled", "scaled"]

_SHORT = ir.IntType(16)
_BYTES = 64


# --- sums of rows -----------------------------------------------------------------------------------------------------


def _add_whole_rows(weights, first, address, payload, begin, end, origin, target, at, width, shift):
    """target[at : at + width] += 2^shift * (sum of rows of weights, times payload where there is one).

    The row of event e begins at ``weights[first + (address[e] - origin) * width]``, flat. The width is a panel's:
    128, 64, 32, 16 or less.
    """
    weights, target = weights.reshape(-1), target.reshape(-1)
    for event in range(begin, end):
        row = first + (int(address[event]) - origin) * width
        amount = int(payload[event]) << shift if payload.size else 1 << shift
        for j in range(width):
            target[at + j] += amount * int(weights[row + j])


def _add_rows_in_registers(context, builder, signature, arguments):
    _, first, _, payload, begin, end, origin, _, at, width, shift = arguments
    weights, address, target = (address_of(context, builder, signature, arguments, i) for i in (0, 2, 7))
    weights = builder.gep(weights, [builder.sub(first, builder.mul(origin, width))])
    array = context.make_array(signature.args[3])(context, builder, payload)
    is_graded = builder.icmp_signed("!=", array.nitems, INT(0))
    place, shift = builder.gep(target, [at]), builder.trunc(shift, WORD)
    with builder.if_else(is_graded) as (graded, binary):
        with graded:
            events = lanes.Events(builder, begin, end, address, array.data, weights)
            _add_in_panels(events, place, width, shift, WORD)
        with binary:
            events = lanes.Events(builder, begin, end, address, None, weights)
            _add_in_panels(events, place, width, shift, _SHORT)
    return context.get_dummy_value()


def _add_in_panels(events, target, width, shift, kind, panels=(128, 64, 32, 16)):
    """A branch for each width the vectors can do, and one for the rest; `kind` is the type of a sum in a register."""
    if not panels:
        return _add_narrow(events, target, width, shift)
    builder, panel = events.builder, panels[0]
    with builder.if_else(builder.icmp_signed("==", width, INT(panel))) as (fits, otherwise):
        with fits:
            _add_vectors(events, target, panel, min(panel, 8 * _BYTES // kind.width), shift, kind)
        with otherwise:
            _add_in_panels(events, target, width, shift, kind, panels[1:])


def _add_vectors(events, target, panel, n_lanes, shift, kind):
    builder, shorts, sums_type = events.builder, ir.VectorType(_SHORT, n_lanes), ir.VectorType(kind, n_lanes)
    begins = range(0, panel, n_lanes)
    sums = [cgutils.alloca_once_value(builder, ir.Constant(sums_type, None)) for _ in begins]  # become registers
    for total in sums:
        builder.store(ir.Constant(sums_type, None), total)
    with events.each(INT(panel)) as (row, amount):
        for begin, total in zip(begins, sums, strict=True):
            value = load(builder, builder.gep(row, [INT(begin)]), shorts)
            if amount is not None:
                value = builder.mul(spread(builder, amount, n_lanes), builder.sext(value, sums_type))
            builder.store(builder.add(builder.load(total), value), total)
    for begin, total in zip(begins, sums, strict=True):
        _add_to_target(builder, builder.gep(target, [INT(begin)]), builder.load(total), shift)


def _add_to_target(builder, place, total, shift):
    """place += total << shift, in the type of the target."""
    n_lanes, element = total.type.count, place.type.pointee
    kind = ir.VectorType(element, n_lanes)
    total = total if total.type == kind else (builder.sext if element.width > 16 else builder.trunc)(total, kind)
    shift = shift if element.width == 32 else (builder.zext if element.width > 32 else builder.trunc)(shift, element)
    total = builder.shl(total, spread(builder, shift, n_lanes))
    store(builder, builder.add(load(builder, place, kind), total), place)


def _add_narrow(events, target, width, shift):
    builder, element = events.builder, target.type.pointee
    resized = builder.sext if element.width > 32 else builder.trunc
    with events.each(width) as (row, amount), cgutils.for_range(builder, width) as loop:
        place = builder.gep(target, [loop.index])
        value = builder.sext(builder.load(builder.gep(row, [loop.index])), WORD)
        value = builder.shl(value if amount is None else builder.mul(amount, value), shift)
        value = value if element.width == 32 else resized(value, element)
        builder.store(builder.add(builder.load(place), value), place)


@intrinsic
def _add_rows_by_vector(typingctx, weights, first, address, payload, begin, end, origin, target, at, width, shift):
    check_contiguous(weights, address, payload, target)
    n = types.int64
    return types.void(weights, n, address, payload, n, n, n, target, n, n, n), _add_rows_in_registers


@njit(nogil=True, error_model="numpy")
def _add_long_rows(weights, first, address, payload, begin, end, origin, target, at, width, shift):
    """As `_add_whole_rows`, into int64: the sums of a real-valued image."""
    for event in range(begin, end):
        row = first + (int(address[event]) - origin) * width
        amount = np.int64(payload[event]) << shift
        for j in range(width):
            target[at + j] += amount * weights[row + j]


def add_rows(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
    """`lanes.add_rows`, `add_scaled_rows`, `byte_lanes.add_byte_rows` or `_add_whole_rows`, by the types given."""
    if weights.dtype == np.int8:
        numbers = (begin, end, origin, target, at, width, shift, units, unit)
        byte_lanes.add_byte_rows(weights, first, address, payload, *numbers)
    elif weights.dtype != np.float32:
        _add_whole_rows(weights, first, address, payload, begin, end, origin, target, at, width, shift)
    elif payload.size == 0:
        _plain(lanes.add_rows)(weights, first, address, payload, begin, end, origin, target, at, width)
    else:
        _plain(lanes.add_scaled_rows)(weights, first, address, payload, begin, end, origin, target, at, width)


def _plain(kernel):
    """The ordinary function behind a kernel: an intrinsic cannot be called from Python."""
    return getattr(kernel, "py_func", kernel)


@overload(add_rows, inline="always")
def _choose_adder(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
    if isinstance(weights.dtype, types.Float):

        def add_floats(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
            if payload.size == 0:
                lanes.add_rows(weights, first, address, payload, begin, end, origin, target, at, width)
            else:
                lanes.add_scaled_rows(weights, first, address, payload, begin, end, origin, target, at, width)

        return add_floats
    if target.dtype == types.int64:

        def add_long(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
            flat = target.reshape(-1)
            _add_long_rows(weights, first, address, payload, begin, end, origin, flat, at, width, shift)

        return add_long

    if weights.dtype == types.int8:

        def add_bytes(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
            byte_lanes.add_byte_rows_by_vector(
                weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit
            )

        return add_bytes

    def add_whole(weights, first, address, payload, begin, end, origin, target, at, width, shift, units, unit):
        _add_rows_by_vector(weights, first, address, payload, begin, end, origin, target, at, width, shift)

    return add_whole


@kernel(error_model="numpy")
def add_moved(sums, by, value):
    """value += sums * 2^by, place by place; by < 0 rounds half up."""
    half = np.int64(1) << (-by - 1) if by < 0 else np.int64(0)
    for place in range(value.shape[0]):
        for j in range(value.shape[1]):
            value[place, j] += (sums[place, j] + half) >> -by if by < 0 else sums[place, j] << by


def scaled(scale, total):
    """scale * total, in the arithmetic of the scale."""
    return scale * np.float32(total) if isinstance(scale, np.floating) else int(scale) * int(total)


@overload(scaled, inline="always")
def _choose_scaling(scale, total):
    if isinstance(scale, types.Float):
        return lambda scale, total: scale * np.float32(total)
    return lambda scale, total: scale * total


def rescaled(scale, total, shift):
    """scale * total; in whole numbers divided by 2^shift, shift > 0, and rounded half up."""
    if isinstance(scale, np.floating):
        return scale * total
    return (int(scale) * int(total) + (1 << shift - 1)) >> shift


@overload(rescaled, inline="always")
def _choose_rescaling(scale, total, shift):
    if isinstance(scale, types.Float):
        return lambda scale, total, shift: scale * total
    return lambda scale, total, shift: (scale * total + (1 << (shift - 1))) >> shift


# --- neurons ----------------------------------------------------------------------------------------------------------


def charge(v, x, rate, constants):
    """H of one neuron: v + (x - leak * (v - v_reset)) * rate, or in whole numbers v + ((x - v) * rate >> r).

    `constants` are (v_threshold, v_reset, rate, leak), in whole numbers (0, 0, rate, r): v is counted from v_reset
    there, and each channel has a threshold of its own.
    """
    if isinstance(v, np.floating):
        return v + (x - constants[3] * (v - constants[1])) * rate
    return int(v) + (((int(x) - int(v)) * int(rate)) >> int(constants[3]))


@overload(charge, inline="always")
def _choose_charge(v, x, rate, constants):
    if isinstance(v, types.Float):

        def charge_float(v, x, rate, constants):
            return v + (x - constants[3] * (v - constants[1])) * rate

        return charge_float

    def charge_whole(v, x, rate, constants):
        return v + (((x - v) * rate) >> constants[3])

    return charge_whole


@njit(nogil=True, error_model="numpy")
def _fire_by_number(value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
    """As `lanes.fire`, in whole numbers: h = v + ((value + bias - v) * rate >> r), all counted from v_reset.

    `threshold` begins, as `bias` does, with that of neuron `begin`.
    """
    _, _, rate, shift = constants
    for j in range(begin, end):
        h = int(v[j]) + (((int(value[j]) + int(bias[j - begin]) - int(v[j])) * rate) >> shift)
        spike = h >= threshold[j - begin]
        v[j] = 0 if spike else h
        fired[n] = first + j
        n += spike
        if clears:
            value[j] = 0
    return n


def _fire_vectors(is_shift):
    """A vector of neurons a turn; `is_shift` where the rate is 1 / 2^r, so that nothing is multiplied."""

    def generate(context, builder, signature, arguments):
        _, _, _, _, constants, clears, begin, end, first, _, length = arguments
        value, bias, threshold, v, fired = (
            address_of(context, builder, signature, arguments, i) for i in (0, 1, 2, 3, 9)
        )
        element = v.type.pointee
        n_lanes = 8 * _BYTES // element.width
        kind, long = ir.VectorType(element, n_lanes), ir.VectorType(INT, n_lanes)
        nothing, to = ir.Constant(kind, None), element if is_shift else INT
        rate, shift = (
            spread(builder, number if number.type == to else builder.trunc(number, to), n_lanes)
            for number in list(cgutils.unpack_tuple(builder, constants))[2:]
        )
        listed = PositionList(builder, fired, length)
        n_bits = n_lanes.bit_length() - 1
        with cgutils.for_range(builder, builder.lshr(builder.sub(end, begin), INT(n_bits))) as loop:
            ahead = builder.mul(loop.index, INT(n_lanes))
            at = builder.add(begin, ahead)
            x, u = (load(builder, builder.gep(pointer, [at]), kind) for pointer in (value, v))
            b, level = (load(builder, builder.gep(pointer, [ahead]), kind) for pointer in (bias, threshold))
            drive = builder.sub(builder.add(x, b), u)
            if is_shift:
                h = builder.add(u, builder.ashr(drive, shift))
            else:
                product = builder.mul(builder.sext(drive, long), rate)
                h = builder.add(u, builder.trunc(builder.ashr(product, shift), kind))
            spikes = builder.icmp_signed(">=", h, level)
            store(builder, builder.select(spikes, nothing, h), builder.gep(v, [at]))
            with builder.if_then(clears):
                store(builder, nothing, builder.gep(value, [at]))
            listed.append(builder.add(first, at), spikes)
        return listed.length()

    return generate


def _firing(is_shift):
    generate = _fire_vectors(is_shift)

    @intrinsic
    def fire_by_vector(typingctx, value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
        check_contiguous(value, bias, threshold, v, fired)
        i = types.int64
        return i(value, bias, threshold, v, types.UniTuple(i, 4), types.boolean, i, i, i, fired, i), generate

    return fire_by_vector


_fire_by_shift, _fire_by_product = _firing(True), _firing(False)


@njit(nogil=True, error_model="numpy")
def _fire_in_vectors(value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
    rest = end - (end - begin) % (_BYTES // v.itemsize)
    if constants[2] == 1:
        n = _fire_by_shift(value, bias, threshold, v, constants, clears, begin, rest, first, fired, n)
    else:
        n = _fire_by_product(value, bias, threshold, v, constants, clears, begin, rest, first, fired, n)
    if rest < end:
        done = rest - begin
        n = _fire_by_number(value, bias[done:], threshold[done:], v, constants, clears, rest, end, first, fired, n)
    return n


_fire_whole = _fire_by_number if config.DISABLE_JIT else _fire_in_vectors


def fire(value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
    """`lanes.fire`, or the same in whole numbers, by the type of the membranes."""
    if v.dtype == np.float32:
        return _plain(lanes._fire_by_number)(value, bias, v, constants, clears, begin, end, first, fired, n)
    return _plain(_fire_by_number)(value, bias, threshold, v, constants, clears, begin, end, first, fired, n)


@overload(fire, inline="always")
def _choose_firing(value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
    if isinstance(v.dtype, types.Float):

        def fire_floats(value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
            return lanes.fire(value, bias, v, constants, clears, begin, end, first, fired, n)

        return fire_floats

    def fire_whole(value, bias, threshold, v, constants, clears, begin, end, first, fired, n):
        return _fire_whole(value, bias, threshold, v, constants, clears, begin, end, first, fired, n)

    return fire_whole
