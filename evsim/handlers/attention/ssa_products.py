"""The two orders of spiking self-attention's products, on operands that `plan_order` has indexed."""

from __future__ import annotations

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.count_rows import add_amounts, add_spikes, sum_rows
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole_lanes import scaled
from evsim.handlers.attention.ssa_order import clear_marks

__all__ = ["multiply_keys_and_values_first", "multiply_queries_and_keys_first"]


@kernel(error_model="numpy", forceinline=True)
def _write_output(scale, sums, target):
    """target += scale * sums; the sums are cleared."""
    for j in range(target.size):
        target[j] += scaled(scale, sums[j])
    sums[:] = 0


@kernel(error_model="numpy")
def _multiply_keys(shape, kept, v_start, v_marks, product):
    """product = K^T V of all heads: each key adds the values of its group to the row of its channel; the pairs."""
    _, n_heads, n = shape
    n_columns, width, share = n_heads * n, product.shape[1], 1.0 / n
    n_pairs, first = np.int64(0), np.int64(0)
    product[:] = 0
    for event in range(kept.size):
        place = kept[event]
        while place >= first + n_columns:
            first += n_columns
        group = np.int64((place + 0.5) * share)  # exact: half a place is more than the rounding
        add_spikes(v_marks, group * n, product, (place - first) * width, width)
        n_pairs += v_start[group + 1] - v_start[group]
    return n_pairs


@kernel(error_model="numpy")
def multiply_keys_and_values_first(
    shape, q, q_start, kept, v, v_start, v_marks, n_keys, product, sums, scale, value, touched
):  # fmt: skip
    """Q (K^T V): the rows of the product that the queries of a token name are summed in registers.

    Returns the pairs, additions of rows (channel by channel), words read and outputs written.
    """
    n_tokens, n_heads, n = shape
    listed = np.empty(n + 1, np.int32)
    n_pairs = _multiply_keys(shape, kept, v_start, v_marks, product)
    n_added, n_written = np.int64(0), np.int64(0)
    for head in range(n_heads):
        of_channel, first_row = n_keys[head * n : (head + 1) * n], head * n * product.shape[1]
        n_listed = np.int64(0)
        for i in range(n):
            n_listed += of_channel[i] != 0
        for token in range(n_tokens):
            group = token * n_heads + head
            begin, end, origin = q_start[group], q_start[group + 1], group * n
            if n_listed == n:
                n_rows = end - begin
                sum_rows(product, first_row, q, begin, end, origin, sums)
            else:
                n_rows = np.int64(0)
                for event in range(begin, end):
                    listed[n_rows] = q[event]  # stays where n_rows moves on
                    n_rows += of_channel[np.uint32(q[event] - origin)] != 0
                sum_rows(product, first_row, listed, np.int64(0), n_rows, origin, sums)
            if n_rows:
                _write_output(scale, sums, value[token, head * n : (head + 1) * n])
                touched[token] = 1
                n_added += n_rows * n
                n_written += n
    clear_marks(v, v_marks)
    return n_pairs, n_added, n_added, n_written


@kernel(error_model="numpy")
def _list_by_column(kept, n_columns, n_keys, start, token_of, keys):
    """The tokens that hold a key of each channel: ``token_of[start[i]:start[i + 1]]``, and as rows of marks."""
    filled, n = np.empty(n_columns, np.int64), np.int64(0)
    for column in range(n_columns):
        start[column] = filled[column] = n
        n += n_keys[column]
    start[n_columns] = n
    token, first = 0, np.int64(0)
    for event in range(kept.size):
        while kept[event] >= first + n_columns:
            first += n_columns
            token += 1
        column = np.uint32(kept[event] - first)
        token_of[filled[column]] = token
        filled[column] += 1
        keys[column, token] = 1


@kernel(error_model="numpy")
def _add_by_pair(q, begin, end, shift, start, token_of, v, v_start, head, shape, row, met, sums):
    """One query token: each pair by itself, then each entry to the values of its token; entries, and additions."""
    _, n_heads, n = shape
    n_met, n_added = np.int64(0), np.int64(0)
    for event in range(begin, end):
        column = q[event] - shift
        for other in range(start[column], start[column + 1]):
            m = token_of[other]
            met[n_met] = m  # stays where n_met moves on
            n_met += row[m] == 0
            row[m] += 1
    for entry in range(n_met):
        m = met[entry]
        amount = row[m]
        row[m] = 0
        group = m * n_heads + head
        v_begin, v_end = v_start[group], v_start[group + 1]
        for event in range(v_begin, v_end):
            sums[v[event] - group * n] += amount
        n_added += v_end - v_begin
    return n_met, n_added


@kernel(error_model="numpy")
def _add_by_row(q, begin, end, shift, keys, v_start, v_marks, head, shape, row, met, sums):
    """The same with rows: of the keys' marks, summed, and of the values' marks, which let an entry through."""
    n_tokens, n_heads, n = shape
    n_added = np.int64(0)
    sum_rows(keys, np.int64(0), q, begin, end, shift, row)
    n_met = lanes.list_nonzero(row, n_tokens, np.int64(0), met, np.int64(0))
    add_amounts(v_marks, head * n, n_heads * n, met, row, n_met, sums)
    for entry in range(n_met):
        group = met[entry] * n_heads + head
        n_added += v_start[group + 1] - v_start[group]
    row[:] = 0
    return n_met, n_added


@kernel(error_model="numpy")
def multiply_queries_and_keys_first(
    shape, q, q_start, kept, v, v_start, v_marks, n_keys, keys, row, sums, most_by_pair, scale, value, touched
):  # fmt: skip
    """(Q K^T) V: a row of the product from the keys of each query's channel, then its entries where values are.

    Returns the pairs, additions of entries, entries read and outputs written.
    """
    n_tokens, n_heads, n = shape
    n_columns = n_heads * n
    start = np.empty(n_columns + 1, np.int64)
    token_of = np.empty(kept.size, np.int32)
    met = np.empty(n_tokens + 1 + lanes.LANES, np.int32)
    n_pairs, n_added, n_read, n_written = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    _list_by_column(kept, n_columns, n_keys, start, token_of, keys)
    for token in range(n_tokens):
        shift = token * n_columns
        for head in range(n_heads):
            begin, end = q_start[token * n_heads + head], q_start[token * n_heads + head + 1]
            pairs = np.int64(0)
            for event in range(begin, end):
                pairs += n_keys[np.uint32(q[event] - shift)]
            if pairs == 0:
                continue
            if pairs <= most_by_pair:
                n_met, added = _add_by_pair(
                    q, begin, end, shift, start, token_of, v, v_start, head, shape, row, met, sums
                )
            else:
                n_met, added = _add_by_row(q, begin, end, shift, keys, v_start, v_marks, head, shape, row, met, sums)
            _write_output(scale, sums, value[token, head * n : (head + 1) * n])
            touched[token] = 1
            n_pairs += pairs
            n_added += added
            n_read += n_met
            n_written += n
    for column in range(n_columns):
        for other in range(start[column], start[column + 1]):
            keys[column, token_of[other]] = 0
    clear_marks(v, v_marks)
    return n_pairs, n_added, n_read, n_written
