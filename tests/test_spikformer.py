"""The official Spikformer's own spikes, reproduced from its own checkpoints; the published sizes; damaged files."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.checkpoints.choices import Choices
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError
from evsim.loading.importing import import_checkpoint
from evsim.networks import spikformer
from evsim.networks.spikformer import VARIANTS, HyperParameters, build, read_hyper_parameters, tensor_shapes
from tests import twins
from tests.contract import random_spikes
from tests.random_spikformer import n_parameters, random_tensors, spikformer_8_512, tune
from tests.spikformer_checks import check_damage, check_fixture, needs_jit, write_checkpoint

FIXTURES = [
    ("spikformer_cifar10", "spikformer_cifar10.model_best.pth.tar", {}, 1_277_952),
    ("spikformer_cifar10dvs", "spikformer_cifar10dvs.checkpoint_max_test_acc1.pth", {"n_heads": "2"}, 663_552),
]
USED_PARAMETERS = [
    ("imagenet", 8, 384, 3, 1000, 16_816_024),
    ("imagenet", 6, 512, 3, 1000, 23_373_352),
    ("imagenet", 8, 512, 3, 1000, 29_689_384),
    ("imagenet", 10, 512, 3, 1000, 36_005_416),
    ("imagenet", 8, 768, 3, 1000, 66_338_632),
    ("cifar10", 4, 384, 3, 10, 9_324_730),
    ("cifar10", 2, 384, 3, 10, 5_765_050),
    ("cifar10", 4, 256, 3, 10, 4_155_178),
    ("cifar10dvs", 2, 256, 2, 10, 2_566_666),
]
N_KEYS = {"cifar10": (4, 216), "imagenet": (8, 376), "cifar10dvs": (2, 121)}
OPTIONS = {
    "cifar10": {"n_heads": "2", "n_steps": "2", "img_size": "16"},
    "imagenet": {"n_heads": "2", "img_size": "16"},
    "cifar10dvs": {"n_heads": "2", "n_steps": "2", "img_size": "16"},
}


def hyper_parameters(variant, depth=1, n_channels=16, in_channels=3, n_classes=10):
    constants = VARIANTS[variant]
    return HyperParameters(
        variant=variant, depth=depth, n_channels=n_channels, n_heads=2, mlp_ratio=4, in_channels=in_channels,
        n_classes=n_classes, n_steps=2, height=16, width=16, attn_scale=constants.attn_scale,
        pooling_stat=constants.pooling_stat,
    )  # fmt: skip


def random_checkpoint(variant):
    live, dead = tensor_shapes(hyper_parameters(variant))
    rng = np.random.default_rng(3)
    return random_tensors(live, rng) | random_tensors(dead, rng)


@needs_jit
@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize(("name", "checkpoint", "options", "n_compared"), FIXTURES)
def test_every_spike_equals_the_reference(shared, name, checkpoint, options, n_compared, order):
    check_fixture(shared / "fixtures", name, checkpoint, options, order, n_compared)


@pytest.mark.parametrize(("variant", "depth", "n_channels", "in_channels", "n_classes", "expected"), USED_PARAMETERS)
def test_published_sizes_have_the_published_number_of_parameters(
    variant, depth, n_channels, in_channels, n_classes, expected
):
    live, _ = tensor_shapes(hyper_parameters(variant, depth, n_channels, in_channels, n_classes))
    assert n_parameters(live) == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_official_file_of_each_variant_has_as_many_tensors(variant):
    depth, n_keys = N_KEYS[variant]
    live, dead = tensor_shapes(hyper_parameters(variant, depth))
    counters = sum(name.endswith("running_mean") for name in live)
    assert len(live) + len(dead) + counters == n_keys


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_recognised_and_its_dead_tensors_are_named(variant, tmp_path):
    tensors = random_checkpoint(variant)
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors), OPTIONS[variant])
    assert weights.header["family"] == "spikformer"
    assert weights.header["hyper_parameters"]["variant"] == variant
    assert "block.0.norm1.weight" in weights.header["dropped"]
    assert ("pos_embed" in weights.header["dropped"]) == (variant == "cifar10dvs")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_damaged_checkpoint_is_refused_by_name(variant, tmp_path):
    check_damage(tmp_path, random_checkpoint(variant), OPTIONS[variant])


def test_constants_of_the_model_files_need_not_be_told():
    shapes = {name: tensor.shape for name, tensor in random_checkpoint("imagenet").items()}
    hp = read_hyper_parameters(shapes, Choices("file", {}, {"n_heads": "2"}))
    assert (hp.n_steps, hp.height, hp.attn_scale, hp.pooling_stat) == (4, 224, 0.125, "1111")


def test_what_no_file_tells_must_be_told():
    shapes = {name: tensor.shape for name, tensor in random_checkpoint("cifar10").items()}
    with pytest.raises(CheckpointError, match="give --set n_heads=VALUE"):
        read_hyper_parameters(shapes, Choices("file", {"img_size": 32, "time_step": 4}, {}))


def test_a_scale_that_would_round_is_refused():
    shapes = {name: tensor.shape for name, tensor in random_checkpoint("imagenet").items()}
    with pytest.raises(CheckpointError, match=r"attn_scale = '0.1': expected a power of two"):
        read_hyper_parameters(shapes, Choices("file", {}, {"attn_scale": "0.1"}))


def test_sizes_that_do_not_divide_are_refused():
    hp = hyper_parameters("imagenet")
    tensors = random_tensors(tensor_shapes(hp)[0], np.random.default_rng(0))
    with pytest.raises(CheckpointError, match="input 24x16 with pooling_stat 1111: sizes must divide by 16"):
        build(tensors, replace(hp, height=24))
    with pytest.raises(CheckpointError, match="16 channels do not divide by 8 and by 3 heads"):
        build(tensors, replace(hp, n_heads=3))


@pytest.mark.parametrize("density", [0.1, 0.6])
def test_every_operation_of_a_whole_network_is_counted_again(rng, density):
    hp = hyper_parameters("cifar10")
    tensors = random_tensors(tensor_shapes(hp)[0], rng)
    for name in tensors:
        if "_bn" in name and name.endswith("bias"):
            tensors[name] = rng.normal(1, 0.8, tensors[name].shape)  # so that sparse streams still fire
    network, recorder = build(tensors, hp), twins.Recorder()
    recording = [random_spikes(rng, 16 * 16 * 3, density, "integer") for _ in range(3)]
    result = simulate(network, recording, [recorder])
    assert result.ledger.total("block.0.attn.qkv").acs > 0
    twins.assert_same_run(network, result, recorder, twins.recount(network, recorder.sent, 3))


@needs_jit
def test_a_full_size_network_runs_an_image():
    """Spikformer-8-512 on 224x224, sums of spikes up to 17 deep."""
    hp, rng = spikformer_8_512(), np.random.default_rng(0)
    live, _ = tensor_shapes(hp)
    image = Spikes.from_dense(rng.standard_normal((224, 224, 3)).astype(np.float32))
    result = tune(spikformer, hp, random_tensors(live, rng), [image] * hp.n_steps)
    assert result.logits.shape == (1000,)
    assert np.isfinite(result.logits).all()
    attention = result.ledger.by_handler()["block.7.attn.qkv"]
    assert attention.acs > 0
    assert attention.acs <= min(attention.acs_kv_first, attention.acs_qk_first)
