"""Sums of spike streams: the SEW residual, and the mean over tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.spike_sum import SpikeMean, SpikeSum
from tests import naive
from tests.contract import check_handler, random_spikes

KINDS = ("binary", "integer")
streams = arrays(np.int32, 12, elements=st.integers(-1, 3))


def add(stream, branch):
    inbox = {"stream": Spikes.from_dense(stream), "branch": Spikes.from_dense(branch)}
    return SpikeSum("sum", stream.size).handle(0, {port: spikes for port, spikes in inbox.items() if len(spikes)})


@given(streams, streams)
def test_sum_equals_the_slow_twin(stream, branch):
    spikes, counts = add(stream, branch)
    expected, expected_counts = naive.spike_sum(stream, branch)
    np.testing.assert_array_equal(spikes.to_dense(stream.size), expected)
    assert counts == expected_counts
    assert spikes.address.dtype == np.int32
    assert (np.diff(spikes.address) > 0).all()
    assert spikes.payload is None or (spikes.payload != 0).all()


def test_sum_obeys_the_contract(rng):
    streams = [{port: random_spikes(rng, 24, 0.4, kind) for port in ("stream", "branch")} for kind in KINDS]
    check_handler(lambda: SpikeSum("sum", 24), [*streams, None, {"branch": streams[0]["branch"]}])


def test_mean_obeys_the_contract(rng):
    streams = [{"spikes": random_spikes(rng, 24, 0.4, kind)} for kind in KINDS]
    check_handler(lambda: SpikeMean("mean", 6, Current(1, 4)), [*streams, None])


def test_a_mean_into_several_places_is_refused():
    with pytest.raises(NetworkError, match="mean: sums tokens into one place, its current has 2"):
        SpikeMean("mean", 6, Current(2, 4))


def test_spikes_that_do_not_meet_stay_binary():
    spikes, _ = add(np.array([1, 0, 0]), np.array([0, 0, 1]))
    assert spikes.payload is None


def test_spikes_that_meet_have_value_two():
    spikes, counts = add(np.array([1, 1, 0]), np.array([0, 1, 0]))
    np.testing.assert_array_equal(spikes.payload, [1, 2])
    assert counts.residual_adds == 1


def test_a_silent_branch_costs_nothing():
    stream = Spikes(np.array([3], np.int32), np.array([2], np.int32))
    spikes, counts = SpikeSum("sum", 8).handle(0, {"stream": stream})
    assert spikes is stream
    assert counts == OpCounts()


@given(arrays(np.int32, (5, 3), elements=st.integers(-1, 3)))
def test_mean_equals_the_slow_twin(x):
    current = Current(1, 3)
    _, counts = SpikeMean("mean", 5, current).handle(0, {"spikes": Spikes.from_dense(x)})
    expected, expected_counts = naive.spike_mean(x)
    np.testing.assert_array_equal(current.rows(0).value[0], expected.astype(np.float32))
    assert counts == expected_counts
