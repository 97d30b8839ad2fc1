"""Products of an attention, term by term: a new event adds what it forms with the events that are there already.

    SSA     O[n, j] += scale * q[n, i] k[m, i] v[m, j]       the event completes some of these terms, and adds them
    DSSA    X[n, :] += scale * operand[k, :]                 the operand as it stands; see `settle.change_map`

Every order of the same events gives the same totals, which are those of the synchronous mode. An operand is a set: a
neuron's second spike in a step (only with `refire`) is absorbed.
"""

from __future__ import annotations

from evsim.asynchronous.columns import (
    ACS,
    BIAS_ADDS,
    EVENT_ACS,
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
    WEIGHT_READS,
)
from evsim.asynchronous.loop_kernel import loop_kernel
from evsim.asynchronous.settle import rescaled_change
from evsim.asynchronous.spread import spread

__all__ = ["multiply", "multiply_map", "prepare_map"]


@loop_kernel(error_model="numpy", forceinline=True)
def _add_values_of(h, n, other, head, values_at, m):
    """The pair of query token n and another key token has met once more: every value of that token is added at n."""
    n_heads, d = m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    row, n_added = values_at + (other * n_heads + head) * d, 0
    for j in range(d):
        m.scratch[j] = m.marks[row + j] * m.fixed[m.acts[h + FIXED_AT]]
        n_added += m.marks[row + j]
    m.acts[h + EVENT_ACS] += 1 + n_added  # one to the entry of Q K^T
    m.acts[h + ACS] += 1 + n_added
    m.acts[h + MASKS] += 1
    m.acts[h + STATE_READS] += 1
    m.acts[h + STATE_WRITES] += 1
    if n_added:
        spread(h, n, head * d, m.scratch, 0, d, m)


@loop_kernel(error_model="numpy")
def multiply(h, port, address, m):
    """An event of q (port 0), k (1) or v (2) of spiking self-attention."""
    n_tokens, n_heads, d = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    n_places, marks_at, sums_at = n_tokens * n_heads * d, m.acts[h + MARKS_AT], m.acts[h + SUMS_AT]
    q_at, k_at, v_at = marks_at, marks_at + n_places, marks_at + 2 * n_places
    if m.marks[marks_at + port * n_places + address]:
        return
    m.marks[marks_at + port * n_places + address] = 1
    m.acts[h + MASKS] += 1
    m.acts[h + STATE_WRITES] += 1
    token, head, i = address // (n_heads * d), address // d % n_heads, address % d
    met_at = sums_at + head * n_tokens * n_tokens
    if port == 2:
        for n in range(n_tokens):
            met = m.sums[met_at + n * n_tokens + token]
            if met != 0:
                m.scratch[0] = met * m.fixed[m.acts[h + FIXED_AT]]
                m.acts[h + EVENT_ACS] += 1
                m.acts[h + ACS] += 1
                m.acts[h + GRADED_ACS] += 1 if met != 1 else 0
                m.acts[h + STATE_READS] += 1
                spread(h, n, head * d + i, m.scratch, 0, 1, m)
        return
    others_at = k_at if port == 0 else q_at
    for other in range(n_tokens):
        if m.marks[others_at + (other * n_heads + head) * d + i]:
            query, key = (token, other) if port == 0 else (other, token)
            m.sums[met_at + query * n_tokens + key] += 1
            _add_values_of(h, query, key, head, v_at, m)


@loop_kernel(error_model="numpy")
def prepare_map(h, m):
    """The operand of a dual attention before any event: its bias."""
    n_heads, n_rows, n_columns = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    half, transposed, at = m.acts[h + NUMBERS + 3], m.acts[h + NUMBERS + 4], m.acts[h + SUMS_AT]
    d = n_rows if transposed else n_columns
    for head in range(n_heads):
        for row in range(n_rows):
            for column in range(n_columns):
                i = row if transposed else column
                m.sums[at] = m.fixed[m.acts[h + FIXED_AT] + n_heads + (2 * head + half) * d + i]
                at += 1


@loop_kernel(error_model="numpy")
def multiply_map(h, address, m):
    """A spike adds the row of the operand that it names, as it stands."""
    n_heads, n_rows, n_columns = m.acts[h + NUMBERS], m.acts[h + NUMBERS + 1], m.acts[h + NUMBERS + 2]
    mark = m.acts[h + MARKS_AT] + address
    if m.marks[mark]:
        return
    m.marks[mark] = 1
    token, head, row = address // (n_heads * n_rows), address // n_rows % n_heads, address % n_rows
    operand_at = m.acts[h + SUMS_AT] + (head * n_rows + row) * n_columns
    total_at = m.acts[h + SUMS_AT] + n_heads * n_rows * n_columns + (token * n_heads + head) * n_columns
    for j in range(n_columns):
        old = m.sums[total_at + j]
        m.sums[total_at + j] = old + m.sums[operand_at + j]
        m.scratch[j] = rescaled_change(
            m.fixed[m.acts[h + FIXED_AT] + head], old, m.sums[total_at + j], m.acts[h + NUMBERS + 5]
        )
    if m.acts[h + HAS_SPIKED] == 0:
        m.acts[h + HAS_SPIKED] = 1
        m.acts[h + BIAS_ADDS] += m.acts[h + N_MAP_BIASED]
    m.acts[h + EVENT_ACS] += n_columns
    m.acts[h + ACS] += n_columns
    m.acts[h + SCALINGS] += n_columns
    m.acts[h + WEIGHT_READS] += n_columns
    m.acts[h + STATE_READS] += 2 * n_columns
    m.acts[h + STATE_WRITES] += n_columns
    spread(h, token, head * n_columns, m.scratch, 0, n_columns, m)
