"""Spikformer V2 as reconstructed: its fixtures, its options, and pre-training files without a classifier."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.checkpoints.key_map import read_key_map, their_name
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError, NetworkError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks import spikformer_v2
from evsim.networks.spikformer_v2 import tensor_shapes
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import arrange, read_reference
from evsim.traces.trace import Probe
from tests.random_spikformer import n_parameters, random_tensors, spikformer_v2_8_512, tune
from tests.spikformer_checks import check_damage, check_fixture, needs_jit, write_checkpoint

FIXTURES = [
    ("v2_static_sew", {"img_size": "64", "shortcut": "sew"}, 675_840),
    ("v2_dvs2ch_ms", {"img_size": "64", "shortcut": "ms"}, 334_848),
]
OPTIONS = {"n_heads": "2", "n_steps": "2", "img_size": "32", "shortcut": "sew"}
DECODER = {"mask_token": np.zeros((1, 1, 8)), "decoder_embed.weight": np.zeros((8, 16)), "pos_embed": np.zeros((1, 4))}


def small(n_classes=10):
    return replace(
        spikformer_v2_8_512(32, depth=1, n_channels=16), n_classes=n_classes, n_heads=2, n_steps=2
    )  # fmt: skip


def random_checkpoint(hp):
    return random_tensors(tensor_shapes(hp)[0], np.random.default_rng(3))


@needs_jit
@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize(("name", "options", "n_compared"), FIXTURES)
def test_every_spike_equals_the_reference(shared, name, options, n_compared, order):
    check_fixture(shared / "fixtures", name, f"{name}.pth", options, order, n_compared)


def test_the_reconstruction_has_the_published_number_of_parameters():
    live, _ = tensor_shapes(spikformer_v2_8_512())
    assert n_parameters(live) == 51_545_064
    narrow, _ = tensor_shapes(spikformer_v2_8_512(n_channels=384))
    assert n_parameters(narrow) == 29_111_272


def test_it_calls_itself_a_reconstruction(tmp_path):
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, random_checkpoint(small())), OPTIONS)
    assert weights.header["title"] == "Spikformer V2 (reconstruction)"
    assert weights.header["hyper_parameters"]["shortcut"] == "sew"


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path):
    check_damage(tmp_path, random_checkpoint(small()), OPTIONS)


@needs_jit
def test_a_pre_training_file_keeps_its_encoder_and_has_no_logits(shared):
    options = {"img_size": "64", "n_heads": "4", "n_steps": "4", "shortcut": "sew"}
    weights, notes = import_checkpoint(str(shared / "fixtures/v2_mim_pretrain_layout.pth"), options)
    assert any("no classifier" in note for note in notes)
    for name in ("mask_token", "decoder_embed.weight", "decoder_blocks.1.mlp.fc2.bias", "norm.weight", "pos_embed"):
        assert name in weights.header["dropped"]
    network = build_network(weights)
    reference = read_reference(shared / "fixtures/v2_static_sew.npz")
    sample = fit_recording(network, weights, next(reference.recordings()), Preparation()).spikes
    probe = Probe(reference.spikes)
    result = simulate(network, sample, [probe])
    for population in network.populations():
        for step, row in enumerate(arrange(reference.spikes[population.name][:, 0], population)):
            np.testing.assert_array_equal(probe.spikes(population.name, step).address, np.flatnonzero(row))
    assert result.logits.size == 0
    with pytest.raises(NetworkError, match="no classifier: no logits"):
        _ = result.prediction


def test_a_file_with_neither_classifier_nor_decoder_is_incomplete(tmp_path):
    tensors = random_checkpoint(small(n_classes=0))
    with pytest.raises(CheckpointError, match=r"no 2-D tensor head.weight"):
        import_checkpoint(write_checkpoint(tmp_path, tensors), OPTIONS)
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors | DECODER), OPTIONS)
    assert weights.header["hyper_parameters"]["n_classes"] == 0


def test_other_names_are_an_option(tmp_path):
    tensors = random_checkpoint(small())
    names = "patch_embed=stem,block=layers,attn.q_conv=attention.query"
    other = {their_name(name, read_key_map(names)): tensor for name, tensor in tensors.items()}
    assert "layers.0.attention.query.weight" in other
    path = write_checkpoint(tmp_path, other)
    with pytest.raises(CheckpointError, match="no known network family"):
        import_checkpoint(path, OPTIONS)
    weights, _ = import_checkpoint(path, OPTIONS | {"family": "spikformer_v2", "key_map": names})
    image = [Spikes.from_dense(np.random.default_rng(0).standard_normal((32, 32, 3)))] * 2
    plain, _ = import_checkpoint(write_checkpoint(tmp_path, tensors), OPTIONS)
    np.testing.assert_array_equal(
        simulate(build_network(weights), image).logits, simulate(build_network(plain), image).logits
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"shortcut": "dense"}, "shortcut = 'dense': expected sew or ms"),
        ({"key_map": "block"}, "key_map = 'block': expected OURS=THEIRS"),
        ({"down_padding": "-1"}, "down_padding = '-1': expected a whole number"),
        ({"n_heads": "3"}, "16 channels do not divide by 8 and by 3 heads"),
    ],
)
def test_nonsense_is_refused(tmp_path, option, words):
    with pytest.raises(CheckpointError) as refusal:
        import_checkpoint(write_checkpoint(tmp_path, random_checkpoint(small())), OPTIONS | option)
    assert words in str(refusal.value)


@needs_jit
def test_a_full_size_network_runs_an_image():
    """Spikformer V2 8-512 on 224x224."""
    hp, rng = spikformer_v2_8_512(), np.random.default_rng(0)
    live, _ = tensor_shapes(hp)
    image = Spikes.from_dense(rng.standard_normal((224, 224, 3)).astype(np.float32))
    result = tune(spikformer_v2, hp, random_tensors(live, rng), [image] * hp.n_steps)
    assert result.logits.shape == (1000,)
    assert np.isfinite(result.logits).all()
