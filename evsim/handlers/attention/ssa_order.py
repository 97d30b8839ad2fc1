"""What either order of spiking self-attention's products would cost, known exactly before anything is multiplied.

Operands come as compressed rows, see `index_by_pixel`, with a row for each token and head.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel

__all__ = ["count_meetings", "keep_keys"]


@kernel(error_model="numpy")
def keep_keys(shape, q_start, q_channel, k_start, k_channel, v_start, start, channel):
    """Copy the key events that meet a value and a query; count pairs and rows of both orders.

    Parameters
    ----------
    shape : (int, int, int)
        n_tokens, n_heads, channels of a head.
    start, channel : int32
        Set: the keys that were kept.

    Returns
    -------
    kv_pairs, qk_pairs, row_adds : int
        Pairs of K^T V and of Q K^T, and additions of whole rows of K^T V.
    """
    n_tokens, n_heads, n = shape
    n_queries = np.zeros((n_heads, n), np.int64)
    has_key = np.zeros((n_heads, n), np.uint8)
    for group in range(n_tokens * n_heads):
        of_channel = n_queries[group % n_heads]
        for event in range(q_start[group], q_start[group + 1]):
            of_channel[np.uint32(q_channel[event])] += 1
    kept = np.int64(0)
    kv_pairs, qk_pairs = np.int64(0), np.int64(0)
    for group in range(n_tokens * n_heads):
        start[group] = kept
        n_values = v_start[group + 1] - v_start[group]
        if n_values == 0:
            continue
        of_channel, has_one, before = n_queries[group % n_heads], has_key[group % n_heads], kept
        for event in range(k_start[group], k_start[group + 1]):
            i = np.uint32(k_channel[event])
            is_met = of_channel[i] > 0
            channel[kept] = i  # stays where `kept` moves on
            has_one[i] |= is_met
            qk_pairs += of_channel[i]
            kept += is_met
        kv_pairs += (kept - before) * n_values
    start[n_tokens * n_heads] = kept
    row_adds = 0
    for head in range(n_heads):
        for i in range(n):
            row_adds += has_key[head, i] * n_queries[head, i] * n
    return kv_pairs, qk_pairs, row_adds


@kernel(error_model="numpy", forceinline=True)
def _pack(channel, event, end, word):
    """The bits of the events from `event` on that lie in one word of 64 channels, and the first event behind it."""
    bits, stop = np.uint64(0), 64 * (word + 1)
    while event < end and channel[event] < stop:
        bits |= np.uint64(1) << np.uint64(channel[event] & 63)
        event += 1
    return bits, event


@kernel(error_model="numpy", forceinline=True)
def _pack_keys(shape, head, k_start, k_channel, v_start, key_bits, n_values):
    """The words of the tokens of a head that hold a key, and their values; returns how many tokens they are."""
    n_tokens, n_heads, _ = shape
    n_keys = 0
    for token in range(n_tokens):
        group = token * n_heads + head
        event, end = k_start[group], k_start[group + 1]
        if event < end:
            for word in range(key_bits.shape[0]):
                key_bits[word, n_keys], event = _pack(k_channel, event, end, word)
            n_values[n_keys] = v_start[group + 1] - v_start[group]
            n_keys += 1
    return n_keys


@kernel(error_model="numpy", forceinline=True)
def _sum_where(bits, words, values, n):
    total = np.int64(0)
    for m in range(n):
        total += values[m] if bits & words[m] else 0
    return total


@kernel(error_model="numpy", forceinline=True)
def _meet_query(q_channel, event, end, n_keys, key_bits, n_values, common):
    """Values behind the keys that share a channel with one query; words of the query that hold one."""
    total, n_used = np.int64(0), 0
    common[:n_keys] = 0
    for word in range(key_bits.shape[0]):
        bits, event = _pack(q_channel, event, end, word)
        if bits:
            for m in range(n_keys):
                common[m] |= bits & key_bits[word, m]
            n_used += 1
    for m in range(n_keys):
        total += n_values[m] if common[m] else 0
    return total, n_used


@kernel(error_model="numpy")
def count_meetings(shape, q_start, q_channel, k_start, k_channel, v_start):
    """Values behind the nonzero entries of Q K^T, found 64 channels at a time without multiplying; ANDs of words."""
    n_tokens, n_heads, n = shape
    key_bits = np.empty(((n + 63) // 64, n_tokens), np.uint64)
    n_values = np.empty(n_tokens, np.int64)
    common = np.empty(n_tokens, np.uint64)
    total, n_ands = np.int64(0), np.int64(0)
    for head in range(n_heads):
        n_keys = _pack_keys(shape, head, k_start, k_channel, v_start, key_bits, n_values)
        if n_keys == 0:
            continue
        for token in range(n_tokens):
            event, end = q_start[token * n_heads + head], q_start[token * n_heads + head + 1]
            if event == end:
                continue
            if key_bits.shape[0] == 1:
                bits, _ = _pack(q_channel, event, end, 0)
                total += _sum_where(bits, key_bits[0], n_values, n_keys)
                n_ands += n_keys
            else:
                met, n_used = _meet_query(q_channel, event, end, n_keys, key_bits, n_values, common)
                total += met
                n_ands += n_used * n_keys
    return total, n_ands
