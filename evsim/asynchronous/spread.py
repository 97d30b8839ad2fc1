"""Spread: an addition goes to every reading of the current that a handler writes, and nothing else is visited.

A reading is what one handler has seen of a current in this step: the sum of the writers that joined before it. A
residual stream that five populations read is five readings, one membrane each.
"""

from __future__ import annotations

from evsim.asynchronous.columns import (
    ACS,
    DEST_AT,
    DEST_END,
    EVENT_ACS,
    GRADED_ACS,
    HOT,
    IS_HOT,
    MEMBRANE_ADDS,
    N_CHANNELS,
    N_DIRTY,
    NUMBERS,
    OWNER,
    PLACE_AT,
    READS_AS,
    RESIDUAL_ADDS,
    STATE_READS,
    STATE_WRITES,
    STEP,
    SUMS_AT,
    TOUCHED,
    WEIGHT_READS,
    WEIGHTS,
    X_AT,
)
from evsim.asynchronous.loop_kernel import loop_kernel
from evsim.asynchronous.machine import as_value
from evsim.asynchronous.membranes import wake
from evsim.asynchronous.rows import add_values, add_weights
from evsim.handlers.acts import Kind

__all__ = ["project", "spread", "touch"]

_FIRE, _MEAN = int(Kind.FIRE), int(Kind.MEAN)


@loop_kernel(error_model="numpy", forceinline=True)
def touch(r, place, is_hot, m):
    """Remember that something was added to a place of a reading, and whether a neuron there may be ready."""
    p = m.readings[r + PLACE_AT] + place
    if m.dirty[p] == 0:
        m.listed[m.readings[r + PLACE_AT] + m.readings[r + N_DIRTY]] = place
        m.readings[r + N_DIRTY] += 1
    m.dirty[p] |= TOUCHED
    if is_hot:
        m.dirty[p] |= HOT
        m.readings[r + IS_HOT] = 1


@loop_kernel(error_model="numpy", forceinline=True)
def _count_reader(r, n, m):
    owner = m.readings[r + OWNER]
    m.acts[owner + STATE_READS] += n
    m.acts[owner + STATE_WRITES] += n
    if m.readings[r + READS_AS] == _FIRE:
        m.acts[owner + MEMBRANE_ADDS] += n
    elif m.readings[r + READS_AS] == _MEAN:
        m.acts[owner + RESIDUAL_ADDS] += n


@loop_kernel(error_model="numpy")
def spread(h, place, channel, values, first, n, m):
    """Add n values, from `first` on, to every reading of what handler h writes."""
    one = as_value(m.zero, 1)
    for d in range(m.acts[h + DEST_AT], m.acts[h + DEST_END]):
        r = m.lists[d]
        _count_reader(r, n, m)
        if m.readings[r + READS_AS] == _MEAN:
            sums_at = m.acts[m.readings[r + OWNER] + SUMS_AT] + channel
            for j in range(n):
                m.sums[sums_at + j] += values[first + j]
            touch(r, 0, False, m)
            continue
        if m.readings[r + READS_AS] == _FIRE and m.places[m.readings[r + PLACE_AT] + place] != m.now[STEP]:
            wake(r, place, m)
        at = m.readings[r + X_AT] + place * m.readings[r + N_CHANNELS] + channel
        touch(r, place, add_values(m.x, at, m.need, values, first, n, one), m)


@loop_kernel(error_model="numpy", forceinline=True)
def _panel(n_left, is_float):
    """Output channels of the next panel, as `evsim.handlers.projections.gather.Blocks` lays them out."""
    if n_left >= 128 and not is_float:
        return 128
    return 64 if n_left >= 64 else 32 if n_left >= 32 else 16 if n_left >= 16 else n_left


@loop_kernel(error_model="numpy", forceinline=True)
def project(h, address, payload, m):
    """A spike's weight rows, one for each kernel position that lies inside the map, to each reading."""
    n_groups, n_in, n_out = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    width, out_height, out_width = m.acts[h + NUMBERS + 4], m.acts[h + NUMBERS + 5], m.acts[h + NUMBERS + 6]
    kernel_size, stride, padding = m.acts[h + NUMBERS + 7], m.acts[h + NUMBERS + 8], m.acts[h + NUMBERS + 9]
    shift, is_float = m.acts[h + NUMBERS + 10], m.is_float
    pixel, channel = address // (n_groups * n_in), address % (n_groups * n_in)
    group, channel = channel // n_in, channel % n_in
    y, x = pixel // width + padding, pixel % width + padding
    y_first, y_last = max(0, (y - kernel_size + stride) // stride), min(out_height - 1, y // stride)
    x_first, x_last = max(0, (x - kernel_size + stride) // stride), min(out_width - 1, x // stride)
    n_places = max(0, y_last - y_first + 1) * max(0, x_last - x_first + 1)
    amount = as_value(m.zero, payload << shift)
    n_rows = kernel_size * kernel_size * n_in
    for d in range(m.acts[h + DEST_AT], m.acts[h + DEST_END]):
        r = m.lists[d]
        place_at, n_channels = m.readings[r + PLACE_AT], m.readings[r + N_CHANNELS]
        is_population, is_mean = m.readings[r + READS_AS] == _FIRE, m.readings[r + READS_AS] == _MEAN
        _count_reader(r, n_places * n_out, m)
        for j in range(n_out if is_mean else 0):
            m.scratch[j] = 0
        for y_out in range(y_first, y_last + 1):
            for x_out in range(x_first, x_last + 1):
                place = y_out * out_width + x_out
                tap = (y - y_out * stride) * kernel_size + x - x_out * stride
                if is_population and m.places[place_at + place] != m.now[STEP]:
                    wake(r, place, m)
                at = m.readings[r + X_AT] + place * n_channels + group * n_out
                first, done, is_hot = group * n_out * n_rows, 0, False
                while done < n_out:
                    panel = _panel(n_out - done, is_float)
                    row = first + (tap * n_in + channel) * panel
                    if is_mean:
                        add_weights(m.scratch, done, m.need, m.acts[h + WEIGHTS], row, panel, amount)
                    elif add_weights(m.x, at + done, m.need, m.acts[h + WEIGHTS], row, panel, amount):
                        is_hot = True
                    first += n_rows * panel
                    done += panel
                if not is_mean:
                    touch(r, place, is_hot, m)
        if is_mean and n_places > 0:
            sums_at = m.acts[m.readings[r + OWNER] + SUMS_AT] + group * n_out
            for j in range(n_out):
                m.sums[sums_at + j] += m.scratch[j]
            touch(r, 0, False, m)
    n = n_places * n_out
    m.acts[h + EVENT_ACS] += n
    m.acts[h + ACS] += n * abs(payload)
    m.acts[h + GRADED_ACS] += n if payload != 1 else 0
    m.acts[h + WEIGHT_READS] += n
