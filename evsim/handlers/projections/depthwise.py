"""Depthwise: each event adds its channel's window of weights, place by place of the input.

Where every channel is a group of its own, an output pixel meets few events, and passing over all its cells
(`evsim.handlers.projections.gather`) costs as much as a dense layer. Here the events of one input place, whose
channels are neighbours, add one tap after the other: each tap is one row of weights and one row of sums, and the rows
of neighbouring places are the same but for one column. Sums go over kernel rows and columns in the same order.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.kernel import kernel

__all__ = ["by_tap", "spread"]

_LANES = 8
"""A place of so many channels an event, or fewer, adds whole vectors: that is faster than events one by one."""


def by_tap(weight: np.ndarray) -> np.ndarray:
    """[channels, 1, kernel rows, kernel columns] as float32 [rows * columns, channels]."""
    return np.ascontiguousarray(weight.reshape(weight.shape[0], -1).T, np.float32)


def spread(
    address: np.ndarray, payload: np.ndarray, weights: np.ndarray, window: tuple[int, ...], value: np.ndarray,
    touched: np.ndarray,
) -> tuple[int, int, int, int]:  # fmt: skip
    """value[y, x, c] += sum over the events of channel c in the window of payload * weight.

    Parameters
    ----------
    address : int32 [n], ascending
        Of [height * width, channels].
    payload : float32 [n]
        Empty for binary spikes.
    weights : float32 [taps, channels]
        See `by_tap`.
    window : tuple of int
        See `Window.as_tuple`.
    value : float32 [out_height * out_width, channels]
    touched : uint8 [out_height * out_width]

    Returns
    -------
    sums, units, graded, accumulators : int
        See `evsim.handlers.projections.gather.gather_tiles`.
    """
    seen = np.zeros(value.shape, np.uint8)
    flat = (weights.reshape(-1), value.reshape(-1), seen.reshape(-1))
    n_added, n_units, n_graded = _spread(address, payload, window, value.shape[1], touched, flat)
    return n_added, int(n_units), n_graded, int(np.count_nonzero(seen))


@kernel(error_model="numpy")
def _spread(address, payload, window, n_channels, touched, flat):
    width, out_width, rows, columns = window[1], window[3], window[4], window[5]
    row, present = np.zeros(n_channels, np.float32), np.zeros(n_channels, np.uint8)
    channels = np.empty(n_channels, np.uint32)
    n_added, n_units, n_graded = 0, 0.0, 0
    begin = 0
    while begin < address.size:
        place = address[begin] // n_channels
        n = _take_place(address, payload, begin, place * n_channels, channels, row, present)
        n_taps = 0
        for i in range(rows):
            y = _output(place // width, i, window, 0)
            for j in range(columns):
                x = _output(place % width, j, window, 1) if y >= 0 else -1
                if x >= 0:
                    n_taps += 1
                    pixel = y * out_width + x
                    touched[pixel] = 1
                    # unsigned, or each index would be tested for counting from the end
                    at, tap = np.uintp(pixel * n_channels), np.uintp((i * columns + j) * n_channels)
                    if n * _LANES >= n_channels:
                        _add_lanes(row, present, flat, tap, at)
                    else:
                        _add_events(channels, n, row, flat, tap, at)
        units, graded = _weigh(payload, begin, begin + n)
        n_added += n_taps * n
        n_units += n_taps * units
        n_graded += n_taps * graded
        for event in range(n):
            row[channels[event]] = present[channels[event]] = 0
        begin += n
    return n_added, n_units, n_graded


@inner_kernel(error_model="numpy", forceinline=True)
def _take_place(address, payload, begin, first, channels, row, present):
    """The channels of the events of one input place, and their payloads as a row; how many they are."""
    n = 0
    while begin + n < address.size and address[begin + n] < first + row.size:
        channel = np.uint32(address[begin + n] - first)
        channels[n] = channel
        row[channel] = payload[begin + n] if payload.size else np.float32(1)
        present[channel] = 1
        n += 1
    return n


@inner_kernel(error_model="numpy", forceinline=True)
def _output(place, tap, window, axis):
    """The output row (or column) that meets an input one at a tap; -1: none does."""
    n_out, stride, padding, dilation = window[2 + axis], window[6 + axis], window[8 + axis], window[10 + axis]
    shifted = place + padding - tap * dilation
    out = shifted // stride
    return out if shifted >= 0 and out < n_out and out * stride == shifted else -1


@inner_kernel(error_model="numpy", forceinline=True)
def _add_lanes(row, present, flat, tap, at):
    """The events of one place through one tap, all channels in vectors; lanes without an event add 0."""
    weights, value, seen = flat
    for channel in range(np.uintp(row.size)):
        value[at + channel] += weights[tap + channel] * row[channel]
    for channel in range(np.uintp(row.size)):
        seen[at + channel] |= present[channel]


@inner_kernel(error_model="numpy", forceinline=True)
def _add_events(channels, n, row, flat, tap, at):
    """The same one by one."""
    weights, value, seen = flat
    for event in range(n):
        channel = channels[event]
        value[at + channel] += weights[tap + channel] * row[channel]
        seen[at + channel] = 1


@inner_kernel(error_model="numpy", forceinline=True)
def _weigh(payload, begin, end):
    """The sum of the sizes of the events, and those of a payload other than 1."""
    n_units, n_graded = 0.0, 0
    for event in range(begin, end if payload.size else begin):
        n_units += abs(payload[event])
        n_graded += payload[event] != 1
    return n_units if payload.size else float(end - begin), n_graded
