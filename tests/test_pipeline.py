import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine import pipeline
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from tests import twins
from tests.nets import random_network, random_recording

SEEDS = st.integers(0, 2**20)


@pytest.fixture(autouse=True)
def even_small_networks(monkeypatch):
    monkeypatch.setattr(pipeline, "_FEWEST_NEURONS", 0)


def play(net, recording, threads):
    recorder = twins.Recorder()
    result = simulate(net, recording, [recorder], threads=threads)
    return result, {key: spikes.address.tolist() for key, spikes in recorder.sent.items()}


@given(SEEDS, SEEDS, st.integers(2, 5))
def test_the_number_of_threads_changes_nothing(net_seed, seed, threads):
    net, recording = random_network(net_seed), random_recording(seed, n_steps=6)
    (alone, spikes_alone), (together, spikes) = play(net, recording, 1), play(net, recording, threads)
    np.testing.assert_array_equal(alone.logits_by_step, together.logits_by_step)
    assert spikes == spikes_alone
    rows, rows_alone = ({(name, step): c for name, step, c in r.ledger.rows()} for r in (together, alone))
    assert rows == rows_alone


def test_observers_see_one_step_after_the_other():
    steps = []

    class Watch:
        def show(self, name, step, spikes):
            steps.append(step)

    simulate(random_network(1), random_recording(2, n_steps=6), [Watch()], threads=3)
    assert steps == sorted(steps)


def test_an_error_in_a_step_ends_the_run(monkeypatch):
    net = random_network(1)
    handler = net.handlers[3]
    monkeypatch.setattr(handler, "handle", lambda step, inbox: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulate(net, random_recording(2, n_steps=6), threads=3)


def test_a_small_network_stays_on_one_thread(monkeypatch):
    monkeypatch.setattr(pipeline, "_FEWEST_NEURONS", 10**9)
    monkeypatch.setattr(pipeline, "ThreadPoolExecutor", None)
    simulate(random_network(1), random_recording(2), threads=2)


def test_a_silent_step_does_not_open_the_way_to_the_step_before():
    """Step 3 has no events and ends at once; step 4 must still wait for step 2 at every stage."""
    net, recording = random_network(1, sleepy=True), random_recording(2, n_steps=8)
    recording[1::2] = [Spikes.none()] * 4
    alone, spikes_alone = play(net, recording, 1)
    for _ in range(20):
        together, spikes = play(net, recording, 3)
        assert spikes == spikes_alone
        assert together.ledger.by_handler() == alone.ledger.by_handler()
