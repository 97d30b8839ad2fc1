"""The trained N-MNIST network of the NIR paper (exported from Sinabs; BSD-3-Clause), on recordings that are bundled.

Pedersen et al., Neuromorphic intermediate representation, Nature Communications 15, 8122 (2024), paper/02_cnn.
"""

from pathlib import Path

import nir
import numpy as np
import pytest

import evsim
from evsim.loading.zoo import zoo_folder
from evsim.recordings import bin_events, read_recording
from tests import naive_nir
from tests.nir_nets import spikes_of

READINGS = [(reset, spikes) for reset in ("v_reset", "subtract") for spikes in ("one", "many")]


@pytest.fixture(scope="module")
def path():
    return str(Path(__file__).parent / "data" / "nir" / "cnn_sinabs.nir")


@pytest.mark.parametrize(("reset", "spikes"), READINGS)
def test_every_spike_is_that_of_the_standard_s_equations(path, reset, spikes):
    """80 steps of one recording, dense in float64; no sum comes near enough to a threshold for float32 to matter."""
    n_steps = 80
    network = evsim.load(path, dt="1ms", steps=n_steps, reset=reset, spikes=spikes)
    recording = str(zoo_folder() / "nmnist_digit_3.h5")
    ours, run = spikes_of(network, recording, n_steps)
    frames = bin_events(read_recording(recording), n_steps, 1000)
    theirs = naive_nir.run(nir.read(path), frames, 1e-3, reset, spikes)
    assert set(ours) == {"1", "3", "6", "10", "12"}
    for name, rows in ours.items():
        assert rows.any()
        np.testing.assert_array_equal(rows, theirs[name].reshape(n_steps, -1))
    np.testing.assert_allclose(run.logits, theirs["output"].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("reset", "spikes"), READINGS)
def test_accuracy_in_the_protocol_of_the_paper(path, reset, spikes):
    """300 steps of 1 ms, the class with the most spikes; ten recordings here, docs/nir.md has all hundred."""
    network = evsim.load(path, dt="1ms", steps=300, reset=reset, spikes=spikes)
    report = evsim.evaluate(network, str(zoo_folder() / "nmnist_test_100.h5"), limit=10, workers=1)
    assert (report.top1.hits, report.n_recordings) == (10, 10)


def test_fewer_steps_than_the_recording_has_and_more(path):
    network = evsim.load(path, dt="1ms")
    recording = str(zoo_folder() / "nmnist_digit_7.h5")
    whole, more = network.run(recording), network.run(recording, steps=400)
    assert 300 <= whole.n_steps < 400
    np.testing.assert_array_equal(more.logits_by_step[: whole.n_steps], whole.logits_by_step)
    assert more.logits_by_step[whole.n_steps + 1 :].sum() == 0  # no bias, no leak: nothing fires without events
    assert whole.prediction == 7
