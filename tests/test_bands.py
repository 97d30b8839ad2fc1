"""A population that takes its currents band by band, against one that waits for the whole map."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine import pipeline
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.handlers import neurons
from evsim.handlers.neurons import IF, LIF, Population
from evsim.handlers.projections import conv
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.gather import bands
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout, TokenMean
from tests import twins
from tests.contract import dyadic, random_spikes

SIZES = st.sampled_from([(1, 1), (1, 200), (3, 130), (20, 20), (70, 7), (9, 64), (9, 65)])


@given(SIZES, st.integers(1, 5000))
def test_bands_follow_one_another_and_cover_the_map(size, n_pixels):
    cut = bands(*size, n_pixels)
    assert (cut[0][0], cut[0][2], cut[-1][3]) == (0, 0, size[0] * size[1])
    assert all(a[1] == b[0] and a[3] == b[2] for a, b in pairwise(cut))
    assert all(first < last and begin < end for first, last, begin, end in cut)


def network(seed, size, bias):
    """Three layers whose populations can take bands, and a fourth whose current is read twice."""
    rng, (height, width) = np.random.default_rng(seed), size
    net = Network("bands", (height, width, 2), 5)
    x = Current(height * width, 20)
    window = Window(height, width, 3, 1, 1)
    net.add(Conv2d("conv", dyadic(rng, 20, 2, 3, 3), np.full(20, bias[0]), window, x), INPUT)
    spikes = net.add(LIF("lif", x, (height, width, 20), "row,col,channel"))
    y = Current(height * width, 8)
    net.add(Linear("linear", dyadic(rng, 8, 20), np.full(8, bias[1]), height * width, y), spikes)
    spikes = net.add(IF("if", y, (height * width, 8), "token,channel"))
    z, mean, logits = Current(height * width, 8), Current(1, 8), Current(1, 3)
    net.add(Linear("shared", dyadic(rng, 8, 8), np.full(8, bias[1]), height * width, z), spikes)
    net.add(LIF("reader", z, (height * width, 8), "token,channel"))
    net.add(TokenMean("mean", z, mean))
    net.add(Linear("head", dyadic(rng, 3, 8), None, 1, logits), net.add(LIF("head_lif", mean, (8,), "channel", 0.1)))
    net.add(Readout("readout", logits))
    return net


def play(net, recording, is_eager, **options):
    recorder = twins.Recorder()
    with pytest.MonkeyPatch.context() as patch:
        if not is_eager:
            patch.setattr(Population, "takes", lambda self, step: False)
        result = simulate(net, recording, [recorder], **options)
    sent = {key: spikes.address.tolist() for key, spikes in recorder.sent.items() if len(spikes)}
    return sent, {(name, step): c for name, step, c in result.ledger.rows()}, result.logits_by_step.tolist()


@given(
    seed=st.integers(0, 2**20),
    size=SIZES,
    bias=st.sampled_from([(0.0, 0.0), (1.5, -0.5), (-0.25, 0.125), (0.5, 2.0)]),
    band=st.sampled_from([1, 2000, 1 << 16]),
    how=st.sampled_from([{}, {"order": "step"}, {"threads": 3}]),
    kinds=st.sampled_from([["binary"], ["binary", "integer", "real"]]),
)
def test_bands_change_neither_spikes_nor_counts_nor_logits(seed, size, bias, band, how, kinds):
    rng = np.random.default_rng(seed)
    n_inputs = 2 * size[0] * size[1]
    recording = [random_spikes(rng, n_inputs, rng.choice([0.0, 0.02, 0.4]), rng.choice(kinds)) for _ in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_FEWEST_NEURONS", 0)
        patch.setattr(conv, "_BAND_VALUES", band)
        in_bands = play(network(seed, size, bias), recording, True, **how)
    assert in_bands == play(network(seed, size, bias), recording, False)


def test_a_population_alone_with_one_writer_takes_bands_and_others_do_not():
    net = network(0, (20, 20), (0.0, 0.0))
    net.reset()
    takers = {p.name for p in net.populations() if p.current.taker(0) is p}
    assert takers == {"lif", "if", "head_lif"}


def test_a_self_waking_population_takes_nothing_while_a_step_is_still_to_do():
    net = network(0, (20, 20), (1.5, 0.0))
    net.reset()
    population = next(p for p in net.populations() if p.wakes_itself)
    assert population.takes(0)
    assert not population.takes(1)
    population.handle(0, {})
    assert population.takes(1)


def test_steps_in_a_row_are_taken_in_one_call():
    net, calls = network(0, (20, 20), (0.0, 0.0)), []
    take = Population.take

    def counted(population, steps, *args):
        calls.append((population.name, list(steps)))
        return take(population, steps, *args)

    recording = [random_spikes(np.random.default_rng(step), 800, 0.4) for step in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Population, "take", counted)
        at_once = play(net, recording, True)
        assert calls[:2] == [("lif", [0, 1, 2, 3, 4]), ("if", [0, 1, 2, 3, 4])]
        patch.setattr(neurons, "_MOST_AT_ONCE", 0)
        calls.clear()
        assert play(net, recording, True) == at_once
        assert calls[:2] == [("lif", [0]), ("lif", [1])]


def test_a_self_waking_population_is_not_given_steps_with_one_missing():
    net = network(0, (20, 20), (1.5, 0.0))
    net.reset()
    population = next(p for p in net.populations() if p.wakes_itself)
    assert population.takes_steps([0, 1, 2])
    assert not population.takes_steps([0, 2])


def test_behind_a_stand_in_the_currents_are_there_to_be_looked_at():
    net = network(0, (20, 20), (0.0, 0.0))
    stage = next(stage for stage, handler in enumerate(net.handlers) if handler.name == "lif")
    population, seen = net.handlers[stage], []

    class StandIn:
        name, reset = "lif", population.reset

        def handle(self, step, inbox):
            seen.append(population.current.rows(step).touched.any())
            return population.handle(step, inbox)

    net.handlers[stage] = StandIn()
    recording = [random_spikes(np.random.default_rng(0), 800, 0.4) for _ in range(3)]
    stood_in = simulate(net, recording).logits
    assert seen == [True] * 3
    np.testing.assert_array_equal(stood_in, simulate(network(0, (20, 20), (0.0, 0.0)), recording).logits)
