import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.projections.linear import Linear
from tests import naive
from tests.contract import check_handler, dyadic, random_spikes

KINDS = ["binary", "integer", "real"]


def linear(weight, n_tokens):
    return Linear("fc", weight, None, n_tokens, Current(n_tokens, weight.shape[0]))


def test_a_spike_adds_one_row_of_weights_to_its_own_token():
    layer = linear(np.arange(6.0).reshape(3, 2), n_tokens=4)
    _, counts = layer.handle(0, {"spikes": Spikes(np.array([2 * 2 + 1], np.int32))})  # token 2, channel 1
    assert layer.current.rows(0).value[2].tolist() == [1, 3, 5]
    assert layer.current.rows(0).touched.tolist() == [0, 0, 1, 0]
    assert counts == OpCounts(acs=3, event_acs=3, weight_reads=3, state_reads=3, state_writes=3)


@given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32), st.sampled_from(KINDS))
def test_sums_and_counts_equal_a_matrix_product(n_tokens, c_in, c_out, seed, kind):
    rng = np.random.default_rng(seed)
    weight, spikes = dyadic(rng, c_out, c_in), random_spikes(rng, n_tokens * c_in, 0.5, kind)
    layer = linear(weight, n_tokens)
    _, counts = layer.handle(0, {"spikes": spikes})
    x = spikes.to_dense(n_tokens * c_in).reshape(n_tokens, c_in)
    expected, reached = naive.linear_counts(x, c_out)
    np.testing.assert_array_equal(layer.current.rows(0).value, naive.linear(x, weight))
    np.testing.assert_array_equal(layer.current.rows(0).touched, reached)
    assert counts == expected


def test_a_stored_1x1_convolution_is_the_same_layer(rng):
    weight, spikes = dyadic(rng, 5, 3), random_spikes(rng, 6, 0.7)
    layers = linear(weight, 2), linear(weight[:, :, None, None], 2)
    counts = [layer.handle(0, {"spikes": spikes})[1] for layer in layers]
    assert counts[0] == counts[1]
    np.testing.assert_array_equal(layers[0].current.rows(0).value, layers[1].current.rows(0).value)


@pytest.mark.parametrize("kind", KINDS)
def test_obeys_the_contract(rng, kind):
    weight = dyadic(rng, 9, 17)
    inboxes = [{"spikes": random_spikes(rng, 3 * 17, density, kind)} for density in (0.3, 1.0, 0.0)]
    check_handler(lambda: linear(weight, 3), [*inboxes, None, inboxes[0]])


def test_a_current_of_another_shape_is_refused():
    with pytest.raises(NetworkError, match="fc: writes"):
        Linear("fc", np.ones((3, 2)), None, 4, Current(4, 2))
