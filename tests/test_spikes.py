import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evsim.engine.spikes import Spikes
from tests.contract import check_spikes

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)
FLOATS = st.floats(-(2.0**40), 2.0**40)


@given(hnp.arrays(bool, SHAPES))
def test_a_binary_map_survives_the_round_trip(dense):
    spikes = Spikes.from_dense(dense)
    check_spikes(spikes, dense.size)
    assert spikes.payload is None
    assert len(spikes) == dense.sum()
    np.testing.assert_array_equal(spikes.to_dense(dense.size), dense.reshape(-1))


@given(hnp.arrays(np.int32, SHAPES, elements=st.integers(-5, 5)))
def test_counts_survive_the_round_trip(dense):
    spikes = Spikes.from_dense(dense)
    check_spikes(spikes, dense.size)
    assert (spikes.payload is None) == bool(np.isin(dense, [0, 1]).all())
    assert spikes.to_dense(dense.size).dtype == np.int32
    np.testing.assert_array_equal(spikes.to_dense(dense.size), dense.reshape(-1))


@given(hnp.arrays(np.float64, SHAPES, elements=FLOATS))
def test_real_values_survive_the_round_trip_in_float32(dense):
    spikes = Spikes.from_dense(dense)
    check_spikes(spikes, dense.size)
    np.testing.assert_array_equal(spikes.to_dense(dense.size), dense.reshape(-1).astype(np.float32))


def test_a_value_that_vanishes_in_float32_is_no_event():
    assert len(Spikes.from_dense(np.array([1e-60, 0.5]))) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
def test_whole_numbers_of_any_type_become_integer_payloads(dtype):
    spikes = Spikes.from_dense(np.array([0, 3, 1], dtype))
    assert spikes.payload.dtype == np.int32
    assert (spikes.address.tolist(), spikes.payload.tolist()) == ([1, 2], [3, 1])


def test_address_is_row_then_column_then_channel():
    dense = np.zeros((4, 5, 3))
    dense[2, 1, 2] = 1
    assert Spikes.from_dense(dense).address.tolist() == [(2 * 5 + 1) * 3 + 2]


def test_no_spikes_is_an_empty_shared_object():
    assert len(Spikes.none()) == 0
    assert Spikes.none() is Spikes.none()
    check_spikes(Spikes.none(), 1)
