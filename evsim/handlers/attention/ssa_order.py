"""What either order of spiking self-attention's products would cost, known exactly before anything is multiplied.

A group is one token of one head. Events are marked as bytes and packed as words, 64 channels of a group each, without
a branch on an event: how many there are in a group cannot be predicted.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.byte_rows import count_bits, pack_bytes
from evsim.arithmetic.count_rows import MARK
from evsim.arithmetic.kernel import kernel

__all__ = ["clear_marks", "plan_order"]


@kernel(error_model="numpy")
def clear_marks(address, marks):
    """Set the marks of the events to zero again."""
    if 64 * address.size > marks.size:
        marks[:] = 0
    else:
        for event in range(address.size):
            marks[np.uint32(address[event])] = 0


@kernel(error_model="numpy")
def _index(address, n, marks, start, bits):
    """Mark the events; the words of each group, and where its events begin."""
    for event in range(address.size):
        marks[np.uint32(address[event])] = MARK
    n_words, n_before = bits.shape[1], np.int64(0)
    last = ~np.uint64(0) >> np.uint64(64 * n_words - n)
    for group in range(bits.shape[0]):
        start[group] = n_before
        for word in range(n_words):
            packed = pack_bytes(marks, group * n + 64 * word)
            packed = packed & last if word == n_words - 1 else packed
            bits[group, word] = packed
            n_before += count_bits(packed)
    start[bits.shape[0]] = n_before


@kernel(error_model="numpy")
def _count_columns(address, n_columns, counts):
    """Events by channel, of all heads."""
    counts[:] = 0
    first = np.int64(0)
    for event in range(address.size):
        while address[event] >= first + n_columns:  # no division: tokens are passed one by one
            first += n_columns
        counts[np.uint32(address[event] - first)] += 1


@kernel(error_model="numpy")
def _keep_words(shape, n_queries, v_start, k_bits):
    """Clear the bits of keys that meet no value or no query; the pairs of K^T V, and the keys that are left."""
    n_tokens, n_heads, n = shape
    has_query = np.zeros((n_heads, k_bits.shape[1]), np.uint64)
    for head in range(n_heads):
        for i in range(n):
            has_query[head, i >> 6] |= np.uint64(n_queries[head * n + i] > 0) << np.uint64(i & 63)
    kv_pairs, n_kept, group = np.int64(0), np.int64(0), np.int64(0)
    for _ in range(n_tokens):
        for head in range(n_heads):
            n_values, kept = v_start[group + 1] - v_start[group], np.int64(0)
            for word in range(k_bits.shape[1]):
                bits = k_bits[group, word] & has_query[head, word] if n_values else np.uint64(0)
                k_bits[group, word] = bits
                kept += count_bits(bits)
            kv_pairs += kept * n_values
            n_kept += kept
            group += 1
    return kv_pairs, n_kept


@kernel(error_model="numpy")
def _keep_events(address, n, k_bits, kept):
    """The events whose bit is set."""
    n_kept, share = np.int64(0), 1.0 / n
    for event in range(address.size):
        place = address[event]
        group = np.int64((place + 0.5) * share)  # exact: half a place is more than the rounding
        i = place - group * n
        kept[n_kept] = place  # stays where n_kept moves on
        n_kept += np.int64(k_bits[group, i >> 6] >> np.uint64(i & 63)) & 1
    return n_kept


@kernel(error_model="numpy", forceinline=True)
def _sum_where(bits, words, values, n):
    total = np.int64(0)
    for m in range(n):
        total += values[m] if bits & words[m] else 0
    return total


@kernel(error_model="numpy")
def _meet_words(query, n_keys, key_bits, n_values, common):
    """Values behind the keys that share a channel with a query of several words; words that hold one."""
    total, n_used = np.int64(0), np.int64(0)
    common[:n_keys] = 0
    for word in range(query.size):
        bits = query[word]
        if bits:
            for m in range(n_keys):
                common[m] |= bits & key_bits[word, m]
            n_used += 1
    for m in range(n_keys):
        total += n_values[m] if common[m] else 0
    return total, n_used


@kernel(error_model="numpy")
def _count_meetings(shape, q_bits, k_bits, v_start):
    """Values behind the nonzero entries of Q K^T, found 64 channels at a time without multiplying; ANDs of words."""
    n_tokens, n_heads, _ = shape
    n_words = k_bits.shape[1]
    key_bits = np.empty((n_words, n_tokens + 1), np.uint64)
    n_values = np.empty(n_tokens + 1, np.int64)
    common = np.empty(n_tokens + 1, np.uint64)
    total, n_ands = np.int64(0), np.int64(0)
    for head in range(n_heads):
        n_keys = np.int64(0)  # key tokens of this head, packed
        for group in range(head, n_tokens * n_heads, n_heads):
            any_bit = np.uint64(0)
            for word in range(n_words):
                key_bits[word, n_keys] = k_bits[group, word]  # stays where n_keys moves on
                any_bit |= k_bits[group, word]
            n_values[n_keys] = v_start[group + 1] - v_start[group]
            n_keys += any_bit != 0
        if n_keys == 0:
            continue
        for group in range(head, n_tokens * n_heads, n_heads):
            if n_words > 1:
                met, n_used = _meet_words(q_bits[group], n_keys, key_bits, n_values, common)
                total += met
                n_ands += n_used * n_keys
            elif q_bits[group, 0]:
                total += _sum_where(q_bits[group, 0], key_bits[0], n_values, n_keys)
                n_ands += n_keys
    return total, n_ands


@kernel(error_model="numpy")
def plan_order(shape, q, k, v, marks, v_marks, q_start, k_start, v_start, q_bits, k_bits, v_bits, n_keys, kept):
    """Index the three operands, set aside the keys that meet nothing, and count what each order would add.

    Parameters
    ----------
    shape : (int, int, int)
        n_tokens, n_heads, channels of a head.
    q, k, v : int32
        Addresses.
    marks, v_marks : uint8 [n_places + 64]
        Zero; `v_marks` keeps the marks of the values, unless no key is left.
    q_start, k_start, v_start : int64 [n_groups + 1]
        Set: where the events of each group begin.
    q_bits, k_bits, v_bits : uint64 [n_groups, n_words]
        Set.
    n_keys : int64 [n_heads * n]
        Set: the keys of each channel that are left.
    kept : int32 [n_events + 1]
        Set: their addresses.

    Returns
    -------
    kv_first, qk_first, n_ands, n_kept : int
        Additions of either order, ANDs of words that it took to know, and keys that are left.
    """
    n_heads, n = shape[1], shape[2]
    n_columns = n_heads * n
    n_queries = np.empty(n_columns, np.int64)
    _index(q, n, marks, q_start, q_bits)
    clear_marks(q, marks)
    _index(k, n, marks, k_start, k_bits)
    clear_marks(k, marks)
    _index(v, n, v_marks, v_start, v_bits)
    _count_columns(q, n_columns, n_queries)
    kv_pairs, n_kept = _keep_words(shape, n_queries, v_start, k_bits)
    if n_kept == 0:
        clear_marks(v, v_marks)
        return np.int64(0), np.int64(0), np.int64(0), n_kept
    if n_kept < k.size:
        _keep_events(k, n, k_bits, kept)
    else:
        for event in range(k.size):  # assigned as a slice it would compile a message about shapes
            kept[event] = k[event]
    _count_columns(kept[:n_kept], n_columns, n_keys)
    qk_pairs, row_adds = np.int64(0), np.int64(0)
    for column in range(n_columns):
        qk_pairs += n_keys[column] * n_queries[column]
        row_adds += n_queries[column] * n if n_keys[column] else 0
    meetings, n_ands = _count_meetings(shape, q_bits, k_bits, v_start)
    return kv_pairs + row_adds, qk_pairs + meetings, n_ands, n_kept
