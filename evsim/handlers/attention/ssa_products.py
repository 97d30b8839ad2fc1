"""The two orders of spiking self-attention's products, on operands as compressed rows (see `ssa_order`)."""

from __future__ import annotations

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.count_rows import add_amounts, add_to_rows, sum_rows
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.row_panels import row_width
from evsim.arithmetic.whole_lanes import scaled

__all__ = ["Scratch", "multiply_keys_and_values_first", "multiply_queries_and_keys_first"]

_MOST_CHANNELS = 255
"""Channels of a head whose coincidences fit a byte."""
_PAIRS_OF_A_ROW = 24
"""Places of a row of bytes that are added in the time of one pair by itself."""


class Scratch:
    """Memory of the products, all zero between calls.

    Parameters
    ----------
    n_tokens, n : int
        n: channels of a head.

    Attributes
    ----------
    most_by_pair : int
        Pairs of one query token and head, at most, that are added one by one; of more, rows of the keys' bytes are.
    """

    def __init__(self, n_tokens: int, n: int) -> None:
        width = row_width(n)
        self.product = lanes.aligned_zeros((n, width), np.int32)
        self.row, self.sums = (lanes.aligned_zeros((width,), np.int32) for _ in range(2))
        self.masks = lanes.aligned_zeros((n_tokens, width), np.int32)
        kind = np.uint8 if n <= _MOST_CHANNELS else np.int32
        self.keys = lanes.aligned_zeros((n, row_width(n_tokens, kind)), kind)
        self.entries = lanes.aligned_zeros((self.keys.shape[1],), kind)
        self.most_by_pair = self.entries.size // _PAIRS_OF_A_ROW if n <= _MOST_CHANNELS else n_tokens * n


@kernel(error_model="numpy", forceinline=True)
def _write_output(scale, sums, target):
    """target += scale * sums; the sums are cleared."""
    for j in range(target.size):
        target[j] += scaled(scale, sums[j])
    sums[:] = 0


@kernel(error_model="numpy", forceinline=True)
def _multiply_keys(shape, head, k_start, k_channel, v_start, v_channel, row, product, has_entry):
    """product = K^T V of a head: a row of values is added to the row of each key of its token; returns the pairs."""
    n_tokens, n_heads, _ = shape
    n_pairs = np.int64(0)
    for token in range(n_tokens):
        group = token * n_heads + head
        first, end = np.int64(k_start[group]), np.int64(k_start[group + 1])
        if first == end:
            continue
        v_first, v_end = v_start[group], v_start[group + 1]
        for event in range(v_first, v_end):
            row[v_channel[event]] = 1
        add_to_rows(row, k_channel, first, end, product)
        for event in range(v_first, v_end):
            row[v_channel[event]] = 0
        for event in range(first, end):
            has_entry[k_channel[event]] = 1
        n_pairs += (end - first) * (v_end - v_first)
    return n_pairs


@kernel(error_model="numpy")
def multiply_keys_and_values_first(
    shape, q_start, q_channel, k_start, k_channel, v_start, v_channel, scale, product, row, sums, value, touched
):  # fmt: skip
    """Q (K^T V): the rows of the product that the queries of a token name are summed in registers.

    Returns the pairs, additions of rows (channel by channel), words read and outputs written.
    """
    n_tokens, n_heads, n = shape
    has_entry = np.zeros(n, np.uint8)
    listed = np.empty(n, np.int32)
    n_pairs, n_added, n_written = np.int64(0), np.int64(0), np.int64(0)
    for head in range(n_heads):
        pairs = _multiply_keys(shape, head, k_start, k_channel, v_start, v_channel, row, product, has_entry)
        if pairs == 0:
            continue
        n_pairs += pairs
        is_full = np.all(has_entry)
        for token in range(n_tokens):
            group = token * n_heads + head
            first, end = np.int64(q_start[group]), np.int64(q_start[group + 1])
            if is_full:
                n_rows = end - first
                sum_rows(product, q_channel, first, end, sums)
            else:
                n_rows = np.int64(0)
                for event in range(first, end):
                    listed[n_rows] = q_channel[event]  # stays where n_rows moves on
                    n_rows += has_entry[q_channel[event]]
                sum_rows(product, listed, np.int64(0), n_rows, sums)
            if n_rows:
                _write_output(scale, sums, value[token, head * n : (head + 1) * n])
                touched[token] = 1
                n_added += n_rows * n
                n_written += n
        has_entry[:] = 0
        product[:] = 0
    return n_pairs, n_added, n_added, n_written


@kernel(error_model="numpy")
def _list_by_channel(shape, head, k_start, k_channel, start, token_of):
    """The tokens that hold each key channel of one head: ``token_of[start[i]:start[i + 1]]``."""
    n_tokens, n_heads, n = shape
    start[:] = 0
    for token in range(n_tokens):
        group = token * n_heads + head
        for event in range(k_start[group], k_start[group + 1]):
            start[k_channel[event] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    filled = start[:n].copy()
    for token in range(n_tokens):
        group = token * n_heads + head
        for event in range(k_start[group], k_start[group + 1]):
            i = k_channel[event]
            token_of[filled[i]] = token
            filled[i] += 1


@kernel(error_model="numpy", forceinline=True)
def _spread_head(shape, head, k_start, k_channel, v_start, v_channel, one, all_bits, keys, masks):
    """Write K^T of a head as rows of ones, and V as masks, of the tokens that hold a key; with zeros: clear them."""
    n_tokens, n_heads, _ = shape
    for token in range(n_tokens):
        group = token * n_heads + head
        first, end = k_start[group], k_start[group + 1]
        if first == end:
            continue
        for event in range(first, end):
            keys[k_channel[event], token] = one
        for event in range(v_start[group], v_start[group + 1]):
            masks[token, v_channel[event]] = all_bits


@kernel(error_model="numpy", forceinline=True)
def _add_by_pair(q_channel, first, end, start, token_of, v_start, v_channel, head, n_heads, row, met, sums):
    """One query token: each pair by itself, then each entry to the values of its token; entries, and additions."""
    n_met, n_added = np.int64(0), np.int64(0)
    for event in range(first, end):
        for other in range(start[q_channel[event]], start[q_channel[event] + 1]):
            m = token_of[other]
            met[n_met] = m  # stays where n_met moves on
            n_met += row[m] == 0
            row[m] += 1
    for entry in range(n_met):
        m = met[entry]
        amount = row[m]
        row[m] = 0
        v_first, v_end = v_start[m * n_heads + head], v_start[m * n_heads + head + 1]
        for event in range(v_first, v_end):
            sums[v_channel[event]] += amount
        n_added += v_end - v_first
    return n_met, n_added


@kernel(error_model="numpy", forceinline=True)
def _add_by_row(q_channel, first, end, keys, masks, v_start, head, n_heads, row, met, sums):
    """The same with the rows that `_spread_head` wrote."""
    n_added = np.int64(0)
    sum_rows(keys, q_channel, first, end, row)
    n_met = lanes.list_nonzero(row, masks.shape[0], np.int64(0), met, np.int64(0))
    add_amounts(masks, met, row, n_met, sums)
    for entry in range(n_met):
        group = met[entry] * n_heads + head
        n_added += v_start[group + 1] - v_start[group]
    row[:] = 0
    return n_met, n_added


@kernel(error_model="numpy")
def multiply_queries_and_keys_first(
    shape, q_start, q_channel, k_start, k_channel, v_start, v_channel, scale,
    keys, row, masks, sums, most_by_pair, value, touched,
):  # fmt: skip
    """(Q K^T) V: a row of the product from the keys of each query's channel, then its entries where values are.

    Returns the pairs, additions of entries, entries read and outputs written.
    """
    n_tokens, n_heads, n = shape
    start = np.empty(n + 1, np.int64)
    token_of = np.empty(k_channel.size, np.int32)
    met = np.empty(n_tokens + 1 + lanes.LANES, np.int32)
    n_pairs, n_added, n_read, n_written = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for head in range(n_heads):
        _list_by_channel(shape, head, k_start, k_channel, start, token_of)
        if start[n] == 0:
            continue
        is_spread = False
        for token in range(n_tokens):
            group = token * n_heads + head
            first, end = np.int64(q_start[group]), np.int64(q_start[group + 1])
            pairs = np.int64(0)
            for event in range(first, end):
                pairs += start[q_channel[event] + 1] - start[q_channel[event]]
            if pairs == 0:
                continue
            if pairs <= most_by_pair:
                n_met, added = _add_by_pair(
                    q_channel, first, end, start, token_of, v_start, v_channel, head, n_heads, row, met, sums
                )
            else:
                if not is_spread:
                    _spread_head(shape, head, k_start, k_channel, v_start, v_channel, 1, -1, keys, masks)
                    is_spread = True
                n_met, added = _add_by_row(q_channel, first, end, keys, masks, v_start, head, n_heads, row, met, sums)
            _write_output(scale, sums, value[token, head * n : (head + 1) * n])
            touched[token] = 1
            n_pairs += pairs
            n_added += added
            n_read += n_met
            n_written += n
        if is_spread:
            _spread_head(shape, head, k_start, k_channel, v_start, v_channel, 0, 0, keys, masks)
    return n_pairs, n_added, n_read, n_written
