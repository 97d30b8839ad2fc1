"""A depthwise convolution spreads events over their windows: the same sums, to the bit, and the same counts."""

import numpy as np
import pytest

from evsim.engine.current import Current
from evsim.engine.spikes import Spikes
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.depthwise import by_tap, spread

WINDOWS = [
    Window(9, 7, 7, 1, 3),
    Window(9, 7, 3, 2, 1),
    Window(8, 8, (3, 1), (2, 1), (1, 0)),
    Window(8, 5, 3, 1, 2, 2),
    Window(6, 6, 2, 2, 0),
    Window(1, 20, (1, 3), 1, (0, 1)),
]


def some_spikes(rng, shape, rate, kind):
    dense = (rng.random(shape) < rate).reshape(-1)
    address = np.flatnonzero(dense).astype(np.int32)
    if kind == "binary":
        return Spikes(address)
    payload = rng.integers(1, 5, address.size) * rng.choice([-1, 1], address.size)
    return Spikes(address, payload.astype(np.int32) if kind == "whole" else rng.normal(size=address.size).astype("f4"))


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["binary", "whole", "real"])
@pytest.mark.parametrize("window", WINDOWS)
def test_sums_and_counts_are_those_of_the_gathering(window, kind, rate):
    rng = np.random.default_rng(3)
    n = 33
    weight = rng.normal(size=(n, 1, *window.kernels)).astype(np.float32)
    spikes = some_spikes(rng, (window.height, window.width, n), rate, kind)
    found = []
    for is_gathered in (False, True):
        current = Current(window.out_height * window.out_width, n)
        layer = Conv2d("dw", weight, None, window, current, groups=n)
        if is_gathered:
            layer._taps = None
        rows = current.rows(0)
        found.append((layer._gather(spikes, rows), rows.value, rows.touched))
    (counts, value, touched), (others, expected, marked) = found
    assert counts == others
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(touched, marked)


def test_an_event_in_the_corner_by_hand():
    """3x3 on 2x2 pixels of two channels: (0, 0) of channel 1 reaches all four pixels, by the taps it lies on."""
    weight = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3)
    value, touched = np.zeros((4, 2), np.float32), np.zeros(4, np.uint8)
    window = Window(2, 2, 3, 1, 1).as_tuple()
    counted = spread(np.array([1], np.int32), np.empty(0, np.float32), by_tap(weight), window, value, touched)
    assert counted == (4, 4, 0, 4)
    np.testing.assert_array_equal(value[:, 1], [13, 12, 10, 9])
    assert not value[:, 0].any()
    assert touched.all()
