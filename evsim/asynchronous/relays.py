"""Relays: what acts inside a delivery, without neurons of its own: pools, dilations, AND, gates, sums of streams."""

from __future__ import annotations

from evsim.asynchronous.columns import (
    ACS,
    COMPARISONS,
    EVENT_ACS,
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
)
from evsim.asynchronous.loop_kernel import loop_kernel
from evsim.asynchronous.settle import quotient
from evsim.asynchronous.spread import spread

__all__ = ["coincide", "dilate", "mean_spikes", "pass_gate", "pass_on", "pool", "sum_places"]


@loop_kernel(error_model="numpy", forceinline=True)
def pass_on(h, address, payload, m):
    """Handler h sends a spike of its own, within this delivery: after those that it sent before."""
    n = m.now[N_RELAYED]
    m.relayed[n * 3], m.relayed[n * 3 + 1], m.relayed[n * 3 + 2] = h, address, payload
    m.now[N_RELAYED] += 1
    m.acts[h + EVENTS_OUT] += 1


@loop_kernel(error_model="numpy", forceinline=True)
def _mark_and_pass(h, place, m):
    mark = m.acts[h + MARKS_AT] + place
    m.acts[h + COMPARISONS] += 1
    if m.marks[mark] == 0:
        m.marks[mark] = 1
        pass_on(h, place, 1, m)


@loop_kernel(error_model="numpy")
def pool(h, address, m):
    """The first spike of each window that the address lies in passes."""
    n_channels, width = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 2]
    out_height, out_width = m.acts[h + NUMBERS + 3], m.acts[h + NUMBERS + 4]
    size, stride, padding = m.acts[h + NUMBERS + 5], m.acts[h + NUMBERS + 6], m.acts[h + NUMBERS + 7]
    pixel, channel = address // n_channels, address % n_channels
    y, x = pixel // width + padding, pixel % width + padding
    for y_out in range(max(0, (y - size + stride) // stride), min(out_height - 1, y // stride) + 1):
        for x_out in range(max(0, (x - size + stride) // stride), min(out_width - 1, x // stride) + 1):
            _mark_and_pass(h, (y_out * out_width + x_out) * n_channels + channel, m)


@loop_kernel(error_model="numpy")
def dilate(h, address, m):
    """The first spike that reaches a neighbouring token or channel of the head passes there."""
    n_places, n_channels, head_channels = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    within = address % head_channels
    for token_shift in range(-1, 2):
        moved = address + token_shift * n_channels
        if moved < 0 or moved >= n_places:
            continue
        for channel_shift in range(-1, 2):
            if 0 <= within + channel_shift < head_channels:
                _mark_and_pass(h, moved + channel_shift, m)


@loop_kernel(error_model="numpy")
def coincide(h, port, address, m):
    """Passes if the other operand is there already."""
    n, at = m.acts[h + NUMBERS], m.acts[h + MARKS_AT]
    own, other = at + port * n + address, at + (1 - port) * n + address
    if m.marks[own]:
        return
    m.marks[own] = 1
    m.acts[h + MASKS] += 1
    m.acts[h + STATE_READS] += 1
    m.acts[h + STATE_WRITES] += 1
    if m.marks[other]:
        pass_on(h, address, 1, m)


@loop_kernel(error_model="numpy")
def pass_gate(h, port, address, m):
    """Port 0: an event passes where its gate is open, else it waits. Port 1: a gate opens, and what waited passes."""
    n_gates, width, at = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + MARKS_AT]
    n_members, stride = m.acts[h + NUMBERS + 2], m.acts[h + NUMBERS + 3]
    gates = at + n_gates * n_members
    if port == 0:
        if m.marks[at + address]:
            return
        m.marks[at + address] = 1
        m.acts[h + MASKS] += 1
        m.acts[h + STATE_READS] += 1
        m.acts[h + STATE_WRITES] += 1
        if m.marks[gates + address // width % n_gates]:
            pass_on(h, address, 1, m)
    elif m.marks[gates + address] == 0:
        m.marks[gates + address] = 1
        m.acts[h + STATE_READS] += n_members
        m.acts[h + STATE_WRITES] += 1
        for member in range(n_members):
            place = address * width + member * stride
            if m.marks[at + place]:
                m.acts[h + MASKS] += 1
                pass_on(h, place, 1, m)


@loop_kernel(error_model="numpy")
def sum_places(h, address, m):
    """One to the membrane of the place's sum."""
    m.scratch[0] = m.acts[h + NUMBERS + 2]
    m.acts[h + EVENT_ACS] += 1
    m.acts[h + ACS] += 1
    target = address // m.acts[h + NUMBERS + 1] % m.acts[h + NUMBERS]
    n_channels = m.acts[h + NUMBERS + 3]
    spread(h, target // n_channels, target % n_channels, m.scratch, 0, 1, m)


@loop_kernel(error_model="numpy")
def mean_spikes(h, address, payload, m):
    """The event to its column, whose quotient changes."""
    n_tokens, n_channels = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1]
    channel, at = address % n_channels, m.acts[h + SUMS_AT]
    m.sums[at + channel] += payload
    new = quotient(m.sums[at + channel], n_tokens, m.acts[h + NUMBERS + 2], m.acts[h + NUMBERS + 3], m.zero)
    m.scratch[0] = new - m.sums[at + n_channels + channel]
    m.sums[at + n_channels + channel] = new
    m.acts[h + EVENT_ACS] += 1
    m.acts[h + ACS] += abs(payload)
    m.acts[h + SCALINGS] += 1
    m.acts[h + STATE_READS] += 1
    m.acts[h + STATE_WRITES] += 1
    spread(h, 0, channel, m.scratch, 0, 1, m)


@loop_kernel(error_model="numpy", forceinline=True)
def count_branch(h, port, m):
    """A sum of streams adds each event of its branch."""
    if port == 1:
        m.acts[h + RESIDUAL_ADDS] += 1
        m.acts[h + STATE_READS] += 1
        m.acts[h + STATE_WRITES] += 1
