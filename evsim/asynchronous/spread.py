"""Spread: an addition goes to every reading of the current that a handler writes, and nothing else is visited.

A reading is what one handler has seen of a current in this step: the sum of the writers that joined before it. A
residual stream that five populations read is five readings, one membrane each.
"""

from __future__ import annotations

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    ACS,
    DEST_AT,
    DEST_END,
    GRADED_ACS,
    HOT,
    IS_HOT,
    LAST_STEP,
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
    UNIT_ACS,
    WEIGHT_READS,
    WEIGHTS,
    X_AT,
)
from evsim.asynchronous.membranes import wake
from evsim.asynchronous.rows import add_values, add_weights
from evsim.handlers.acts import Kind

__all__ = ["project", "spread", "touch"]

_FIRE, _MEAN = int(Kind.FIRE), int(Kind.MEAN)


@kernel(error_model="numpy", forceinline=True)
def touch(r, place, is_hot, t, s):
    """Remember that something was added to a place of a reading, and whether a neuron there may be ready."""
    p = t.readings[r, PLACE_AT] + place
    if s.dirty[p] == 0:
        s.listed[t.readings[r, PLACE_AT] + t.readings[r, N_DIRTY]] = place
        t.readings[r, N_DIRTY] += 1
    s.dirty[p] |= TOUCHED
    if is_hot:
        s.dirty[p] |= HOT
        t.readings[r, IS_HOT] = 1


@kernel(error_model="numpy", forceinline=True)
def _count_reader(r, n, t, s):
    owner = t.readings[r, OWNER]
    s.counts[owner, STATE_READS] += n
    s.counts[owner, STATE_WRITES] += n
    if t.readings[r, READS_AS] == _FIRE:
        s.counts[owner, MEMBRANE_ADDS] += n
    elif t.readings[r, READS_AS] == _MEAN:
        s.counts[owner, RESIDUAL_ADDS] += n


@kernel(error_model="numpy")
def spread(h, place, channel, values, first, n, t, s):
    """Add n values, from `first` on, to every reading of what handler h writes."""
    one = values.dtype.type(1)
    for d in range(t.acts[h, DEST_AT], t.acts[h, DEST_END]):
        r = t.lists[d]
        _count_reader(r, n, t, s)
        if t.readings[r, READS_AS] == _MEAN:
            sums_at = t.acts[t.readings[r, OWNER], SUMS_AT] + channel
            for j in range(n):
                s.sums[sums_at + j] += values[first + j]
            touch(r, 0, False, t, s)
            continue
        if t.readings[r, READS_AS] == _FIRE and s.places[t.readings[r, PLACE_AT] + place, LAST_STEP] != s.now[STEP]:
            wake(r, place, t, s)
        at = t.readings[r, X_AT] + place * t.readings[r, N_CHANNELS] + channel
        touch(r, place, add_values(s.x, at, s.need, values, first, n, one), t, s)


@kernel(error_model="numpy", forceinline=True)
def _panel(n_left, is_float):
    """Output channels of the next panel, as `evsim.handlers.projections.gather.Blocks` lays them out."""
    if n_left >= 128 and not is_float:
        return 128
    return 64 if n_left >= 64 else 32 if n_left >= 32 else 16 if n_left >= 16 else n_left


@kernel(error_model="numpy", forceinline=True)
def project(h, address, payload, t, s):
    """A spike's weight rows, one for each kernel position that lies inside the map, to each reading."""
    n_groups, n_in, n_out = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1], t.acts[h, NUMBERS + 2]
    width, out_height, out_width = t.acts[h, NUMBERS + 4], t.acts[h, NUMBERS + 5], t.acts[h, NUMBERS + 6]
    kernel_size, stride, padding = t.acts[h, NUMBERS + 7], t.acts[h, NUMBERS + 8], t.acts[h, NUMBERS + 9]
    shift, is_float = t.acts[h, NUMBERS + 10], t.is_float
    pixel, channel = address // (n_groups * n_in), address % (n_groups * n_in)
    group, channel = channel // n_in, channel % n_in
    y, x = pixel // width + padding, pixel % width + padding
    y_first, y_last = max(0, (y - kernel_size + stride) // stride), min(out_height - 1, y // stride)
    x_first, x_last = max(0, (x - kernel_size + stride) // stride), min(out_width - 1, x // stride)
    n_places = max(0, y_last - y_first + 1) * max(0, x_last - x_first + 1)
    amount = s.x.dtype.type(payload << shift)
    n_rows = kernel_size * kernel_size * n_in
    for d in range(t.acts[h, DEST_AT], t.acts[h, DEST_END]):
        r = t.lists[d]
        reads_as, place_at, n_channels = t.readings[r, READS_AS], t.readings[r, PLACE_AT], t.readings[r, N_CHANNELS]
        _count_reader(r, n_places * n_out, t, s)
        for y_out in range(y_first, y_last + 1):
            for x_out in range(x_first, x_last + 1):
                place = y_out * out_width + x_out
                tap = (y - y_out * stride) * kernel_size + x - x_out * stride
                if reads_as == _FIRE and s.places[place_at + place, LAST_STEP] != s.now[STEP]:
                    wake(r, place, t, s)
                is_mean = reads_as == _MEAN
                at = t.readings[r, X_AT] + place * n_channels + group * n_out
                first, done, is_hot = group * n_out * n_rows, 0, False
                while done < n_out:
                    panel = _panel(n_out - done, is_float)
                    row = first + (tap * n_in + channel) * panel
                    if is_mean:
                        s.scratch[done : done + panel] = 0
                        add_weights(s.scratch, done, s.need, t.acts[h, WEIGHTS], row, panel, amount)
                    elif add_weights(s.x, at + done, s.need, t.acts[h, WEIGHTS], row, panel, amount):
                        is_hot = True
                    first += n_rows * panel
                    done += panel
                if is_mean:
                    sums_at = t.acts[t.readings[r, OWNER], SUMS_AT] + group * n_out
                    for j in range(n_out):
                        s.sums[sums_at + j] += s.scratch[j]
                touch(r, 0 if is_mean else place, is_hot, t, s)
    n = n_places * n_out
    s.counts[h, ACS] += n
    s.counts[h, UNIT_ACS] += n * abs(payload)
    s.counts[h, GRADED_ACS] += n if payload != 1 else 0
    s.counts[h, WEIGHT_READS] += n
