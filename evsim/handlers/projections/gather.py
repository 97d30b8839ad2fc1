"""Gather: add the weight rows of the events of each receptive field, a block of weights at a time.

An output pixel's sum goes over kernel rows, kernel columns and channels, one event after the other. Weights are laid
out in blocks that stay in the nearest cache while a tile of output pixels passes over them: a panel of up to 64 output
channels times the rows of one cell. Channels are the fastest part of an address, so that the events of neighbouring
pixels of a row are one interval of the sorted events, and an event's weight row is its address less where the
interval begins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole_lanes import add_rows
from evsim.handlers.projections.blocks import panel_width

__all__ = ["Gathering", "Planes", "bands", "gather_tiles", "index_cells", "index_step"]

_TILE_PIXELS = 64
"""Output pixels that pass over a block before the next one is fetched."""


class Planes(NamedTuple):
    """payload = sum over planes b of 2^b * (is the event in plane b): binary events, for whole weights.

    Parameters
    ----------
    start : int32 [n_planes, n_cells + 1]
        The events of a plane by cell, see `index_cells`.
    address : int32 [n]
        Plane after plane.
    """

    start: np.ndarray
    address: np.ndarray

    @staticmethod
    def of(address: np.ndarray, payload: np.ndarray, n_cells: int, cell_size: int) -> Planes:
        """From positive payloads (int32)."""
        n_planes = int(payload.max(initial=0)).bit_length()
        planes = Planes(np.empty((n_planes, n_cells + 1), np.int32), np.empty(n_planes * address.size + 1, np.int32))
        _split_planes(address, payload, cell_size, planes.start, planes.address)
        return planes

    @staticmethod
    def none() -> Planes:
        return _NO_PLANES


_NO_PLANES = Planes(np.empty((0, 1), np.int32), np.empty(0, np.int32))


class Gathering(NamedTuple):
    """What the kernel needs of one call of a projection, whatever tiles it is to compute.

    Parameters
    ----------
    start : int32 [n_pixels * n_groups * n_cells + 1]
        See `index_cells`.
    address : int32 [n]
    payload : float32 [n] or int32 [n]
        Empty for binary spikes; whole with whole weights.
    weights : float32, int16 or int8 [n]
        `Blocks.values`.
    units : int16 [n_out of all groups], or none
        `Blocks.units`.
    layout : tuple of int
        See `Blocks.as_tuple`.
    window : tuple of int
        See `Window.as_tuple`.
    planes : Planes
        The same events once more, by the bits of their payload; none: each sum is a product.
    """

    start: np.ndarray
    address: np.ndarray
    payload: np.ndarray
    weights: np.ndarray
    units: np.ndarray
    layout: tuple[int, ...]
    window: tuple[int, ...]
    planes: Planes


def index_cells(address: np.ndarray, n_cells: int, cell_size: int) -> np.ndarray:
    """The events of cell i of `cell_size` consecutive addresses are those from start[i] to start[i + 1] (int32)."""
    start = np.empty(n_cells + 1, np.int32)
    _index_cells(address, cell_size, start)
    return start


@kernel
def _index_cells(address, cell_size, start):
    event = 0
    end = 0
    for cell in range(start.size - 1):
        start[cell] = event
        end += cell_size
        while event < address.size and address[event] < end:
            event += 1
    start[start.size - 1] = event


@kernel
def index_step(gathering, begin, end):
    """The gathering of the events from `begin` to `end`: of one step out of several in a row."""
    start, address, payload, weights, units, layout, window, planes = gathering
    step_address = address[begin:end]
    _index_cells(step_address, layout[1] // layout[4], start)
    return Gathering(
        start, step_address, payload[begin:end] if payload.size else payload, weights, units, layout, window, planes
    )


@kernel
def _split_planes(address, payload, cell_size, start, plane_address):
    n = 0
    for plane in range(start.shape[0]):
        first = n
        for event in range(address.size):
            plane_address[n] = address[event]  # stays where n moves on
            n += (payload[event] >> plane) & 1
        _index_cells(plane_address[first:n], cell_size, start[plane])
        start[plane] += first


def bands(out_height: int, out_width: int, n_pixels: int) -> np.ndarray:
    """Cut an output map into bands of `n_pixels` or a little more: first tile, last + 1, first pixel, last + 1.

    A band is whole rows of pixels, or a part of the only row: its pixels follow one another. int64 [n_bands, 4].
    """
    n_rows, n_tiles_row = max(1, _TILE_PIXELS // out_width), -(-out_width // _TILE_PIXELS)
    n_tiles = -(-out_height // n_rows) * n_tiles_row
    a_row, a_row_pixels = (n_tiles_row, n_rows * out_width) if out_height > 1 else (1, _TILE_PIXELS)
    step = a_row * -(-n_pixels // a_row_pixels)
    starts = range(0, n_tiles, step)
    pixels = [start // a_row * a_row_pixels for start in starts] + [out_height * out_width]
    cut = [(start, min(n_tiles, start + step), pixels[i], pixels[i + 1]) for i, start in enumerate(starts)]
    return np.array(cut, np.int64)


@kernel(error_model="numpy", forceinline=True)
def _tile(number, out_height, out_width):
    """First and last + 1 row and column of one tile: some whole rows, or a part of a long one."""
    n_rows, n_tiles_row = max(1, _TILE_PIXELS // out_width), (out_width + _TILE_PIXELS - 1) // _TILE_PIXELS
    y, x = number // n_tiles_row * n_rows, number % n_tiles_row * _TILE_PIXELS
    return y, min(out_height, y + n_rows), x, min(out_width, x + _TILE_PIXELS)


@kernel(error_model="numpy")
def _list_calls(start, window, layout, tile, place, calls, n_events, room):
    """The pixels of a tile that have events in one block, as (begin, end, origin, place of the sums); how many.

    `n_events` grows by the events of each pixel of the tile. Pixels whose kernel columns lie inside the map are
    compared many at a time (in `room`, a mask and a list) where their cells are neighbours, all others one by one.
    """
    height, width, _, out_width, _, _, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x = window
    n_groups, n_in, n_out, span, n_cells, _ = layout
    group, cell, tap_row, tap_col = place
    n_pixel_cells, which = n_groups * n_cells, group * n_cells + cell
    within = which * (n_in // n_cells)
    y_begin, y_end, x_begin, x_stop, pixel_0 = tile
    x_shift, (mask, positions) = tap_col * dilation_x - padding_x, room
    are_neighbours = stride_x == 1 and n_pixel_cells == 1
    first_inside = max(x_begin, -x_shift)
    n_inside = max(0, min(x_stop, width - span + 1 - x_shift) - first_inside) if are_neighbours else 0
    n = np.int64(0)
    for y_out in range(y_begin, y_end):
        y = y_out * stride_y + tap_row * dilation_y - padding_y
        if y < 0 or y >= height:
            continue
        x, x_last = x_begin * stride_x + x_shift, (x_stop - 1) * stride_x + x_shift
        x_first, x_end = min(max(x, 0), width), max(min(x_last + span, width), 0)
        if start[(y * width + x_first) * n_pixel_cells] == start[(y * width + x_end) * n_pixel_cells]:
            continue  # the whole row of the tile is silent
        pixel, in_tile = y_out * out_width - pixel_0, (y_out - y_begin) * (x_stop - x_begin) - x_begin
        if n_inside > 0:
            begins = start[y * width + first_inside + x_shift :]
            ends, counts = begins[span:], n_events[in_tile + first_inside :]
            for i in range(n_inside):
                mask[i] = ends[i] != begins[i]
                counts[i] += ends[i] - begins[i]
            mask[n_inside : n_inside + lanes.LANES] = 0
            n_listed = lanes.list_nonzero(mask, n_inside, 0, positions, 0)
            for listed in range(n_listed):
                i = positions[listed]
                call = calls[n + listed]
                call[0], call[1] = begins[i], ends[i]
                call[2] = (y * width + first_inside + x_shift + i) * n_in
                call[3] = (pixel + first_inside + i) * n_out
            n += n_listed
        x_out = x_begin
        while x_out < x_stop:
            if x_out == first_inside:
                x_out += n_inside
                if n_inside > 0:
                    continue
            x = x_out * stride_x + x_shift
            x_first, x_end = max(x, 0), min(x + span, width)
            if x_first < x_end:
                begin = start[(y * width + x_first) * n_pixel_cells + which]
                end = start[(y * width + x_end - 1) * n_pixel_cells + which + 1]
                call = calls[n]
                call[0], call[1] = begin, end
                call[2] = (y * width + x) * n_groups * n_in + within
                call[3] = ((pixel + x_out) * n_groups + group) * n_out
                n_events[in_tile + x_out] += end - begin
                n += begin < end
            x_out += 1
    return n


@kernel(error_model="numpy", forceinline=True)
def _touch(tile, out_width, n_events, touched):
    """Mark the pixels that have events; how many they are, and their events."""
    y_begin, y_end, x_begin, x_stop, pixel_0 = tile
    n_touched, n_all, size = 0, 0, x_stop - x_begin
    for y_out in range(y_begin, y_end):
        first = y_out * out_width + x_begin - pixel_0
        row, counts = touched[first : first + size], n_events[(y_out - y_begin) * size :]
        for i in range(size):  # no branch: many at a time
            has_events = counts[i] > 0
            row[i] |= has_events
            n_touched += has_events
            n_all += counts[i]
            counts[i] = 0
    return n_touched, n_all


@kernel(error_model="numpy", forceinline=True)
def _weigh(payload, calls, n_calls):
    """The sum of the sizes of the listed events, and those of a payload other than 1."""
    n_units, n_graded = 0.0, 0
    for i in range(n_calls):
        for event in range(calls[i, 0], calls[i, 1]):
            n_units += abs(payload[event])
            n_graded += payload[event] != 1
    return n_units, n_graded


@kernel(error_model="numpy", forceinline=True)
def _pass_block(address, payload, weights, units, unit, first, calls, n_calls, channel, panel, shift, value):
    """Let the pixels of a tile pass over one block."""
    for i in range(n_calls):
        call = calls[i]
        begin, end, origin, at = call[0], call[1], call[2], call[3] + channel
        add_rows(weights, first, address, payload, begin, end, origin, value, at, panel, shift, units, unit)


@kernel(error_model="numpy")
def gather_tiles(gathering, tiles, value, touched):
    """value[y, x, :] += sum over the events of the receptive field of payload * weight row.

    Parameters
    ----------
    gathering : Gathering
    tiles : (int, int, int)
        First and last + 1 tile of output pixels to compute, and which output pixel is row 0 of `value`.
    value, touched : arrays
        Of the `Current`, or of a band of it, see `bands`.

    Returns
    -------
    sums, units, graded, accumulators : int
        Weight additions, the same with a payload of n counted n times, those of a payload that is not 1, and
        accumulators touched.
    """
    start, address, payload, weights, units, layout, window, planes = gathering
    out_height, out_width, tap_rows, tap_columns = window[2], window[3], window[4], window[5]
    n_groups, n_in, n_out, span, n_cells, shift = layout
    n_blocks, block_size = tap_rows * (tap_columns // span) * n_cells, span * (n_in // n_cells)
    plane_start, plane_address = planes
    n_planes = plane_start.shape[0]
    n_passes = max(1, n_planes)
    calls = np.empty((n_blocks, n_passes, _TILE_PIXELS, 4), np.int64)
    n_calls = np.empty((n_blocks, n_passes), np.int64)
    n_events, ignored = np.zeros(_TILE_PIXELS, np.int32), np.zeros(_TILE_PIXELS, np.int32)
    room = np.empty(_TILE_PIXELS + lanes.LANES, np.uint8), np.empty(_TILE_PIXELS + lanes.LANES, np.int32)
    passed, passed_payload = (plane_address, payload[:0]) if n_planes else (address, payload)
    n_added, n_units, n_graded, n_touched = 0, 0.0, 0, 0
    for number in range(tiles[0], tiles[1]):
        tile = (*_tile(number, out_height, out_width), tiles[2])
        for group in range(n_groups):
            for block in range(n_blocks):
                tap, cell = block // n_cells, block % n_cells
                place = (group, cell, tap // (tap_columns // span), tap % (tap_columns // span) * span)
                listed = calls[block, 0]
                n_listed = n_calls[block, 0] = _list_calls(start, window, layout, tile, place, listed, n_events, room)
                if payload.size:
                    sizes, graded = _weigh(payload, listed, n_listed)
                    n_units += sizes
                    n_graded += graded
                for b in range(n_planes):
                    listed = calls[block, b]
                    n_calls[block, b] = _list_calls(plane_start[b], window, layout, tile, place, listed, ignored, room)
            pixels, events = _touch(tile, out_width, n_events, touched)
            if events == 0:
                continue
            n_touched += pixels
            n_added += events
            first = group * n_out * tap_rows * tap_columns * n_in
            channel = np.int64(0)  # a plain 0 would compile `_pass_block` twice
            while channel < n_out:
                panel = panel_width(n_out - channel, weights.itemsize)
                for block in range(n_blocks):
                    for b in range(n_passes):
                        listed, n_listed = calls[block, b], n_calls[block, b]
                        _pass_block(
                            passed, passed_payload, weights, units, group * n_out + channel, first, listed, n_listed,
                            channel, panel, shift + b, value,
                        )  # fmt: skip
                    first += block_size * panel
                channel += panel
    n_units = n_units if payload.size else float(n_added)
    return n_added * n_out, np.int64(n_units) * n_out, n_graded * n_out, n_touched * n_out
