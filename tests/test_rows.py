"""Rows as vectors: every kernel against its slow twin, at every width, on rows that are longer than what they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.arithmetic import byte_rows, count_rows, tree_rows
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.row_panels import row_width
from tests.contract import needs_jit

SEEDS = st.integers(0, 2**32)


@kernel
def sum_rows(rows, first, which, begin, end, origin, sums):
    count_rows.sum_rows(rows, first, which, begin, end, origin, sums)


@kernel
def add_spikes(marks, at, rows, place, width):
    count_rows.add_spikes(marks, at, rows, place, width)


@kernel
def add_amounts(marks, first, stride, which, amount, n, sums):
    count_rows.add_amounts(marks, first, stride, which, amount, n, sums)


@kernel
def sum_by_eight(rows, which, begin, end, total):
    tree_rows.sum_rows_by_eight(rows, which, begin, end, total)


@kernel
def pack(marks, at):
    bits = byte_rows.pack_bytes(marks, at)
    return bits, byte_rows.count_bits(bits)


@needs_jit
@given(SEEDS, st.integers(1, 9), st.integers(0, 20), st.sampled_from([np.uint8, np.int32]), st.integers(0, 3))
def test_sum_of_rows_equals_its_twin(seed, n_vectors, n_events, dtype, origin):
    rng = np.random.default_rng(seed)
    width = row_width(1, dtype) * n_vectors
    rows = rng.integers(0, 9, (7, width)).astype(dtype)
    which, sums = (rng.integers(0, 6, n_events) + origin).astype(np.int32), rng.integers(0, 9, width).astype(dtype)
    expected = sums + rows[1 + which[1:] - origin].sum(axis=0, dtype=dtype)
    twin = sums.copy()
    count_rows._sum_by_row(rows, width, which, 1, n_events, origin, twin)
    sum_rows(rows, width, which, 1, n_events, origin, sums)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(twin, expected)


@needs_jit
@given(SEEDS, st.integers(1, 9), st.integers(0, 30))
def test_a_spike_adds_one_in_its_lane_only(seed, n_vectors, at):
    rng = np.random.default_rng(seed)
    width = 16 * n_vectors
    marks = np.where(rng.random(at + width) < 0.3, count_rows.MARK, 0).astype(np.uint8)
    rows = rng.integers(0, 9, (3, width)).astype(np.int32)
    expected = rows.copy()
    expected[1] += marks[at:] != 0
    twin = rows.copy()
    count_rows._add_spikes_by_row(marks, at, twin, width, width)
    add_spikes(marks, at, rows, width, width)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(twin, expected)


@needs_jit
@given(SEEDS, st.integers(1, 9), st.integers(0, 12), st.sampled_from([np.uint8, np.int32]))
def test_an_amount_passes_where_bytes_are_marked(seed, n_vectors, n, dtype):
    rng = np.random.default_rng(seed)
    width, stride, first = 16 * n_vectors, 21, 5
    marks = np.where(rng.random(first + 12 * stride + width) < 0.3, count_rows.MARK, 0).astype(np.uint8)
    amount, which = rng.integers(1, 200, 12).astype(dtype), rng.permutation(12)[:n].astype(np.int32)
    sums = rng.integers(0, 9, width).astype(np.int32)
    places = first + which[:, None] * stride + np.arange(width)
    expected = sums + ((marks[places] != 0) * amount[which, None].astype(np.int32)).sum(axis=0, dtype=np.int32)
    twin = sums.copy()
    count_rows._add_amounts_by_row(marks, first, stride, which, amount, n, twin)
    add_amounts(marks, first, stride, which, amount, n, sums)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(twin, expected)


@needs_jit
@given(SEEDS, st.integers(1, 5), st.integers(0, 40))
@pytest.mark.parametrize(("dtype", "total"), [(np.float32, np.float32), (np.int32, np.int32), (np.int32, np.int64)])
def test_trees_of_eight_have_the_bits_of_their_twin(dtype, total, seed, n_vectors, n_events):
    rng = np.random.default_rng(seed)
    width = row_width(1, total) * n_vectors
    rows = (1e6 * rng.standard_normal((11, width))).astype(dtype)  # rounded at each addition, so that the order shows
    which = rng.integers(0, 11, n_events + 2).astype(np.int32)
    found, twin = np.full((2, width), 7, total)
    sum_by_eight(rows, which, 1, n_events + 1, found)
    tree_rows._sum_by_tree(rows, which, 1, n_events + 1, twin)
    np.testing.assert_array_equal(found, twin)
    np.testing.assert_allclose(found, rows[which[1:-1]].sum(axis=0, dtype=np.float64), rtol=1e-4, atol=10)


@needs_jit
@given(SEEDS, st.integers(0, 20), st.sampled_from([1, 255]))
def test_marks_become_bits(seed, at, mark):
    is_set = np.random.default_rng(seed).random(at + 64) < 0.4
    marks = np.where(is_set, mark, 0).astype(np.uint8)
    bits, n = pack(marks, at)
    assert bits == byte_rows._pack_by_byte(marks, at) == sum(int(x) << i for i, x in enumerate(is_set[at:]))
    assert n == byte_rows._count_by_bit(bits) == is_set[at:].sum()
