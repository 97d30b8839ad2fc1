"""Slow, obvious twins of the general handlers: dense arrays, one index after the other. See `tests.naive`."""

from __future__ import annotations

import numpy as np

from evsim.engine.ledger import OpCounts


def view(x, source_of):
    """Flat x, seen through a pull map; 0 where nothing comes."""
    return np.array([x[source] if source >= 0 else 0 for source in source_of], x.dtype)


def mask(left, right, left_of, right_of):
    """Flat whole-number operands -> their product on the result's places, counts.

    Tested are the places of one operand: of the one that is not spread where the other is, else of the one that
    reaches fewer places.
    """
    first, second = view(left, left_of), view(right, right_of)
    n_first, n_second = np.count_nonzero(first), np.count_nonzero(second)
    if not left.any() or not right.any():
        return first * 0, OpCounts()
    spread = [max(np.bincount(of[of >= 0], minlength=1)) > 1 for of in (left_of, right_of)]
    is_first = n_first <= n_second if spread[0] == spread[1] else spread[1]
    n_tests, n_marks = (n_first, np.count_nonzero(right)) if is_first else (n_second, np.count_nonzero(left))
    products = [(int(a), int(b)) for a, b in zip(first, second, strict=True) if abs(a) > 1 and abs(b) > 1]
    return first * second, OpCounts(
        event_acs=len(products),
        acs=sum(min(abs(a), abs(b)) for a, b in products),
        graded_acs=len(products),
        masks=n_tests,
        state_reads=n_tests,
        state_writes=n_marks,
    )


def and_not(kept, absent, kept_of, absent_of):
    """Flat operands -> kept where absent is zero, counts."""
    moved, holes = view(kept, kept_of), view(absent, absent_of)
    if not kept.any() or not absent.any():
        return moved, OpCounts()
    n = np.count_nonzero(moved)
    counts = OpCounts(masks=n, state_reads=n, state_writes=np.count_nonzero(absent))
    return np.where(holes == 0, moved, 0), counts


def added(values, n_links):
    """The counts of so many links of each event: additions, units, graded ones."""
    values, n_links = np.asarray(values, np.int64), np.asarray(n_links, np.int64)
    is_event = values != 0
    n = int((n_links * is_event).sum())
    graded = int((n_links * (is_event & (values != 1))).sum())
    return OpCounts(
        event_acs=n,
        acs=int((n_links * abs(values)).sum()),
        graded_acs=graded,
        state_reads=n,
        state_writes=n,
    )


def axis_sum(x, target_of, n_outputs):
    """Flat x -> sums [n_outputs], reached [n_outputs], counts."""
    total, reached = np.zeros(n_outputs, np.int64), np.zeros(n_outputs, bool)
    for value, target in zip(x, target_of, strict=True):
        if target >= 0 and value:
            total[target] += value
            reached[target] = True
    return total, reached, added(x, target_of >= 0)


def fixed_map(x, weight):
    """x [n_sources, n_channels], weight [n_targets, n_sources] -> values, reached targets, n_links of each place."""
    value = weight @ x.astype(np.float64)
    reached = ((weight != 0) @ (x != 0).any(axis=1).astype(int)) > 0
    return value, reached, np.repeat((weight != 0).sum(axis=0)[:, None], x.shape[1], axis=1)


def average_matrix(taps, shape):
    """[n_targets, n_sources] of 0 and 1, from the taps of rows and of columns."""
    rows, columns = taps
    weight = np.zeros((len(rows), len(columns), *shape))
    for y, in_rows in enumerate(rows):
        for x, in_columns in enumerate(columns):
            for i in in_rows:
                for j in in_columns:
                    weight[y, x, i, j] += 1
    return weight.reshape(len(rows) * len(columns), -1)


def payload_max_pool(x, taps):
    """x int [height, width, n_channels] -> [out_height, out_width, n_channels], counts."""
    rows, columns = taps
    out, n = np.zeros((len(rows), len(columns), x.shape[2]), x.dtype), 0
    for y, in_rows in enumerate(rows):
        for i, in_columns in enumerate(columns):
            patch = x[np.ix_(in_rows, in_columns)].reshape(-1, x.shape[2])
            out[y, i] = patch.max(axis=0)
            n += np.count_nonzero(patch)
    return out, OpCounts(comparisons=int(n))


def spike_product(left, right):
    """left [b, i, k], right [b, k, j], whole -> product [b, i, j], counts without scale, rows that were added to."""
    pairs = np.einsum("bik,bkj->bij", (left != 0).astype(np.int64), (right != 0).astype(np.int64))
    units = np.einsum("bik,bkj->", abs(left), abs(right))
    ones = np.einsum("bik,bkj->", (left == 1).astype(np.int64), (right == 1).astype(np.int64))
    ones += np.einsum("bik,bkj->", (left == -1).astype(np.int64), (right == -1).astype(np.int64))
    n, rows = int(pairs.sum()), (pairs.sum(axis=2) > 0)
    counts = OpCounts(event_acs=n, acs=int(units), graded_acs=n - int(ones), state_reads=n, state_writes=n)
    return np.einsum("bik,bkj->bij", left, right), counts, rows


def real_product(spikes, operand, scale):
    """spikes bool [i, b, k], operand [b, k, j] -> scaled product [i, b, j] float64, reached [i, b]."""
    value = np.einsum("ibk,bkj->ibj", spikes.astype(np.float64), operand.astype(np.float64))
    return value * np.asarray(scale, np.float64)[:, None], spikes.any(axis=2)
