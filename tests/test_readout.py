import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.errors import NetworkError
from evsim.handlers.readout import Readout, TokenMean
from tests.contract import check_handler, dyadic


def token_mean(n_tokens=4, n_channels=3, bias=None):
    source = Current(n_tokens, n_channels)
    source.join_writer("writer", bias)
    return TokenMean("mean", source, Current(1, n_channels))


def readout(bias=(0.5, 0.0)):
    current = Current(1, len(bias))
    current.join_writer("head", np.array(bias))
    return Readout("readout", current)


def fill(current, value, touched, step=0):
    rows = current.rows(step)
    rows.value[:], rows.touched[:] = value * np.reshape(touched, (-1, 1)), touched


# --- mean over tokens -------------------------------------------------------------------------------------------------


def test_the_mean_divides_by_all_tokens_and_adds_only_the_touched():
    mean = token_mean()
    fill(mean.source, np.arange(12.0).reshape(4, 3), [0, 1, 0, 1])
    _, counts = mean.handle(0, {})
    assert mean.target.rows(0).value.tolist() == [[(3 + 9) / 4, (4 + 10) / 4, (5 + 11) / 4]]
    assert counts == OpCounts(residual_adds=2 * 3, scalings=3, state_reads=2 * 3 + 3, state_writes=3)


def test_the_mean_of_nothing_costs_nothing_and_touches_nothing():
    mean = token_mean()
    _, counts = mean.handle(0, {})
    assert counts == OpCounts()
    assert not mean.target.rows(0).touched.any()


def test_the_bias_of_every_token_is_the_bias_of_the_mean():
    assert token_mean(bias=np.array([1.0, 2.0, -3.0])).target.bias.tolist() == [1, 2, -3]


@given(st.integers(1, 50), st.integers(0, 2**32))
def test_the_mean_does_not_depend_on_the_order_of_the_tokens(n_tokens, seed):
    rng = np.random.default_rng(seed)
    value, means = np.float32(rng.normal(size=(n_tokens, 3))), []
    for rows in (value, value[::-1]):
        mean = token_mean(n_tokens)
        fill(mean.source, rows, np.ones(n_tokens))
        mean.handle(0, {})
        means.append(mean.target.rows(0).value)
    np.testing.assert_allclose(means[0], means[1], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(means[0][0], value.mean(axis=0, dtype=np.float64), rtol=1e-6, atol=1e-7)


def test_the_mean_obeys_the_contract(rng):
    inboxes = []
    for density in (0.5, 0.0, 1.0):
        touched = rng.random(5) < density
        inboxes.append({"current": (dyadic(rng, 5, 3) * touched[:, None], touched)})
    check_handler(lambda: token_mean(5, bias=np.ones(3)), [*inboxes[:2], None, inboxes[2]])


@pytest.mark.parametrize(("n_places", "n_channels"), [(1, 1), (2, 3), (1, 4)])
def test_a_target_of_another_shape_is_refused(n_places, n_channels):
    with pytest.raises(NetworkError, match=r"mean: writes \(1, 3\)"):
        TokenMean("mean", Current(4, 3), Current(n_places, n_channels))


# --- logits -----------------------------------------------------------------------------------------------------------


def test_a_step_is_the_current_plus_the_bias():
    out = readout()
    fill(out.current, np.array([[2.0, 3.0]]), [1])
    _, counts = out.handle(0, {})
    assert out.logits_by_step(1).tolist() == [[2.5, 3.0]]
    assert counts == OpCounts(bias_adds=1, state_reads=2, state_writes=2)  # one of two biases is not zero


def test_the_logits_are_the_mean_over_all_steps_with_the_bias_in_the_silent_ones():
    out = readout()
    fill(out.current, np.array([[2.0, 4.0]]), [1], step=2)
    out.handle(2, {})
    assert out.logits_by_step(4).tolist() == [[0.5, 0.0], [0.5, 0.0], [2.5, 4.0], [0.5, 0.0]]
    assert out.logits(4).tolist() == [(3 * 0.5 + 2.5) / 4, 4.0 / 4]
    assert out.logits(4).dtype == np.float32


def test_reset_forgets_the_steps():
    out = readout()
    fill(out.current, np.array([[2.0, 4.0]]), [1])
    out.handle(0, {})
    out.reset()
    assert out.logits(1).tolist() == [0.5, 0.0]


def test_the_readout_obeys_the_contract(rng):
    inboxes = [{"current": (dyadic(rng, 1, 2), np.ones(1))} for _ in range(3)]
    check_handler(readout, [*inboxes[:2], None, inboxes[2]])
