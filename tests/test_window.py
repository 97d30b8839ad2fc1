"""Windows of any shape: kernels, strides, paddings and dilations by rows and columns, in convolutions and pools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.errors import NetworkError
from evsim.handlers.geometry import Synapses
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.window import Window
from tests import naive
from tests.contract import check_handler, dyadic, random_spikes

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def windows(draw, may_ceil=False):
    kernel, stride, dilation = draw(SIZES), draw(SIZES), draw(SIZES)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    least = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    height, width = (draw(st.integers(max(1, n - 2 * p), n + 6)) for n, p in zip(least, padding, strict=True))
    return Window(height, width, kernel, stride, padding, dilation, may_ceil and draw(st.booleans()))


def conv(window, weight, groups=1):
    current = Current(window.out_height * window.out_width, weight.shape[0])
    return Conv2d("conv", weight, None, window, current, groups)


@given(windows(), st.sampled_from([1, 2]), st.integers(0, 2**32), st.sampled_from(["binary", "integer", "real"]))
def test_a_convolution_equals_a_dense_one(window, groups, seed, kind):
    rng = np.random.default_rng(seed)
    weight = dyadic(rng, 3 * groups, 2, *window.kernels)
    spikes = random_spikes(rng, window.height * window.width * 2 * groups, rng.choice([0.1, 0.5, 1.0]), kind)
    layer = conv(window, weight, groups)
    counts = layer.handle(0, {"spikes": spikes})[1]
    rows, shape = layer.current.rows(0), (window.out_height, window.out_width)
    x = spikes.to_dense(layer.n_inputs).reshape(window.height, window.width, -1)
    geometry = (window.stride, window.padding, groups, window.dilation)
    expected_counts, reached = naive.conv2d_counts(x, weight.shape, *geometry)
    np.testing.assert_array_equal(rows.value.reshape(*shape, -1), naive.conv2d(x, weight, *geometry))
    np.testing.assert_array_equal(rows.touched.reshape(shape), reached)
    assert counts == expected_counts
    np.testing.assert_array_equal(layer.weight, weight.astype(np.float32))


@given(windows(may_ceil=True), st.integers(0, 2**32), st.floats(0, 1))
def test_pools_equal_dense_ones(window, seed, density):
    rng = np.random.default_rng(seed)
    geometry = (window.kernel, window.stride, window.padding, window.dilation, window.ceil)
    spikes = random_spikes(rng, window.height * window.width * 2, density)
    x = spikes.to_dense(window.height * window.width * 2).reshape(window.height, window.width, 2) != 0
    found, counts = SpikeMaxPool("pool", window, 2).handle(0, {"spikes": spikes})
    expected, expected_counts = naive.spike_max_pool(x, *geometry)
    np.testing.assert_array_equal(found.to_dense(expected.size), expected.reshape(-1))
    assert counts == expected_counts
    source, target = Current(window.height * window.width, 2), Current(expected.size // 2, 2)
    pool = CurrentMaxPool("pool", source, target, window)
    touched = rng.random(source.n_places) < density
    value = dyadic(rng, source.n_places, 2) * touched[:, None]
    rows = source.rows(0)
    rows.value[:], rows.touched[:] = value, touched
    counts = pool.handle(0, {})[1]
    maps = value.reshape(window.height, window.width, 2), touched.reshape(window.height, window.width)
    expected, reached, expected_counts = naive.current_max_pool(*maps, *geometry)
    np.testing.assert_array_equal(target.rows(0).value, expected.reshape(-1, 2))
    np.testing.assert_array_equal(target.rows(0).touched, reached.reshape(-1))
    assert counts == expected_counts


@given(windows(may_ceil=True), st.integers(0, 2**32))
def test_sizes_and_values_are_those_of_torch(window, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.integers(0, 3, (1, 2, window.height, window.width)), dtype=torch.float32)
    geometry = (window.strides, window.paddings, window.dilations)
    pooled = torch.nn.functional.max_pool2d(x, window.kernels, *geometry, ceil_mode=window.ceil)
    assert tuple(pooled.shape[2:]) == (window.out_height, window.out_width)
    if not window.ceil:
        weight = torch.tensor(dyadic(rng, 3, 2, *window.kernels), dtype=torch.float32)
        expected = torch.nn.functional.conv2d(x, weight, None, *geometry)[0].permute(1, 2, 0).numpy()
        found = naive.conv2d(
            x[0].permute(1, 2, 0).numpy(), weight.numpy(), window.stride, window.padding, 1, window.dilation
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_sequence_is_a_map_of_one_row(rng):
    """conv1d of kernel 3, stride 2, dilation 2."""
    window = Window(1, 11, (1, 3), (1, 2), (0, 2), (1, 2))
    weight = dyadic(rng, 5, 4, 1, 3)
    inboxes = [{"spikes": random_spikes(rng, 44, 0.4, kind)} for kind in ("binary", "integer")]
    check_handler(lambda: conv(window, weight), inboxes)


def test_signed_events_are_added_with_their_sign_and_count_one_each(rng):
    """Payloads of -1 (spikes of a negative threshold) and other whole numbers, whose unit is in the weights."""
    window, weight = Window(3, 4, (3, 1), 1, (1, 0)), dyadic(rng, 3, 2, 3, 1) / 4
    inboxes = [{"spikes": random_spikes(rng, 24, 0.6, "integer")} for _ in range(3)]
    given_out = check_handler(lambda: conv(window, weight), inboxes)
    assert all(counts.macs == 0 < counts.graded_acs for _, counts in given_out)


@given(windows())
def test_products_inside_the_map_are_counted_tap_by_tap(window):
    x = np.ones((window.height, window.width, 2))
    inside = naive.conv2d(x, np.ones((3, 2, *window.kernels)), window.stride, window.padding, 1, window.dilation)
    synapses = Synapses(window, 2, 3)
    assert synapses.inner_macs == inside.sum()
    assert synapses.dense_macs == window.kernels[0] * window.kernels[1] * 2 * 3 * window.out_height * window.out_width


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(0, 4),
        lambda: Window(4, 4, kernel=0),
        lambda: Window(4, 4, stride=(1, 0)),
        lambda: Window(4, 4, padding=-1),
        lambda: Window(2, 4, kernel=3),
        lambda: Window(4, 4, kernel=2, dilation=4),
    ],
)
def test_windows_without_an_output_are_refused(make):
    with pytest.raises(NetworkError, match="sizes must be at least 1, paddings at least 0, and an output must remain"):
        make()


def test_a_weight_of_another_kernel_is_refused():
    with pytest.raises(NetworkError, match=r"conv: weight is \(2, 1, 3, 1\), its window has a kernel of \(1, 3\)"):
        conv(Window(4, 4, (1, 3)), np.ones((2, 1, 3, 1)))
