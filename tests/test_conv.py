import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.projections.conv import Conv2d, Window
from tests import naive
from tests.contract import check_handler, dyadic, needs_jit, random_spikes

WINDOWS = st.builds(
    Window,
    height=st.integers(3, 6),
    width=st.integers(3, 6),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
)


def conv(weight, window, groups=1, bias=None):
    current = Current(window.out_height * window.out_width, weight.shape[0])
    return Conv2d("conv", weight, bias, window, current, groups)


def project(layer, spikes, step=0):
    """(value as a map, touched as a map, counts) of one step."""
    sent, counts = layer.handle(step, {"spikes": spikes})
    assert len(sent) == 0
    rows, window = layer.current.rows(step), layer.window
    size = (window.out_height, window.out_width)
    return rows.value.reshape(*size, -1), rows.touched.reshape(size), counts


def one_spike(row, col, height, width, payload=None):
    address = np.array([row * width + col], np.int32)
    return Spikes(address, None if payload is None else np.array([payload]))


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "col", "n_outputs"),
    [(0, 0, 2 * 2), (0, 2, 2 * 3), (2, 2, 3 * 3), (4, 4, 2 * 2)],
    ids=["corner", "border", "middle", "last corner"],
)
def test_a_spike_reaches_the_outputs_whose_window_holds_it(row, col, n_outputs):
    c_out = 7
    layer = conv(np.ones((c_out, 1, 3, 3)), Window(5, 5, kernel=3, padding=1))
    _, touched, counts = project(layer, one_spike(row, col, 5, 5))
    assert touched.sum() == n_outputs
    n = n_outputs * c_out
    assert counts == OpCounts(acs=n, event_acs=n, weight_reads=n, state_reads=n, state_writes=n)


def test_each_weight_lands_where_the_window_says():
    weight = np.arange(9.0).reshape(1, 1, 3, 3)
    value, _, _ = project(conv(weight, Window(3, 3, kernel=3, padding=1)), one_spike(0, 0, 3, 3))
    # output (y, x) sees the spike at (0, 0) through the tap (1 - y, 1 - x)
    assert value[:, :, 0].tolist() == [[4, 3, 0], [1, 0, 0], [0, 0, 0]]


def test_two_spikes_in_one_window_share_the_accumulator():
    layer = conv(np.ones((4, 2, 1, 1)), Window(1, 1))
    counts = project(layer, Spikes(np.array([0, 1], np.int32)))[2]
    assert counts == OpCounts(acs=2 * 4, event_acs=2 * 4, weight_reads=2 * 4, state_reads=4, state_writes=4)


def test_a_payload_of_three_is_one_delivery_three_units_and_graded():
    fan_out = 2 * 2 * 5  # a corner, five output channels
    layer = conv(np.ones((5, 1, 3, 3)), Window(4, 4, kernel=3, padding=1))
    value, _, counts = project(layer, one_spike(0, 0, 4, 4, np.int32(3)))
    assert value[0, 0].tolist() == [3] * 5
    assert (counts.event_acs, counts.acs, counts.graded_acs, counts.macs) == (fan_out, 3 * fan_out, fan_out, 0)
    assert (counts.weight_reads, counts.state_reads, counts.state_writes) == (fan_out, fan_out, fan_out)


def test_a_payload_of_minus_two_counts_two_units():
    value, _, counts = project(conv(np.ones((1, 1, 1, 1)), Window(1, 1)), one_spike(0, 0, 1, 1, np.int32(-2)))
    assert value.tolist() == [[[-2]]]
    assert (counts.event_acs, counts.acs, counts.graded_acs) == (1, 2, 1)


def test_among_payloads_only_those_that_are_not_one_are_graded():
    spikes = Spikes(np.array([0, 1, 2], np.int32), np.array([1, 4, 1], np.int32))
    counts = project(conv(np.ones((6, 3, 1, 1)), Window(1, 1)), spikes)[2]
    assert (counts.event_acs, counts.acs, counts.graded_acs) == (3 * 6, (1 + 4 + 1) * 6, 1 * 6)


def test_a_real_value_is_a_multiply_accumulate_and_no_addition():
    value, _, counts = project(conv(np.full((2, 1, 1, 1), 3.0), Window(1, 1)), one_spike(0, 0, 1, 1, np.float32(0.5)))
    assert value.tolist() == [[[1.5, 1.5]]]
    assert counts == OpCounts(macs=2, weight_reads=2, state_reads=2, state_writes=2)


def test_a_group_is_touched_alone():
    weight = np.ones((6, 2, 1, 1))  # two groups: inputs 0, 1 -> outputs 0, 1, 2 and inputs 2, 3 -> outputs 3, 4, 5
    value, _, counts = project(conv(weight, Window(1, 1), groups=2), Spikes(np.array([2], np.int32)))
    assert value.tolist() == [[[0, 0, 0, 1, 1, 1]]]
    assert counts == OpCounts(acs=3, event_acs=3, weight_reads=3, state_reads=3, state_writes=3)


def test_a_spike_that_no_window_holds_costs_nothing():
    layer = conv(np.ones((2, 1, 1, 1)), Window(4, 4, stride=2))
    _, touched, counts = project(layer, one_spike(1, 1, 4, 4))
    assert counts == OpCounts()
    assert not touched.any()


# --- against the twin -------------------------------------------------------------------------------------------------


@given(WINDOWS, st.sampled_from([1, 2, 3]), st.integers(0, 2**32), st.sampled_from(["binary", "integer", "real"]))
def test_sums_and_counts_equal_a_dense_convolution(window, groups, seed, kind):
    rng = np.random.default_rng(seed)
    c_in, c_out = 2 * groups, 3 * groups
    weight = dyadic(rng, c_out, c_in // groups, window.kernel, window.kernel)
    spikes = random_spikes(rng, window.height * window.width * c_in, rng.choice([0.02, 0.3, 1.0]), kind)
    value, touched, counts = project(conv(weight, window, groups), spikes)
    x = spikes.to_dense(window.height * window.width * c_in).reshape(window.height, window.width, c_in)
    geometry = (window.stride, window.padding, groups)
    expected_counts, reached = naive.conv2d_counts(x, weight.shape, *geometry)
    np.testing.assert_array_equal(value, naive.conv2d(x, weight, *geometry))
    np.testing.assert_array_equal(touched, reached)
    assert counts == expected_counts


@pytest.mark.parametrize("width", [5, 16, 63, 64, 66, 129, 150])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 1, 0), (5, 1, 4), (3, 2, 1), (1, 1, 0)])
@pytest.mark.parametrize("density", [0.002, 0.1, 1.0])
def test_wide_maps_are_listed_many_pixels_at_a_time(rng, width, kernel, stride, padding, density):
    window = Window(6, width, kernel=kernel, stride=stride, padding=padding)
    weight = dyadic(rng, 3, 2, kernel, kernel)
    spikes = random_spikes(rng, 6 * width * 2, density)
    value, touched, counts = project(conv(weight, window), spikes)
    x = spikes.to_dense(6 * width * 2).reshape(6, width, 2)
    expected_counts, reached = naive.conv2d_counts(x, weight.shape, stride, padding, 1)
    np.testing.assert_array_equal(value, naive.conv2d(x, weight, stride, padding))
    np.testing.assert_array_equal(touched, reached)
    assert counts == expected_counts


@needs_jit
def test_float_weights_agree_up_to_the_order_of_summation(rng):
    window = Window(9, 7, kernel=3, padding=1)
    weight = rng.normal(size=(48, 64, 3, 3))
    spikes = random_spikes(rng, 9 * 7 * 64, 0.4)
    value, _, _ = project(conv(weight, window), spikes)
    expected = naive.conv2d(spikes.to_dense(9 * 7 * 64).reshape(9, 7, 64), weight, 1, 1)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-4)


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_counts_of_disjoint_inputs_add(seed, n_channels):
    rng = np.random.default_rng(seed)
    window = Window(5, 4, kernel=3, stride=2, padding=1)
    layer = conv(dyadic(rng, 3, n_channels, 3, 3), window)
    spikes = random_spikes(rng, 5 * 4 * n_channels, 0.5)
    in_first = rng.random(len(spikes)) < 0.5
    whole, first, second = (
        project(layer, Spikes(spikes.address[chosen]), step)[2]
        for step, chosen in enumerate((np.ones_like(in_first), in_first, ~in_first))
    )
    assert whole.acs == first.acs + second.acs
    assert whole.state_writes <= first.state_writes + second.state_writes


@pytest.mark.parametrize("kind", ["binary", "integer", "real"])
@pytest.mark.parametrize("groups", [1, 2])
def test_obeys_the_contract(rng, kind, groups):
    window, weight = Window(4, 5, kernel=3, stride=2, padding=1), dyadic(rng, 6, 4 // groups, 3, 3)
    inboxes = [{"spikes": random_spikes(rng, 4 * 5 * 4, density, kind)} for density in (0.2, 0.0, 1.0)]
    check_handler(lambda: conv(weight, window, groups, bias=np.ones(6)), [*inboxes, None, inboxes[0]])


# --- shared currents and still images ---------------------------------------------------------------------------------


def test_two_convolutions_add_in_place(rng):
    window, current = Window(3, 3, kernel=3, padding=1), Current(9, 4)
    weights = [dyadic(rng, 4, 2, 3, 3) for _ in range(2)]
    layers = [Conv2d(f"conv{i}", weight, np.full(4, i + 1.0), window, current) for i, weight in enumerate(weights)]
    inputs = [random_spikes(rng, 18, 0.3) for _ in layers]
    for layer, spikes in zip(layers, inputs, strict=True):
        layer.handle(0, {"spikes": spikes})
    dense = [naive.conv2d(s.to_dense(18).reshape(3, 3, 2), w, 1, 1) for s, w in zip(inputs, weights, strict=True)]
    np.testing.assert_array_equal(current.rows(0).value.reshape(3, 3, 4), dense[0] + dense[1])
    assert current.bias.tolist() == [3.0] * 4
    assert current.writers == ["conv0", "conv1"]


def test_a_still_image_is_multiplied_once_and_read_after(rng):
    layer = conv(dyadic(rng, 3, 2, 3, 3), Window(4, 4, kernel=3, padding=1))
    image = random_spikes(rng, 32, 0.9, "real")
    first, touched, counts = project(layer, image, 0)
    again, touched_again, copied = project(layer, image, 1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(touched, touched_again)
    assert counts.macs > 0
    assert copied == OpCounts()
    assert project(layer, random_spikes(rng, 32, 0.9, "real"), 2)[2].macs > 0, "another image is computed again"
    layer.reset()
    assert project(layer, image, 0)[2] == counts, "reset forgets the image"


def test_a_still_image_is_copied_where_others_add_to_it(rng):
    window, current = Window(2, 2), Current(4, 3)
    stem = Conv2d("stem", dyadic(rng, 3, 1, 1, 1), None, window, current)
    spiking = Conv2d("spiking", dyadic(rng, 3, 1, 1, 1), None, window, current)
    image, spikes = random_spikes(rng, 4, 1.0, "real"), random_spikes(rng, 4, 1.0)
    counts = []
    for step in range(2):
        counts.append(stem.handle(step, {"spikes": image})[1])
        spiking.handle(step, {"spikes": spikes})
    assert counts[0].macs == 4 * 3
    assert counts[1] == OpCounts(state_reads=4 * 3, state_writes=4 * 3)
    np.testing.assert_array_equal(current.rows(0).value, current.rows(1).value)


def test_a_still_image_is_never_copied_over_what_others_wrote(rng):
    window, current = Window(2, 2), Current(4, 3)
    spiking = Conv2d("spiking", dyadic(rng, 3, 1, 1, 1), None, window, current)
    stem = Conv2d("stem", dyadic(rng, 3, 1, 1, 1), None, window, current)
    image, spikes = random_spikes(rng, 4, 1.0, "real"), random_spikes(rng, 4, 1.0)
    for step in range(2):
        spiking.handle(step, {"spikes": spikes})
        assert stem.handle(step, {"spikes": image})[1].macs == 4 * 3
    np.testing.assert_array_equal(current.rows(0).value, current.rows(1).value)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_places", "n_channels"), [(9, 4), (16, 3), (4, 16)])
def test_a_current_of_another_shape_is_refused(n_places, n_channels):
    with pytest.raises(NetworkError, match=r"writes \(16, 4\) .* into a current of"):
        Conv2d("conv", np.ones((4, 1, 3, 3)), None, Window(4, 4, 3, padding=1), Current(n_places, n_channels))
