"""The official QKFormer's own spikes, reproduced from its names alone; the published sizes; damaged files; choices."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.errors import CheckpointError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks.qkformer import VARIANTS, HyperParameters, tensor_shapes
from tests.official_models import check_counts, check_official
from tests.random_spikformer import n_parameters, random_tensors
from tests.spikformer_checks import check_damage, needs_jit, write_checkpoint

TOLD = {"n_steps": "4", "img_size": "32"}


def hyper_parameters(variant, depths, n_channels=64, n_heads=None, n_classes=10, mlp_ratio=4, side=32):
    heads = n_heads or VARIANTS[variant].n_heads
    n_in = 2 if variant == "cifar10dvs" else 3
    return HyperParameters(variant, depths, n_channels, heads, mlp_ratio, n_in, n_classes, 4, side, side)


SMALL = {
    "cifar10": hyper_parameters("cifar10", (1, 1, 1)),
    "imagenet": hyper_parameters("imagenet", (1, 2, 1), n_heads=4),
    "cifar10dvs": hyper_parameters("cifar10dvs", (1, 1), mlp_ratio=1),
}


def tensors_of(hp, seed=0):
    return random_tensors(tensor_shapes(hp)[0], np.random.default_rng(seed))


@needs_jit
def test_every_spike_is_the_official_one(data, tmp_path):
    network, steps = check_official(data, "qkformer", tmp_path, TOLD, 1_613_824)
    assert len(network.populations()) == 35
    check_counts(data, "qkformer", network, steps)


PUBLISHED = [  # the paper's tables of ImageNet, CIFAR100 and CIFAR10-DVS, in millions
    ("imagenet", (1, 2, 7), 384, 6, 1000, 4, 16.47),
    ("imagenet", (1, 2, 7), 512, 8, 1000, 4, 29.08),
    ("imagenet", (1, 2, 7), 768, 12, 1000, 4, 64.96),
    ("cifar10", (1, 1, 2), 384, 8, 100, 4, 6.74),
    ("cifar10dvs", (1, 1), 256, 16, 10, 1, 1.50),
]


@pytest.mark.parametrize("published", PUBLISHED)
def test_published_sizes_have_the_published_number_of_parameters(published):
    *sizes, millions = published
    hp = hyper_parameters(*sizes)
    assert round(n_parameters(tensor_shapes(hp)[0]) / 1e6, 2) == millions


@pytest.mark.parametrize("variant", SMALL)
def test_a_checkpoint_tells_its_sizes(variant, tmp_path):
    hp = SMALL[variant]
    heads = {"n_heads": "4"} if variant == "imagenet" else {}
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors_of(hp)), TOLD | heads)
    assert HyperParameters(**weights.header["hyper_parameters"]) == hp
    assert build_network(weights).name == "qkformer"


@pytest.mark.parametrize("variant", SMALL)
def test_damaged_files_are_refused_by_the_tensor(variant, tmp_path):
    heads = {"n_heads": "4"} if variant == "imagenet" else {}
    check_damage(tmp_path, tensors_of(SMALL[variant]), TOLD | heads)


def test_what_no_tensor_tells_is_asked_for_in_one_message(tmp_path):
    path = write_checkpoint(tmp_path, tensors_of(SMALL["imagenet"]))
    with pytest.raises(CheckpointError) as refusal:
        import_checkpoint(path, {})
    told = str(refusal.value)
    assert "give --set img_size=VALUE --set n_heads=VALUE --set n_steps=VALUE" in told
    assert "6 at 384 channels" in told


def test_the_heads_of_the_model_files_are_remembered_as_assumed(tmp_path):
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors_of(SMALL["cifar10dvs"])), TOLD)
    assert weights.header["assumed"]["n_heads"] == "16, as the official code has it"


def test_arguments_that_the_official_file_does_not_heed_are_asked_about(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(tensor) for name, tensor in tensors_of(SMALL["cifar10"]).items()}
    args = {"num_heads": 4, "time_step": 4, "img_size": 32}
    torch.save({"state_dict": tensors, "args": args}, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match="official file has 8 whatever its arguments say, and they say 4"):
        import_checkpoint(str(tmp_path / "best.pth"), {})
    weights, _ = import_checkpoint(str(tmp_path / "best.pth"), {"n_heads": "8"})
    assert weights.header["hyper_parameters"]["n_heads"] == 8


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("variant 'vit'", {"variant": "vit"}),
        ("expected 3 stages", {"depths": (1, 1)}),
        ("a size is below 1", {"n_heads": 0}),
        ("do not divide into the stages", {"n_channels": 60}),
        ("do not divide by 5 heads", {"n_heads": 5}),
    ],
)
def test_sizes_that_no_network_has_are_refused(words, changes):
    with pytest.raises(CheckpointError, match=words):
        replace(SMALL["cifar10"], **changes)


@pytest.mark.parametrize("side", [33, 30])
def test_an_input_that_the_stages_do_not_halve_evenly_is_refused(side):
    with pytest.raises(CheckpointError, match=f"{side}x{side}: sizes must divide by 4"):
        replace(SMALL["cifar10"], height=side, width=side)
