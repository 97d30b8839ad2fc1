"""Settle: what stands between two currents passes on how its result has changed.

A pool of currents, a mean over tokens, a classifier of real values and the map of a dual attention are functions of the
sums so far. After each micro-step only what was touched is worked out again, in the order of the stages, and the change
goes to the readings of the next current; at the end of a step the changes have added up to the synchronous result.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    ACS,
    COMPARISONS,
    EVENT_ACS,
    FIXED_AT,
    MACS,
    MARKS_AT,
    N_COLUMNS,
    N_DIRTY,
    NUMBERS,
    OWNER,
    PLACE_AT,
    SCALINGS,
    STATE_READS,
    STATE_WRITES,
    SUMS_AT,
    WEIGHT_READS,
    X_AT,
)
from evsim.asynchronous.machine import as_value
from evsim.asynchronous.spread import spread

__all__ = ["change_map", "classify", "mean", "pool_currents", "quotient", "rescaled_change"]


def quotient(total, n, by, is_rounded, like):
    """total / n, in whole numbers total * 2^by / n rounded half up; in the type of `like`."""
    if isinstance(like, np.floating):
        return np.float32(total / n)
    n, total = (int(n), int(total) << int(by)) if by >= 0 else (int(n) << -int(by), int(total))
    return (total + n // 2) // n


@overload(quotient, inline="always")
def _choose_quotient(total, n, by, is_rounded, like):
    if isinstance(like, types.Float):
        return lambda total, n, by, is_rounded, like: np.float32(total / n)

    def quotient_whole(total, n, by, is_rounded, like):
        over = n if by >= 0 else n << -by
        value = (total << by if by >= 0 else total) + over // 2
        if over & (over - 1) == 0:  # most maps have 2^k tokens, and a shift is many times faster
            k = 0
            while over >> k > 1:
                k += 1
            return value >> k
        return value // over

    return quotient_whole


def _moved(total, by, like):
    """A sum in the steps of its target, rounded half up; a real one as float32."""
    if isinstance(like, np.floating):
        return np.float32(total)
    return int(total) << int(by) if by >= 0 else (int(total) + (1 << (-int(by) - 1))) >> -int(by)


@overload(_moved, inline="always")
def _choose_moved(total, by, like):
    if isinstance(like, types.Float):
        return lambda total, by, like: np.float32(total)
    return lambda total, by, like: total << by if by >= 0 else (total + (1 << (-by - 1))) >> -by


def rescaled_change(scale, old, new, shift):
    """scale * (new - old); in whole numbers the change of scale * sum / 2^shift, rounded half up."""
    if isinstance(scale, np.floating):
        return np.float32(scale * (new - old))
    half = 1 << (int(shift) - 1)
    return ((int(scale) * int(new) + half) >> int(shift)) - ((int(scale) * int(old) + half) >> int(shift))


@overload(rescaled_change, inline="always")
def _choose_change(scale, old, new, shift):
    if isinstance(scale, types.Float):
        return lambda scale, old, new, shift: np.float32(scale * (new - old))

    def change_whole(scale, old, new, shift):
        half = 1 << (shift - 1)
        return ((scale * new + half) >> shift) - ((scale * old + half) >> shift)

    return change_whole


@kernel(error_model="numpy")
def pool_currents(r, m):
    """The windows of the touched places: only the change of a maximum travels on."""
    h = m.readings[r + OWNER]
    height, width = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1]
    out_height, out_width = m.acts[h + NUMBERS + 2], m.acts[h + NUMBERS + 3]
    size, stride, padding = m.acts[h + NUMBERS + 4], m.acts[h + NUMBERS + 5], m.acts[h + NUMBERS + 6]
    n, x_at, place_at = m.acts[h + N_COLUMNS], m.readings[r + X_AT], m.readings[r + PLACE_AT]
    marks_at, sums_at = m.acts[h + MARKS_AT], m.acts[h + SUMS_AT]
    for k in range(m.readings[r + N_DIRTY]):
        y, x = m.listed[place_at + k] // width + padding, m.listed[place_at + k] % width + padding
        for y_out in range(max(0, (y - size + stride) // stride), min(out_height - 1, y // stride) + 1):
            for x_out in range(max(0, (x - size + stride) // stride), min(out_width - 1, x // stride) + 1):
                m.marks[marks_at + y_out * out_width + x_out] = 1
    for window in range(out_height * out_width):
        if m.marks[marks_at + window] == 0:
            continue
        m.marks[marks_at + window] = 0
        y_begin, x_begin = window // out_width * stride - padding, window % out_width * stride - padding
        y_first, y_end = max(0, y_begin), min(height, y_begin + size)
        x_first, x_end = max(0, x_begin), min(width, x_begin + size)
        first = x_at + (y_first * width + x_first) * n
        for j in range(n):
            m.scratch[j] = m.x[first + j]
        for y in range(y_first, y_end):
            for x in range(x_first, x_end):
                at = x_at + (y * width + x) * n
                for j in range(n):
                    m.scratch[j] = max(m.scratch[j], m.x[at + j])
        for j in range(n):
            best = _moved(m.scratch[j], m.fixed[m.acts[h + FIXED_AT] + j], m.zero)
            m.scratch[j] = best - as_value(m.zero, m.sums[sums_at + window * n + j])
            m.sums[sums_at + window * n + j] = best
        n_values = (y_end - y_first) * (x_end - x_first)
        m.acts[h + COMPARISONS] += (n_values - 1) * n
        m.acts[h + STATE_READS] += n_values * n
        m.acts[h + STATE_WRITES] += n
        spread(h, window, 0, m.scratch, 0, n, m)


@kernel(error_model="numpy")
def mean(r, m):
    """The running mean over tokens of every channel."""
    h = m.readings[r + OWNER]
    n, at = m.acts[h + N_COLUMNS], m.acts[h + SUMS_AT]
    for j in range(n):
        new = quotient(m.sums[at + j], m.acts[h + NUMBERS], m.fixed[m.acts[h + FIXED_AT] + j], 1, m.zero)
        m.scratch[j] = new - as_value(m.zero, m.sums[at + n + j])
        m.sums[at + n + j] = new
    m.acts[h + SCALINGS] += n
    m.acts[h + STATE_READS] += n
    m.acts[h + STATE_WRITES] += n
    spread(h, 0, 0, m.scratch, 0, n, m)


@kernel(error_model="numpy")
def classify(r, m):
    """The values that changed are multiplied, by their change."""
    h = m.readings[r + OWNER]
    n, n_classes, at, x_at = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + SUMS_AT], m.readings[r + X_AT]
    n_changed = 0
    for j in range(n):
        change = m.x[x_at + j] - m.sums[at + 2 * n_classes + j]
        if change != 0:
            m.sums[at + 2 * n_classes + j] = m.x[x_at + j]
            row = m.acts[h + FIXED_AT] + j * n_classes
            for k in range(n_classes):
                m.sums[at + k] += m.fixed[row + k] * change
            n_changed += 1
    for k in range(n_classes):
        new = _moved(m.sums[at + k], m.acts[h + NUMBERS + 2], m.zero)
        m.scratch[k] = new - as_value(m.zero, m.sums[at + n_classes + k])
        m.sums[at + n_classes + k] = new
    macs = n_changed * n_classes
    m.acts[h + MACS] += macs
    m.acts[h + WEIGHT_READS] += macs
    m.acts[h + STATE_READS] += n_changed + n_classes
    m.acts[h + STATE_WRITES] += n_classes
    spread(h, 0, 0, m.scratch, 0, n_classes, m)


@kernel(error_model="numpy")
def change_map(r, m):
    """What an operand has gained acts on every spike that is there: Y1^T X and Y2 A of a dual attention."""
    h = m.readings[r + OWNER]
    n_heads, n_rows, n_columns = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    half, transposed, shift = m.acts[h + NUMBERS + 3], m.acts[h + NUMBERS + 4], m.acts[h + NUMBERS + 5]
    n_tokens, d = m.acts[h + NUMBERS + 6], n_rows if transposed else n_columns
    operand_at, totals_at = m.acts[h + SUMS_AT], m.acts[h + SUMS_AT] + n_heads * n_rows * n_columns
    for k in range(m.readings[r + N_DIRTY]):
        patch = m.listed[m.readings[r + PLACE_AT] + k]
        gained_at = m.readings[r + X_AT] + patch * 2 * d * n_heads
        for head in range(n_heads):
            gained = gained_at + (2 * head + half) * d
            for i in range(d):
                row, column = (i, patch) if transposed else (patch, i)
                m.sums[operand_at + (head * n_rows + row) * n_columns + column] += m.x[gained + i]
            for token in range(n_tokens):
                marks_at = m.acts[h + MARKS_AT] + (token * n_heads + head) * n_rows
                total_at = totals_at + (token * n_heads + head) * n_columns
                if transposed:
                    n_there, total = 0, m.sums[total_at + patch] * 0
                    for i in range(d):
                        n_there += m.marks[marks_at + i]
                        total += m.marks[marks_at + i] * m.x[gained + i]
                    if n_there == 0:
                        continue
                    old = m.sums[total_at + patch]
                    m.sums[total_at + patch] = old + total
                    m.scratch[0] = rescaled_change(m.fixed[m.acts[h + FIXED_AT] + head], old, old + total, shift)
                    _count(h, n_there, 1, m)
                    spread(h, token, head * n_columns + patch, m.scratch, 0, 1, m)
                elif m.marks[marks_at + patch]:
                    for i in range(d):
                        old = m.sums[total_at + i]
                        m.sums[total_at + i] = old + m.x[gained + i]
                        m.scratch[i] = rescaled_change(
                            m.fixed[m.acts[h + FIXED_AT] + head], old, m.sums[total_at + i], shift
                        )
                    _count(h, d, d, m)
                    spread(h, token, head * n_columns, m.scratch, 0, d, m)
        for i in range(2 * d * n_heads):
            m.x[gained_at + i] = 0


@kernel(error_model="numpy", forceinline=True)
def _count(h, n_added, n_scaled, m):
    m.acts[h + EVENT_ACS] += n_added
    m.acts[h + ACS] += n_added
    m.acts[h + SCALINGS] += n_scaled
    m.acts[h + WEIGHT_READS] += n_added
    m.acts[h + STATE_READS] += n_scaled
    m.acts[h + STATE_WRITES] += n_scaled
