"""Relays: what acts inside a delivery, without neurons of its own: pools, dilations, AND, gates, sums of streams."""

from __future__ import annotations

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    ACS,
    COMPARISONS,
    EVENTS_OUT,
    MARKS_AT,
    MASKS,
    N_RELAYED,
    NUMBERS,
    RESIDUAL_ADDS,
    SCALINGS,
    STATE_READS,
    STATE_WRITES,
    SUMS_AT,
    UNIT_ACS,
)
from evsim.asynchronous.settle import quotient
from evsim.asynchronous.spread import spread

__all__ = ["coincide", "dilate", "mean_spikes", "pass_gate", "pass_on", "pool", "sum_tokens"]


@kernel(error_model="numpy", forceinline=True)
def pass_on(h, address, payload, s):
    """Handler h sends a spike of its own, within this delivery: after those that it sent before."""
    n = s.now[N_RELAYED]
    s.relayed[n, 0], s.relayed[n, 1], s.relayed[n, 2] = h, address, payload
    s.now[N_RELAYED] += 1
    s.counts[h, EVENTS_OUT] += 1


@kernel(error_model="numpy", forceinline=True)
def _mark_and_pass(h, place, t, s):
    mark = t.acts[h, MARKS_AT] + place
    s.counts[h, COMPARISONS] += 1
    if s.marks[mark] == 0:
        s.marks[mark] = 1
        pass_on(h, place, 1, s)


@kernel(error_model="numpy")
def pool(h, address, t, s):
    """The first spike of each window that the address lies in passes."""
    n_channels, width = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 2]
    out_height, out_width = t.acts[h, NUMBERS + 3], t.acts[h, NUMBERS + 4]
    size, stride, padding = t.acts[h, NUMBERS + 5], t.acts[h, NUMBERS + 6], t.acts[h, NUMBERS + 7]
    pixel, channel = address // n_channels, address % n_channels
    y, x = pixel // width + padding, pixel % width + padding
    for y_out in range(max(0, (y - size + stride) // stride), min(out_height - 1, y // stride) + 1):
        for x_out in range(max(0, (x - size + stride) // stride), min(out_width - 1, x // stride) + 1):
            _mark_and_pass(h, (y_out * out_width + x_out) * n_channels + channel, t, s)


@kernel(error_model="numpy")
def dilate(h, address, t, s):
    """The first spike that reaches a neighbouring token or channel of the head passes there."""
    n_places, n_channels, head_channels = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1], t.acts[h, NUMBERS + 2]
    within = address % head_channels
    for token_shift in range(-1, 2):
        moved = address + token_shift * n_channels
        if moved < 0 or moved >= n_places:
            continue
        for channel_shift in range(-1, 2):
            if 0 <= within + channel_shift < head_channels:
                _mark_and_pass(h, moved + channel_shift, t, s)


@kernel(error_model="numpy")
def coincide(h, port, address, t, s):
    """Passes if the other operand is there already."""
    n, at = t.acts[h, NUMBERS], t.acts[h, MARKS_AT]
    own, other = at + port * n + address, at + (1 - port) * n + address
    if s.marks[own]:
        return
    s.marks[own] = 1
    s.counts[h, MASKS] += 1
    s.counts[h, STATE_READS] += 1
    s.counts[h, STATE_WRITES] += 1
    if s.marks[other]:
        pass_on(h, address, 1, s)


@kernel(error_model="numpy")
def pass_gate(h, port, address, t, s):
    """Port 0: q passes where the gate is open, else it waits. Port 1: a channel opens, and what waited passes."""
    n_tokens, n_channels, at = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1], t.acts[h, MARKS_AT]
    gates = at + n_tokens * n_channels
    if port == 0:
        if s.marks[at + address]:
            return
        s.marks[at + address] = 1
        s.counts[h, MASKS] += 1
        s.counts[h, STATE_READS] += 1
        s.counts[h, STATE_WRITES] += 1
        if s.marks[gates + address % n_channels]:
            pass_on(h, address, 1, s)
    elif s.marks[gates + address] == 0:
        s.marks[gates + address] = 1
        s.counts[h, STATE_READS] += n_tokens
        s.counts[h, STATE_WRITES] += 1
        for token in range(n_tokens):
            if s.marks[at + token * n_channels + address]:
                s.counts[h, MASKS] += 1
                pass_on(h, token * n_channels + address, 1, s)


@kernel(error_model="numpy")
def sum_tokens(h, address, t, s):
    """One to the column's membrane."""
    s.scratch[0] = t.acts[h, NUMBERS + 1]
    s.counts[h, ACS] += 1
    s.counts[h, UNIT_ACS] += 1
    spread(h, 0, address % t.acts[h, NUMBERS], s.scratch, 0, 1, t, s)


@kernel(error_model="numpy")
def mean_spikes(h, address, payload, t, s):
    """The event to its column, whose quotient changes."""
    n_tokens, n_channels = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1]
    channel, at = address % n_channels, t.acts[h, SUMS_AT]
    s.sums[at + channel] += payload
    new = quotient(s.sums[at + channel], n_tokens, t.acts[h, NUMBERS + 2], t.acts[h, NUMBERS + 3], s.x.dtype.type(0))
    s.scratch[0] = new - s.sums[at + n_channels + channel]
    s.sums[at + n_channels + channel] = new
    s.counts[h, ACS] += 1
    s.counts[h, UNIT_ACS] += abs(payload)
    s.counts[h, SCALINGS] += 1
    s.counts[h, STATE_READS] += 1
    s.counts[h, STATE_WRITES] += 1
    spread(h, 0, channel, s.scratch, 0, 1, t, s)


@kernel(error_model="numpy", forceinline=True)
def count_branch(h, port, s):
    """A sum of streams adds each event of its branch."""
    if port == 1:
        s.counts[h, RESIDUAL_ADDS] += 1
        s.counts[h, STATE_READS] += 1
        s.counts[h, STATE_WRITES] += 1
