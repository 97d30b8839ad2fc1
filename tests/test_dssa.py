import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.attention.dssa import MapProduct, ValueProduct
from tests import naive_dssa
from tests.contract import check_handler, dyadic, random_spikes

SCALE = [0.5, 2.0, 0.25]


def make(kind, bias, n_tokens, n_patches, scale=SCALE):
    """A product behind a current y with a folded bias [2C]."""
    y = Current(n_patches, len(bias))
    y.join_writer("W", np.asarray(bias, np.float64))
    n_columns = n_patches if kind is MapProduct else len(bias) // (2 * len(scale))
    return kind("product", y, scale, n_tokens, Current(n_tokens, len(scale) * n_columns))


def write(y, step, value):
    rows = y.rows(step)
    rows.value[:], rows.touched[:] = value, 1


def spikes_of(x):
    """x [n_heads, rows, N] as events, tokens first."""
    return Spikes.from_dense(x.transpose(2, 0, 1))


def test_each_spike_of_x_adds_a_row_of_y1():
    y = [[1, 2, 30, 40], [5, 6, 70, 80]]  # two patches; one head of two channels: Y1 is the first half
    product = make(MapProduct, [0.5, 0, 0, 0], 3, 2, scale=[2.0])
    write(product.y, 0, y)
    _, counts = product.handle(0, {"spikes": Spikes(np.array([2, 4, 5], np.int32))})  # token 1: 0, token 2: 0 1
    assert product.current.rows(0).value.tolist() == [[0, 0], [2 * 1.5, 2 * 5.5], [2 * 3.5, 2 * 11.5]]
    assert product.current.rows(0).touched.tolist() == [0, 1, 1]
    assert counts == OpCounts(
        acs=6, event_acs=6, scalings=4, bias_adds=2, weight_reads=6, state_reads=8, state_writes=8
    )


def test_each_spike_of_a_adds_a_row_of_y2():
    y = [[1, 2, 30, 40], [5, 6, 70, 80]]
    product = make(ValueProduct, [0, 0, 0, 0], 2, 2, scale=[0.5])
    write(product.y, 0, y)
    product.handle(0, {"spikes": Spikes(np.array([1, 2, 3], np.int32))})  # token 0: patch 1; token 1: both
    assert product.current.rows(0).value.tolist() == [[35, 40], [50, 60]]


def test_heads_own_neighbouring_channels_of_both_halves():
    bias = np.arange(8.0)  # two heads of d = 2: Y1 is 0 1, 4 5 and Y2 is 2 3, 6 7
    first = make(MapProduct, bias, 1, 1, scale=[1, 1])
    second = make(ValueProduct, bias, 1, 1, scale=[1, 1])
    first.handle(0, {"spikes": Spikes(np.array([1, 2], np.int32))})
    second.handle(0, {"spikes": Spikes(np.array([0, 1], np.int32))})
    assert first.current.rows(0).value.tolist() == [[1, 4]]
    assert second.current.rows(0).value.tolist() == [[2, 3, 6, 7]]


@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 6), st.integers(0, 2**32), st.floats(0, 1))
def test_products_and_counts_equal_the_official_equations(n_tokens, n_patches, d, seed, density):
    rng = np.random.default_rng(seed)
    value, bias = dyadic(rng, n_patches, 6 * d), dyadic(rng, 6 * d)
    for kind, n_rows, twin in (
        (MapProduct, d, naive_dssa.attention_map),
        (ValueProduct, n_patches, naive_dssa.attention_output),
    ):
        x = rng.random((3, n_rows, n_tokens)) < density
        product = make(kind, bias, n_tokens, n_patches)
        write(product.y, 0, value)
        _, counts = product.handle(0, {"W": Spikes.none(), "spikes": spikes_of(x)})
        expected = twin(value + bias, x, SCALE)
        rows = product.current.rows(0)
        np.testing.assert_array_equal(rows.value, expected.transpose(2, 0, 1).reshape(n_tokens, -1))
        np.testing.assert_array_equal(rows.touched, x.any(axis=(0, 1)))
        bias_half = bias.reshape(3, 2, d)[:, product.half]
        assert counts == naive_dssa.product_counts(x, expected.shape[1], bias_half, n_patches)


@pytest.mark.parametrize("kind", [MapProduct, ValueProduct])
def test_where_nobody_wrote_y_the_operand_is_the_bias(kind):
    bias = dyadic(np.random.default_rng(0), 12)
    unwritten, written = (make(kind, bias, 5, 4) for _ in range(2))
    x = Spikes.from_dense(np.random.default_rng(1).random(unwritten.n_inputs) < 0.5)
    write(written.y, 0, 0)
    for product in (unwritten, written):
        product.handle(0, {"spikes": x})
    assert unwritten.current.rows(0).touched.any()
    np.testing.assert_array_equal(unwritten.current.rows(0).value, written.current.rows(0).value)


@pytest.mark.parametrize("kind", [MapProduct, ValueProduct])
@pytest.mark.parametrize("inbox", [{"W": Spikes.none()}, {"W": Spikes.none(), "spikes": Spikes.none()}])
def test_silent_spikes_cost_nothing_whatever_y_holds(kind, inbox):
    product = make(kind, np.ones(12), 5, 4)
    write(product.y, 0, 1)
    spikes, counts = product.handle(0, inbox)
    assert len(spikes) == 0
    assert counts == OpCounts()
    assert not product.current.rows(0).touched.any()


@pytest.mark.parametrize("kind", [MapProduct, ValueProduct])
def test_a_product_adds_to_what_other_writers_left(kind):
    product = make(kind, np.zeros(12), 5, 4)
    write(product.y, 0, 1)
    write(product.current, 0, 8)
    product.handle(0, {"spikes": Spikes(np.array([0], np.int32))})
    assert set(product.current.rows(0).value.ravel()) == {8, 8.5}


def test_both_products_are_woken_by_the_writer_of_y_and_the_last_gives_it_back():
    y = Current(4, 12)
    y.join_writer("W")
    products = [
        MapProduct("matmul1", y, SCALE, 5, Current(5, 12)),
        ValueProduct("matmul2", y, SCALE, 5, Current(5, 6)),
    ]
    write(y, 0, 1)
    for product in products:
        assert product.wakers == ("W",)
        assert y.rows(0).touched.all()
        product.handle(0, {"W": Spikes.none()})
    assert not y.rows(0).touched.any()


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(NetworkError, match=r"map: operand channels, tokens and output channels are \(12, 5, 7\)"):
        MapProduct("map", Current(4, 12), SCALE, 5, Current(5, 7))
    with pytest.raises(NetworkError, match=r"expected \(12, 5, 6\)"):
        ValueProduct("value", Current(4, 13), SCALE, 5, Current(5, 6))


@pytest.mark.parametrize("kind", [MapProduct, ValueProduct])
def test_obeys_the_contract(kind):
    rng = np.random.default_rng(3)
    bias = dyadic(rng, 12)
    size = make(kind, bias, 5, 4).n_inputs
    inboxes = [
        {"spikes": random_spikes(rng, size, density), "current": (dyadic(rng, 4, 12), np.ones(4))}
        for density in (0.3, 1.0, 0.0)
    ]
    unwritten = {"spikes": random_spikes(rng, size, 0.5)}
    check_handler(lambda: make(kind, bias, 5, 4), [*inboxes, None, unwritten])
