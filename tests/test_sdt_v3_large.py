"""The large SDT-V3: its own spikes, ties up, reproduced from its names alone; the published size; damage; choices."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError
from evsim.handlers.neuron_forms.forms import Quantiser
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks import sdt_v3_large
from evsim.networks.sdt_v3_large import HyperParameters, build, tensor_shapes
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.verify import verify
from tests.random_spikformer import n_parameters, random_tensors
from tests.spikformer_checks import check_damage, needs_jit, write_checkpoint

TOLD = {"img_size": "64", "n_heads": "2"}
SMALL = HyperParameters((4, 8, 16), 2, 2, 4, 1, 3, 10, True, 64, 64)


def tensors_of(hp, seed=0):
    return random_tensors(tensor_shapes(hp)[0], np.random.default_rng(seed))


@needs_jit
def test_every_spike_is_the_official_one(data):
    weights, _ = import_checkpoint(str(data / "sdt_v3_large.safetensors"), TOLD)
    network = build_network(weights)
    reference = read_reference(data / "sdt_v3_large.npz")
    assert set(reference.spikes) == {population.name for population in network.populations()}
    assert all(sent.any() for sent in reference.spikes.values())
    found = compared(network, weights, reference)
    assert (found.exact.differing, found.local.differing, found.free.differing) == (0, 0, 0)
    assert found.free.compared == sum(sent.size for sent in reference.spikes.values())
    assert found.logits_difference < 1e-6 * np.abs(reference.logits).max()


@needs_jit
def test_ties_rounded_to_even_would_be_another_network(data, monkeypatch):
    weights, _ = import_checkpoint(str(data / "sdt_v3_large.safetensors"), TOLD)
    reference = read_reference(data / "sdt_v3_large.npz")
    monkeypatch.setattr(sdt_v3_large, "Quantiser", lambda high, ties: Quantiser(high=high))
    found = compared(build_network(weights), weights, reference)
    assert found.exact.differing > 0
    assert not found.agrees


def compared(network, weights, reference):
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in reference.recordings()]
    return verify(network, samples, reference)


def test_the_published_size_has_the_published_number_of_parameters():
    hp = HyperParameters((196, 384, 768), 12, 8, 4, 1, 3, 1000, True, 224, 224)
    assert n_parameters(tensor_shapes(hp)[0]) == 171_740_714


def test_a_checkpoint_tells_its_sizes(tmp_path):
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors_of(SMALL)), TOLD)
    assert HyperParameters(**weights.header["hyper_parameters"]) == SMALL
    assert build_network(weights).name == "sdt_v3_large"


def test_damaged_files_are_refused_by_the_tensor(tmp_path):
    check_damage(tmp_path, tensors_of(SMALL), TOLD)


def test_the_file_that_its_authors_cannot_run_is_refused(tmp_path):
    tensors = tensors_of(SMALL) | {"block3.0.rep_conv.conv1.0.weight": np.ones((16, 16, 1))}
    with pytest.raises(
        CheckpointError, match=r"has rep_conv layers \(choice 'base'\), which the official code cannot run"
    ):
        import_checkpoint(write_checkpoint(tmp_path, tensors), TOLD)


@needs_jit
def test_the_logits_are_the_mean_of_a_real_and_a_spiking_classifier(data):
    weights, _ = import_checkpoint(str(data / "sdt_v3_large.safetensors"), TOLD)
    tensors, image = weights.tensors, read_reference(data / "sdt_v3_large.npz").inputs[0].transpose(1, 2, 0)
    steps = [Spikes(np.arange(image.size, dtype=np.int32), image.reshape(-1).astype(np.float32))]
    both = simulate(build(tensors, SMALL), steps).logits
    single = {name: tensor for name, tensor in tensors.items() if not name.startswith("head_kd")}
    real = simulate(build(single, replace(SMALL, distilled=False)), steps).logits
    silenced = tensors | {"head.weight": np.zeros((10, 16), np.float32), "head.bias": np.zeros(10, np.float32)}
    spiking = 2 * simulate(build(silenced, SMALL), steps).logits
    np.testing.assert_allclose(both, (real + spiking) / 2, rtol=1e-4, atol=1e-5)
    assert np.abs(real - spiking).max() > 1e-3


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("expected 3 and 1", {"n_channels": (4, 8)}),
        ("half of an odd number", {"n_channels": (5, 8, 16)}),
        ("16 channels do not divide by 5 heads", {"n_heads": 5}),
        ("levels 4 and n_steps 4", {"n_steps": 4}),
    ],
)
def test_sizes_that_no_network_has_are_refused(words, changes):
    with pytest.raises(CheckpointError, match=words):
        replace(SMALL, **changes)
