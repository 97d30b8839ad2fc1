"""Products of an attention, term by term: a new event adds what it forms with the events that are there already.

    SSA     O[n, j] += scale * q[n, i] k[m, i] v[m, j]       the event completes some of these terms, and adds them
    DSSA    X[n, :] += scale * operand[k, :]                 the operand as it stands; see `settle.change_map`

Every order of the same events gives the same totals, which are those of the synchronous mode. An operand is a set: a
neuron's second spike in a step (only with `refire`) is absorbed.
"""

from __future__ import annotations

from evsim.arithmetic.kernel import kernel
from evsim.asynchronous.columns import (
    ACS,
    BIAS_ADDS,
    FIXED_AT,
    GRADED_ACS,
    HAS_SPIKED,
    MARKS_AT,
    MASKS,
    N_MAP_BIASED,
    NUMBERS,
    SCALINGS,
    STATE_READS,
    STATE_WRITES,
    SUMS_AT,
    UNIT_ACS,
    WEIGHT_READS,
)
from evsim.asynchronous.settle import rescaled_change
from evsim.asynchronous.spread import spread

__all__ = ["multiply", "multiply_map", "prepare_map"]


@kernel(error_model="numpy", forceinline=True)
def _add_values_of(h, n, m, head, values_at, t, s):
    """The pair (query token n, key token m) has met once more: every value of m is added at n."""
    n_heads, d = t.acts[h, NUMBERS + 1], t.acts[h, NUMBERS + 2]
    row, n_added = values_at + (m * n_heads + head) * d, 0
    for j in range(d):
        s.scratch[j] = s.marks[row + j] * t.fixed[t.acts[h, FIXED_AT]]
        n_added += s.marks[row + j]
    s.counts[h, ACS] += 1 + n_added  # one to the entry of Q K^T
    s.counts[h, UNIT_ACS] += 1 + n_added
    s.counts[h, MASKS] += 1
    s.counts[h, STATE_READS] += 1
    s.counts[h, STATE_WRITES] += 1
    if n_added:
        spread(h, n, head * d, s.scratch, 0, d, t, s)


@kernel(error_model="numpy")
def multiply(h, port, address, t, s):
    """An event of q (port 0), k (1) or v (2) of spiking self-attention."""
    n_tokens, n_heads, d = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1], t.acts[h, NUMBERS + 2]
    n_places, marks_at, sums_at = n_tokens * n_heads * d, t.acts[h, MARKS_AT], t.acts[h, SUMS_AT]
    q_at, k_at, v_at = marks_at, marks_at + n_places, marks_at + 2 * n_places
    if s.marks[marks_at + port * n_places + address]:
        return
    s.marks[marks_at + port * n_places + address] = 1
    s.counts[h, MASKS] += 1
    s.counts[h, STATE_WRITES] += 1
    token, head, i = address // (n_heads * d), address // d % n_heads, address % d
    met_at = sums_at + head * n_tokens * n_tokens
    if port == 2:
        for n in range(n_tokens):
            met = s.sums[met_at + n * n_tokens + token]
            if met != 0:
                s.scratch[0] = met * t.fixed[t.acts[h, FIXED_AT]]
                s.counts[h, ACS] += 1
                s.counts[h, UNIT_ACS] += 1
                s.counts[h, GRADED_ACS] += 1 if met != 1 else 0
                s.counts[h, STATE_READS] += 1
                spread(h, n, head * d + i, s.scratch, 0, 1, t, s)
        return
    others_at = k_at if port == 0 else q_at
    for other in range(n_tokens):
        if s.marks[others_at + (other * n_heads + head) * d + i]:
            n, m = (token, other) if port == 0 else (other, token)
            s.sums[met_at + n * n_tokens + m] += 1
            _add_values_of(h, n, m, head, v_at, t, s)


@kernel(error_model="numpy")
def prepare_map(h, t, s):
    """The operand of a dual attention before any event: its bias."""
    n_heads, n_rows, n_columns = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1], t.acts[h, NUMBERS + 2]
    half, transposed, at = t.acts[h, NUMBERS + 3], t.acts[h, NUMBERS + 4], t.acts[h, SUMS_AT]
    d = n_rows if transposed else n_columns
    for head in range(n_heads):
        for row in range(n_rows):
            for column in range(n_columns):
                i = row if transposed else column
                s.sums[at] = t.fixed[t.acts[h, FIXED_AT] + n_heads + (2 * head + half) * d + i]
                at += 1


@kernel(error_model="numpy")
def multiply_map(h, address, t, s):
    """A spike adds the row of the operand that it names, as it stands."""
    n_heads, n_rows, n_columns = t.acts[h, NUMBERS], t.acts[h, NUMBERS + 1], t.acts[h, NUMBERS + 2]
    mark = t.acts[h, MARKS_AT] + address
    if s.marks[mark]:
        return
    s.marks[mark] = 1
    token, head, row = address // (n_heads * n_rows), address // n_rows % n_heads, address % n_rows
    operand_at = t.acts[h, SUMS_AT] + (head * n_rows + row) * n_columns
    total_at = t.acts[h, SUMS_AT] + n_heads * n_rows * n_columns + (token * n_heads + head) * n_columns
    for j in range(n_columns):
        old = s.sums[total_at + j]
        s.sums[total_at + j] = old + s.sums[operand_at + j]
        s.scratch[j] = rescaled_change(
            t.fixed[t.acts[h, FIXED_AT] + head], old, s.sums[total_at + j], t.acts[h, NUMBERS + 5]
        )
    if t.acts[h, HAS_SPIKED] == 0:
        t.acts[h, HAS_SPIKED] = 1
        s.counts[h, BIAS_ADDS] += t.acts[h, N_MAP_BIASED]
    s.counts[h, ACS] += n_columns
    s.counts[h, UNIT_ACS] += n_columns
    s.counts[h, SCALINGS] += n_columns
    s.counts[h, WEIGHT_READS] += n_columns
    s.counts[h, STATE_READS] += 2 * n_columns
    s.counts[h, STATE_WRITES] += n_columns
    spread(h, token, head * n_columns, s.scratch, 0, n_columns, t, s)
