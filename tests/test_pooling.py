import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.dilation import PlaneDilation
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Window
from tests import naive
from tests.contract import check_handler, dyadic, random_spikes

WINDOWS = st.builds(
    Window,
    height=st.integers(3, 6),
    width=st.integers(3, 6),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
)
HALVE = Window(4, 4, kernel=3, stride=2, padding=1)
SEEDS = st.integers(0, 2**32)


def spike_at(dense_shape, *places):
    dense = np.zeros(dense_shape, bool)
    for place in places:
        dense[place] = True
    return Spikes.from_dense(dense)


def as_map(spikes, *shape):
    return spikes.to_dense(int(np.prod(shape))).reshape(shape).astype(bool)


# --- spikes -----------------------------------------------------------------------------------------------------------


def test_a_spike_marks_every_window_it_lies_in():
    # windows of 3 by stride 2 with padding 1 over 4 rows begin at -1 and 1: row 1 lies in both, row 0 in the first
    pool = SpikeMaxPool("pool", HALVE, n_channels=2)
    out, counts = pool.handle(0, {"spikes": spike_at((4, 4, 2), (1, 1, 0))})
    assert as_map(out, 2, 2, 2)[:, :, 0].all()
    assert not as_map(out, 2, 2, 2)[:, :, 1].any()
    assert counts == OpCounts(comparisons=2 * 2)
    out, counts = pool.handle(1, {"spikes": spike_at((4, 4, 2), (0, 1, 1))})
    assert as_map(out, 2, 2, 2)[:, :, 1].tolist() == [[True, True], [False, False]]
    assert counts == OpCounts(comparisons=1 * 2)


def test_two_spikes_of_one_window_give_one_spike_for_two_comparisons():
    pool = SpikeMaxPool("pool", Window(2, 2, kernel=2, stride=2), n_channels=1)
    out, counts = pool.handle(0, {"spikes": spike_at((2, 2, 1), (0, 0, 0), (1, 1, 0))})
    assert (out.address.tolist(), counts.comparisons) == ([0], 2)


@given(WINDOWS, st.integers(1, 9), SEEDS, st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_spike_pooling_equals_a_dense_maximum(window, n_channels, seed, density):
    shape = (window.height, window.width, n_channels)
    spikes = random_spikes(np.random.default_rng(seed), int(np.prod(shape)), density)
    pool = SpikeMaxPool("pool", window, n_channels)
    out, counts = pool.handle(0, {"spikes": spikes})
    expected, expected_counts = naive.spike_max_pool(
        as_map(spikes, *shape), window.kernel, window.stride, window.padding
    )
    np.testing.assert_array_equal(as_map(out, *pool.shape), expected)
    assert counts == expected_counts


ANY_WINDOWS = st.builds(
    Window,
    height=st.integers(4, 7),
    width=st.integers(4, 7),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
)


@given(ANY_WINDOWS, st.sampled_from([8, 16, 40, 72, 2040, 2048]), SEEDS, st.sampled_from([0.01, 0.3, 1.0]))
def test_comparisons_counted_from_bytes_and_event_by_event_are_the_same(window, n_channels, seed, density):
    shape = (window.height, window.width, n_channels)
    spikes = random_spikes(np.random.default_rng(seed), int(np.prod(shape)), density)
    expected, expected_counts = naive.spike_max_pool(
        as_map(spikes, *shape), window.kernel, window.stride, window.padding
    )
    pool = SpikeMaxPool("pool", window, n_channels)
    for most_by_event in (0, pool.most_by_event, window.width * n_channels):
        if n_channels <= 2040:  # more do not fit the sums of bytes
            pool.most_by_event = most_by_event
        out, counts = pool.handle(0, {"spikes": spikes})
        np.testing.assert_array_equal(as_map(out, *pool.shape), expected)
        assert counts == expected_counts


def test_spike_pool_obeys_the_contract(rng):
    inboxes = [{"spikes": random_spikes(rng, 4 * 4 * 3, density)} for density in (0.3, 0.0, 1.0)]
    check_handler(lambda: SpikeMaxPool("pool", HALVE, 3), [*inboxes, None, inboxes[0]])


# --- dilation ---------------------------------------------------------------------------------------------------------


def test_dilation_reaches_neighbours_in_the_token_channel_plane_of_its_head():
    dilation = PlaneDilation("dilation", n_tokens=4, n_heads=2, n_channels=6)
    out, counts = dilation.handle(0, {"spikes": spike_at((4, 2, 3), (1, 0, 2))})  # last channel of the first head
    expected = np.zeros((4, 2, 3), bool)
    expected[0:3, 0, 1:3] = True
    np.testing.assert_array_equal(as_map(out, 4, 2, 3), expected)
    assert counts == OpCounts(comparisons=3 * 2)


@pytest.mark.parametrize(("token", "n_tokens_reached"), [(0, 2), (1, 3), (3, 2)])
def test_dilation_stops_at_the_first_and_last_token(token, n_tokens_reached):
    dilation = PlaneDilation("dilation", n_tokens=4, n_heads=1, n_channels=3)
    out, counts = dilation.handle(0, {"spikes": spike_at((4, 1, 3), (token, 0, 1))})
    assert len(out) == counts.comparisons == n_tokens_reached * 3


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), SEEDS, st.sampled_from([0.05, 0.3, 1.0]))
def test_dilation_equals_a_dense_maximum(n_tokens, n_heads, head_channels, seed, density):
    shape = (n_tokens, n_heads, head_channels)
    spikes = random_spikes(np.random.default_rng(seed), int(np.prod(shape)), density)
    out, counts = PlaneDilation("dilation", n_tokens, n_heads, n_heads * head_channels).handle(0, {"spikes": spikes})
    expected, expected_counts = naive.plane_dilation(as_map(spikes, *shape))
    np.testing.assert_array_equal(as_map(out, *shape), expected)
    assert counts == expected_counts


def test_dilation_obeys_the_contract(rng):
    inboxes = [{"spikes": random_spikes(rng, 5 * 6, density)} for density in (0.2, 0.0, 1.0)]
    check_handler(lambda: PlaneDilation("dilation", 5, 2, 6), [*inboxes, None, inboxes[0]])


# --- currents ---------------------------------------------------------------------------------------------------------


def current_pool(window, n_channels, bias=None):
    source = Current(window.height * window.width, n_channels)
    source.join_writer("writer", bias)
    target = Current(window.out_height * window.out_width, n_channels)
    return CurrentMaxPool("pool", source, target, window)


def fill(pool, value, touched, step=0):
    rows = pool.source.rows(step)
    rows.value[:], rows.touched[:] = value * touched[:, None], touched


def test_an_untouched_place_is_a_zero_that_can_win():
    pool = current_pool(Window(2, 2, kernel=2), n_channels=2)
    fill(pool, np.array([[-3.0, 5.0]] * 4), np.array([1, 0, 0, 0]))
    _, counts = pool.handle(0, {})
    assert pool.target.rows(0).value.tolist() == [[0, 5]]
    assert counts == OpCounts(comparisons=(4 - 1) * 2, state_reads=4 * 2, state_writes=2)


def test_padding_never_wins_and_is_not_compared():
    pool = current_pool(HALVE, n_channels=1)
    fill(pool, np.full((16, 1), -2.0), np.ones(16))
    _, counts = pool.handle(0, {})
    assert pool.target.rows(0).value.tolist() == [[-2]] * 4
    # of the four 3x3 windows over 4x4 places with padding 1, three are cut: 2x2, 2x3, 3x2, 3x3 real places
    assert counts == OpCounts(comparisons=3 + 5 + 5 + 8, state_reads=4 + 6 + 6 + 9, state_writes=4)


def test_a_window_nobody_touched_is_left_alone():
    pool = current_pool(Window(2, 4, kernel=2, stride=2), n_channels=1)
    fill(pool, np.ones((8, 1)), np.arange(8) == 0)
    _, counts = pool.handle(0, {})
    assert pool.target.rows(0).touched.tolist() == [1, 0]
    assert counts.comparisons == 3


def test_the_bias_passes_through():
    bias = np.array([0.5, -1.0])
    assert current_pool(HALVE, 2, bias).target.bias.tolist() == bias.tolist()


@given(WINDOWS, st.integers(1, 4), SEEDS, st.sampled_from([0.0, 0.1, 0.6, 1.0]))
def test_current_pooling_equals_a_dense_maximum(window, n_channels, seed, density):
    rng = np.random.default_rng(seed)
    size = (window.height, window.width)
    touched = rng.random(size) < density
    value = dyadic(rng, *size, n_channels) * touched[:, :, None]
    pool = current_pool(window, n_channels)
    fill(pool, value.reshape(-1, n_channels), touched.reshape(-1))
    _, counts = pool.handle(0, {})
    expected, reached, expected_counts = naive.current_max_pool(
        value, touched, window.kernel, window.stride, window.padding
    )
    np.testing.assert_array_equal(pool.target.rows(0).value, expected.reshape(-1, n_channels))
    np.testing.assert_array_equal(pool.target.rows(0).touched, reached.reshape(-1))
    assert counts == expected_counts


def test_current_pool_obeys_the_contract(rng):
    inboxes = []
    for density in (0.1, 0.0, 1.0, 0.1):
        touched = rng.random(16) < density
        inboxes.append({"current": (dyadic(rng, 16, 3) * touched[:, None], touched)})
    check_handler(lambda: current_pool(HALVE, 3, np.ones(3)), [*inboxes[:2], None, *inboxes[2:]])


@pytest.mark.parametrize(("n_places", "n_channels"), [(15, 2), (17, 2)])
def test_a_source_of_another_size_is_refused(n_places, n_channels):
    with pytest.raises(NetworkError, match="pool: pools 4x4 places, its current has"):
        CurrentMaxPool("pool", Current(n_places, n_channels), Current(4, n_channels), HALVE)


@pytest.mark.parametrize(("n_places", "n_channels"), [(3, 2), (4, 1), (16, 2)])
def test_a_target_of_another_shape_is_refused(n_places, n_channels):
    with pytest.raises(NetworkError, match=r"pool: writes \(4, 2\)"):
        CurrentMaxPool("pool", Current(16, 2), Current(n_places, n_channels), HALVE)


def test_a_target_that_others_write_before_is_refused():
    target = Current(4, 2)
    target.join_writer("conv")
    with pytest.raises(NetworkError, match="pool: sets a current that conv has already written to"):
        CurrentMaxPool("pool", Current(16, 2), target, HALVE)
