"""Weights of eight bits, two channels to a lane: the sums are those of the plain weights, whatever is added."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.arithmetic import whole_lanes
from evsim.arithmetic.byte_lanes import packed, unpacked
from evsim.handlers.projections.blocks import Blocks
from evsim.handlers.projections.gather import Gathering, Planes, bands, gather_tiles, index_cells
from evsim.handlers.window import Window
from tests import naive
from tests.contract import interpreted, random_spikes

WIDTHS = st.sampled_from([128, 64, 32, 16, 5, 1])


@given(st.integers(0, 2**20), WIDTHS)
def test_packing_is_undone(seed, width):
    rows = np.random.default_rng(seed).integers(-127, 128, (3, 2, width))
    memory = packed(rows)
    assert memory.shape == rows.shape
    assert memory.dtype == np.int8
    np.testing.assert_array_equal(unpacked(memory), rows)


def blocks_of(rng, n_out, n_in, kernel=1, groups=1, weights=None):
    """Random blocks, with their plain weights and units."""
    shape = (n_out, n_in // groups, kernel, kernel)
    weight = rng.integers(-127, 128, shape) if weights is None else np.broadcast_to(weights, shape)
    units = (1 << rng.integers(0, 9, n_out)).astype(np.int16)
    return weight, units, Blocks.of(weight.astype(np.int8), groups, np.int8, int(rng.integers(0, 3)), False, units)


def gathered(blocks, window, spikes, dtype, by_planes=False):
    """value, touched and counts of `gather_tiles`."""
    n_pixels = window.height * window.width
    blocks = blocks.cut(len(spikes) / n_pixels)
    cells = n_pixels * blocks.n_groups * blocks.n_cells, blocks.cell_size
    address, payload = spikes.address, np.empty(0, np.int32) if spikes.payload is None else spikes.payload
    planes = Planes.of(address, payload, *cells) if by_planes else Planes.none()
    start, layout = index_cells(address, *cells), blocks.as_tuple()
    gathering = Gathering(start, address, payload, blocks.values, blocks.units, layout, window.as_tuple(), planes)
    n_places = window.out_height * window.out_width
    value, touched = np.zeros((n_places, blocks.n_groups * blocks.n_out), dtype), np.zeros(n_places, np.uint8)
    last = int(bands(window.out_height, window.out_width, 1)[-1, 1])
    counts = gather_tiles(gathering, (0, last, 0), value, touched)
    return value, touched, counts


def expected(weight, units, blocks, window, spikes, n_in):
    x = np.zeros(window.height * window.width * n_in, np.int64)
    x[spikes.address] = 1 if spikes.payload is None else spikes.payload
    x = x.reshape(window.height, window.width, n_in)
    sums = naive.conv2d(x, weight, window.stride, window.padding, blocks.n_groups)
    return (sums.reshape(-1, units.size).astype(np.int64) * units) << blocks.shift


@given(
    st.integers(0, 2**20), st.sampled_from([1, 16, 32, 33, 64, 96, 128, 200]), st.sampled_from([1, 2, 4, 24, 300]),
    st.sampled_from([1, 3]), st.sampled_from([np.int16, np.int32]),
    st.sampled_from(["binary", "positive", "integer", "planes"]), st.sampled_from([0.02, 0.5, 1.0]),
)  # fmt: skip
def test_sums_are_those_of_the_plain_weights(seed, n_out, n_in, kernel, dtype, kind, rate):
    """Modulo the target's bits, in which a caller has proved that they fit."""
    rng = np.random.default_rng(seed)
    groups = 2 if n_in % 2 == 0 and n_out % 2 == 0 and rng.random() < 0.3 else 1
    weight, units, blocks = blocks_of(rng, n_out, n_in, kernel, groups)
    window = Window(3, 3, kernel, padding=kernel // 2)
    spikes = random_spikes(rng, 9 * n_in, rate)
    if kind != "binary":
        low = -40 if kind == "integer" else 1
        spikes = type(spikes)(spikes.address, rng.integers(low, 41, len(spikes)).astype(np.int32))
    value, touched, counts = gathered(blocks, window, spikes, dtype, kind == "planes")
    np.testing.assert_array_equal(value, expected(weight, units, blocks, window, spikes, n_in).astype(dtype))
    with interpreted():
        again = gathered(blocks, window, spikes, dtype, kind == "planes")
    np.testing.assert_array_equal(value, again[0])
    assert counts == again[2]
    np.testing.assert_array_equal(touched, again[1])


@pytest.mark.parametrize("n_out", [128, 64, 32, 16, 7])
@pytest.mark.parametrize("weights", [127, -127, 0])
def test_the_largest_sums_of_a_block_are_exact(rng, n_out, weights):
    """256 rows of one sign: 32,512 is the last that 16 bits hold, on the lower and on the upper channel of a lane."""
    _, units, blocks = blocks_of(rng, n_out, 256, weights=weights)
    units[:] = 1
    window, everything = Window(1, 2, 1), np.arange(512, dtype=np.int32)
    spikes = random_spikes(rng, 512, 1.0)
    np.testing.assert_array_equal(spikes.address, everything)
    value, *_ = gathered(blocks, window, spikes, np.int32)
    assert (value == 256 * weights << blocks.shift).all()


@given(st.integers(0, 2**20), st.sampled_from([1, 40, 64, 192, 300]), st.sampled_from([1, 2]))
def test_the_weights_come_back_from_their_layout(seed, n_out, groups):
    rng = np.random.default_rng(seed)
    weight, units, blocks = blocks_of(rng, n_out * groups, 3 * groups, 3, groups)
    np.testing.assert_array_equal(blocks.weight(), weight)
    plain = Blocks.of(weight * units.reshape(-1, 1, 1, 1), groups, np.int16)
    np.testing.assert_array_equal(blocks.words(), plain.values)
    assert plain.words() is plain.values


def test_a_row_of_sums_ends_where_it_should(rng):
    """Neighbours of the target are left alone."""
    rows, target = rng.integers(-127, 128, (4, 64)), np.arange(200, dtype=np.int32)
    before, events = target.copy(), np.arange(4, dtype=np.int32)
    memory, units, none = packed(rows).reshape(-1), np.ones(64, np.int16), np.empty(0, np.int32)
    whole_lanes.add_rows(memory, 0, events, none, 0, 4, 0, target, 50, 64, 1, units, 0)
    before[50:114] += 2 * rows.sum(axis=0)
    np.testing.assert_array_equal(target, before)
