"""Conv2d: a convolution that adds one weight row for each spike in a receptive field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from evsim.current import Current, CurrentRows
from evsim.errors import NetworkError
from evsim.held_rows import HeldRows
from evsim.ledger import OpCounts
from evsim.projections.pixel_index import index_by_pixel
from evsim.spikes import Spikes

__all__ = ["Conv2d", "Window", "window_rows"]


@dataclass(frozen=True, slots=True)
class Window:
    """Where a kernel looks: an input map, a square kernel, its stride and zero padding.

    Parameters
    ----------
    height, width : int
        Of the input map, in pixels.
    kernel, stride, padding : int
    """

    height: int
    width: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    def as_tuple(self) -> tuple[int, int, int, int, int, int, int]:
        """What the kernels take: input size, output size, kernel, stride, padding."""
        sizes = (self.height, self.width, self.out_height, self.out_width)
        return (*sizes, self.kernel, self.stride, self.padding)


def window_rows(weight: np.ndarray, groups: int = 1) -> np.ndarray:
    """[c_out, c_in / groups, ky, kx] as float32 [groups, ky * kx * c_in / groups, c_out / groups].

    One active input then is one contiguous row of weights, for all output channels of its group.
    """
    c_out, c_in_group, ky, kx = weight.shape
    by_group = weight.reshape(groups, c_out // groups, c_in_group, ky, kx)
    rows = by_group.transpose(0, 3, 4, 2, 1).reshape(groups, ky * kx * c_in_group, c_out // groups)
    return np.ascontiguousarray(rows, dtype=np.float32)


class Conv2d:
    """X[y, x, :] += sum over active inputs (dy, dx, c) of the receptive field of payload * W[dy, dx, c, :].

    Output-stationary: the active inputs of a receptive field are gathered into one list of weight rows, which
    are added eight at a time to the pixel's row of the `Current`. An output pixel without an active input is
    neither read nor written.

    Parameters
    ----------
    name : str
        The checkpoint's module name.
    weight : float [c_out, c_in / groups, kernel, kernel]
        BatchNorm already folded in.
    bias : float [c_out] or None
        Joins the constant part of `current`.
    window : Window
    current : Current
        Where the sums go: [out_height * out_width, c_out].
    groups : int

    Attributes
    ----------
    has_bias : bool
        Whether the checkpoint's layer has a bias of its own, apart from a folded BatchNorm.
    norm : str or None
        Name of the BatchNorm that was folded in.
    n_weight_axes : int
        Axes of the checkpoint's tensor: 2 for a linear module, 3 or 4 for a convolution, of kernel 1 perhaps.

    Sets nothing of its own, incs `current`, reads its weights.
    """

    constants = ("rows",)

    def __init__(
        self, name: str, weight: np.ndarray, bias: np.ndarray | None, window: Window, current: Current, groups: int = 1
    ) -> None:
        self.name = name
        self.window = window
        self.groups = groups
        self.has_bias = bias is not None
        self.norm: str | None = None
        self.n_weight_axes = weight.ndim
        self.rows = window_rows(weight, groups)
        self.n_in = weight.shape[1] * groups
        self.n_out = weight.shape[0]
        expected = (window.out_height * window.out_width, self.n_out)
        if (current.n_places, current.n_channels) != expected:
            found = (current.n_places, current.n_channels)
            raise NetworkError(f"{name}: writes {expected} (places, channels) into a current of {found}")
        self.current = current
        current.join_writer(name, bias)
        self._is_first_writer = current.writers == [name]
        self._held = HeldRows()

    @property
    def n_inputs(self) -> int:
        """Places the input operand has: rows x columns x channels."""
        return self.window.height * self.window.width * self.n_in

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add the weight rows of the delivered events to the current of `step`."""
        spikes = inbox["spikes"]
        target = self.current.rows(step)
        if not (self._is_first_writer and spikes.payload is not None and spikes.payload.dtype == np.float32):
            return Spikes.none(), self._project(spikes, target)
        counts = self._held.replay(spikes, target)  # a still image comes as the same object at every step
        if counts is None:
            counts = self._project(spikes, target)
            self._held.keep(spikes, target)
        self.current.mark_still(step, spikes)
        return Spikes.none(), counts

    def reset(self) -> None:
        """Forget the held result of a constant input."""
        self._held.forget()
        self.current.reset()

    def _project(self, spikes: Spikes, target: CurrentRows) -> OpCounts:
        n_pixels = self.window.height * self.window.width
        start, channel = index_by_pixel(spikes.address, n_pixels * self.groups, self.n_in // self.groups)
        shape = self.window.as_tuple()
        if spikes.payload is None:
            acs, touched = _gather_spikes(start, channel, self.rows, shape, target.value, target.touched)
            return OpCounts(acs=acs, unit_acs=acs, weight_reads=acs, state_reads=touched, state_writes=touched)
        payload = spikes.payload.astype(np.float32)
        sums, units, graded, touched = _gather_payloads(
            start, channel, payload, self.rows, shape, target.value, target.touched
        )
        memory = {"weight_reads": sums, "state_reads": touched, "state_writes": touched}
        if spikes.payload.dtype == np.float32:
            return OpCounts(macs=sums, **memory)
        return OpCounts(acs=sums, unit_acs=units, graded_acs=graded, **memory)


@njit(cache=True, nogil=True, error_model="numpy")
def _list_window(start, window, y_out, x_out, group, n_groups, n_in, tap_begin, tap_end, tap_row):
    """The taps of one receptive field that hold events: where their events begin and end, and their first row."""
    height, width, _, _, kernel, stride, padding = window
    n_taps = 0
    for ky in range(kernel):
        y = y_out * stride + ky - padding
        if y < 0 or y >= height:
            continue
        for kx in range(kernel):
            x = x_out * stride + kx - padding
            if x < 0 or x >= width:
                continue
            pixel = (y * width + x) * n_groups + group
            if start[pixel + 1] > start[pixel]:
                tap_begin[n_taps] = start[pixel]
                tap_end[n_taps] = start[pixel + 1]
                tap_row[n_taps] = (ky * kernel + kx) * n_in
                n_taps += 1
    return n_taps


@njit(cache=True, nogil=True, error_model="numpy")
def _add_rows(weights, rows, n_rows, target):
    """target += the named weight rows, eight at a time: one load and store of the target for eight additions."""
    i = 0
    while i + 8 <= n_rows:
        w0, w1, w2, w3 = weights[rows[i]], weights[rows[i + 1]], weights[rows[i + 2]], weights[rows[i + 3]]
        w4, w5, w6, w7 = weights[rows[i + 4]], weights[rows[i + 5]], weights[rows[i + 6]], weights[rows[i + 7]]
        for j in range(target.size):
            target[j] += ((w0[j] + w1[j]) + (w2[j] + w3[j])) + ((w4[j] + w5[j]) + (w6[j] + w7[j]))
        i += 8
    while i + 2 <= n_rows:
        w0, w1 = weights[rows[i]], weights[rows[i + 1]]
        for j in range(target.size):
            target[j] += w0[j] + w1[j]
        i += 2
    if i < n_rows:
        w0 = weights[rows[i]]
        for j in range(target.size):
            target[j] += w0[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_spikes(start, channel, weights, window, value, touched):
    n_groups, n_rows_group, n_out = weights.shape
    _, _, out_height, out_width, kernel, _, _ = window
    n_in = n_rows_group // (kernel * kernel)
    tap_begin = np.empty(kernel * kernel, np.int32)
    tap_end = np.empty(kernel * kernel, np.int32)
    tap_row = np.empty(kernel * kernel, np.int32)
    rows = np.empty(n_rows_group, np.int32)
    n_added = 0
    n_touched = 0
    for y_out in range(out_height):
        for x_out in range(out_width):
            place = y_out * out_width + x_out
            for group in range(n_groups):
                n_taps = _list_window(start, window, y_out, x_out, group, n_groups, n_in, tap_begin, tap_end, tap_row)
                if n_taps == 0:
                    continue
                n_rows = 0
                for tap in range(n_taps):
                    for event in range(tap_begin[tap], tap_end[tap]):
                        rows[n_rows] = tap_row[tap] + channel[event]
                        n_rows += 1
                _add_rows(weights[group], rows, n_rows, value[place, group * n_out : (group + 1) * n_out])
                touched[place] = 1
                n_added += n_rows
                n_touched += 1
    return n_added * n_out, n_touched * n_out


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_payloads(start, channel, payload, weights, window, value, touched):
    n_groups, n_rows_group, n_out = weights.shape
    _, _, out_height, out_width, kernel, _, _ = window
    n_in = n_rows_group // (kernel * kernel)
    tap_begin = np.empty(kernel * kernel, np.int32)
    tap_end = np.empty(kernel * kernel, np.int32)
    tap_row = np.empty(kernel * kernel, np.int32)
    n_added = 0
    n_units = 0.0
    n_graded = 0
    n_touched = 0
    for y_out in range(out_height):
        for x_out in range(out_width):
            place = y_out * out_width + x_out
            for group in range(n_groups):
                n_taps = _list_window(start, window, y_out, x_out, group, n_groups, n_in, tap_begin, tap_end, tap_row)
                if n_taps == 0:
                    continue
                target = value[place, group * n_out : (group + 1) * n_out]
                for tap in range(n_taps):
                    for event in range(tap_begin[tap], tap_end[tap]):
                        row = weights[group, tap_row[tap] + channel[event]]
                        amount = payload[event]
                        for j in range(n_out):
                            target[j] += amount * row[j]
                        n_added += 1
                        n_units += abs(amount)
                        n_graded += amount != 1
                touched[place] = 1
                n_touched += 1
    return n_added * n_out, np.int64(n_units) * n_out, n_graded * n_out, n_touched * n_out
