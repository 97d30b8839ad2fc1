"""A still image passes what stands before the first neurons once: convolution and max-pool keep their result."""

import numpy as np
import pytest

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.projections.conv import Conv2d, Window

WINDOW = Window(4, 4, kernel=3, stride=1, padding=1)
POOL = Window(4, 4, kernel=2, stride=2)


def image(seed):
    return Spikes.from_dense(np.random.default_rng(seed).normal(size=(4, 4, 2)))


@pytest.fixture
def stem():
    """[convolution, max-pool] and the pooled current."""
    rng = np.random.default_rng(0)
    current, pooled = Current(16, 3), Current(4, 3)
    conv = Conv2d("conv", rng.normal(size=(3, 2, 3, 3)), None, WINDOW, current)
    return [conv, CurrentMaxPool("pool", current, pooled, POOL)], pooled


def run(stem, images):
    """(values, counts of conv, counts of pool) a step."""
    handlers, pooled = stem
    given = []
    for step, spikes in enumerate(images):
        counts = [handler.handle(step, {"spikes": spikes})[1] for handler in handlers]
        given.append((pooled.rows(step).value.copy(), *counts))
    return given


def test_the_same_image_again_is_read_again(stem):
    still = image(1)
    first, *others = run(stem, [still] * 3)
    for again in others:
        np.testing.assert_array_equal(again[0], first[0])
        assert again[1].macs == again[2].comparisons == 0
        assert (again[1], again[2]) == (OpCounts(), OpCounts())
    assert first[1].macs > 0
    assert first[2].comparisons > 0


def test_another_image_is_computed(stem):
    images = [image(1), image(1), image(2)]  # equal values in another object are computed too
    given = run(stem, images)
    np.testing.assert_array_equal(given[1][0], given[0][0])
    assert not np.array_equal(given[2][0], given[0][0])
    assert all(conv.macs > 0 and pool.comparisons > 0 for _, conv, pool in given)


def test_reset_forgets(stem):
    still = image(1)
    run(stem, [still])
    for handler in stem[0]:
        handler.reset()
    assert run(stem, [still])[0][2].comparisons > 0


def test_a_pool_behind_a_second_writer_always_computes():
    rng = np.random.default_rng(0)
    current, pooled = Current(16, 3), Current(4, 3)
    still, spikes = image(1), Spikes.from_dense(rng.random((4, 4, 2)) < 0.5)
    first = Conv2d("first", rng.normal(size=(3, 2, 3, 3)), None, WINDOW, current)
    second = Conv2d("second", rng.normal(size=(3, 2, 3, 3)), None, WINDOW, current)
    pool = CurrentMaxPool("pool", current, pooled, POOL)
    for step in range(2):
        first.handle(step, {"spikes": still})
        second.handle(step, {"spikes": spikes})
        assert pool.handle(step, {})[1].comparisons > 0
