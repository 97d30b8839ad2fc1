"""The simulators beside evsim run the same network."""

import numpy as np
import pytest

from tests.contract import dyadic
from tools.benchmarks.brian_contestant import Brian
from tools.benchmarks.naive import Evsim, EvsimOneByOne, Scatter, compare
from tools.benchmarks.nest_contestant import Nest
from tools.benchmarks.sanafe_contestant import SanaFe
from tools.benchmarks.small_network import Layer, read_layers, read_recordings
from tools.benchmarks.workload import Unavailable


@pytest.fixture
def small(rng):
    """Two layers of dyadic weights, so that sums are exact in any order, and some events."""
    layers = [
        Layer(1, dyadic(rng, 4, 2, 3, 3).astype(np.float32), dyadic(rng, 4).astype(np.float32), 5),
        Layer(2, dyadic(rng, 3, 4, 3, 3).astype(np.float32), dyadic(rng, 3).astype(np.float32), 5),
    ]
    return layers, [np.flatnonzero(rng.random(50) < density).astype(np.int32) for density in (0.3, 0.0, 0.5, 0.2)]


def test_every_synapse_of_a_convolution_is_there_once(rng):
    layer = Layer(1, rng.standard_normal((3, 2, 3, 3)).astype(np.float32), np.zeros(3, np.float32), 4)
    pairs, weight = layer.synapses()
    assert len(np.unique(pairs, axis=0)) == len(pairs) == (3 * 4 - 2) ** 2 * 2 * 3
    assert np.all(np.diff(pairs[:, 0]) >= 0)
    pre = (1 * 4 + 2) * 2 + 1  # row 1, col 2, channel 1
    target = {int(post): float(w) for (source, post), w in zip(pairs, weight, strict=True) if source == pre}
    assert target[((2 * 4 + 2) * 3) + 2] == layer.weight[2, 1, 0, 1]  # one row below: the kernel's upper row


@pytest.mark.parametrize("compiled", [True, False])
def test_scatter_sends_the_spikes_of_evsim(small, compiled):
    rows = compare([Evsim(*small), Scatter(*small, compiled)], rounds=1)
    assert rows[0].spikes > 50
    assert [row.differing for row in rows] == [0, 0]


def test_sana_fe_sends_the_spikes_of_evsim_again_and_again(small):
    pytest.importorskip("sanafe")
    theirs = SanaFe(*small)
    assert [row.differing for row in compare([Evsim(*small), theirs], rounds=1)] == [0, 0]
    theirs.rewind()
    for ours, again in zip(Evsim(*small).run(), theirs.run(), strict=True):
        for a, b in zip(ours, again, strict=True):
            np.testing.assert_array_equal(a, b)


def test_spike_by_spike_evsim_sends_the_same(small):
    assert [row.differing for row in compare([Evsim(*small), EvsimOneByOne(*small)], rounds=1)] == [0, 0]


@pytest.mark.parametrize(("package", "contestant"), [("brian2", Brian), ("nest", Nest)])
def test_clock_driven_simulators_send_the_spikes_of_evsim_again_and_again(small, package, contestant):
    try:
        theirs = contestant(*small)
    except Unavailable:
        pytest.skip(f"{package} cannot be imported here")
    assert [row.differing for row in compare([Evsim(*small), theirs], rounds=2)] == [0, 0]


def test_the_bundled_layers_and_recordings_fit():
    layers, recording = read_layers(), read_recordings(1)[0]
    assert [layer.weight.shape for layer in layers] == [(8, 2, 3, 3), (16, 8, 3, 3)]
    assert len(recording) == 4
    assert sum(step.size for layer in Evsim(layers, recording).run() for step in layer) > 1000
