"""The official Spikingformer's own spikes, reproduced from its names alone; the published sizes; damage; choices."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.errors import CheckpointError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks.spikingformer import VARIANTS, HyperParameters, tensor_shapes
from tests.official_models import check_counts, check_official
from tests.random_spikformer import n_parameters, random_tensors
from tests.spikformer_checks import check_damage, needs_jit, write_checkpoint

TOLD = {"n_steps": "4", "img_size": "32", "n_heads": "4"}


def hyper_parameters(variant, depth=1, n_channels=32, n_heads=4, n_classes=10, in_channels=3):
    known, side = VARIANTS[variant], 32
    told = (variant, depth, n_channels, n_heads, 4, in_channels, n_classes, 4, side, side)
    return HyperParameters(*told, tau=known.tau)


def tensors_of(hp, seed=0):
    return random_tensors(tensor_shapes(hp)[0], np.random.default_rng(seed))


@needs_jit
def test_every_spike_is_the_official_one(data, tmp_path):
    network, steps = check_official(data, "spikingformer", tmp_path, TOLD | {"n_heads": "8"}, 466_944)
    assert len(network.populations()) == 18
    check_counts(data, "spikingformer", network, steps)


PUBLISHED = [  # the tables of the official README, in millions; some of its digits are rounded, others cut off
    ("imagenet", 8, 384, 8, 1000, 16.81),
    ("imagenet", 8, 512, 8, 1000, 29.68),
    ("imagenet", 8, 768, 8, 1000, 66.34),
    ("cifar10", 4, 256, 8, 10, 4.15),
    ("cifar10", 2, 384, 12, 10, 5.76),
    ("cifar10", 4, 384, 12, 10, 9.32),
]


@pytest.mark.parametrize("published", PUBLISHED)
def test_published_sizes_have_the_published_number_of_parameters(published):
    *sizes, millions = published
    live, _ = tensor_shapes(hyper_parameters(*sizes))
    assert n_parameters(live) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_and_the_name_of_its_file_tell_everything(variant, tmp_path):
    hp = hyper_parameters(variant)
    told = TOLD if variant == "cifar10" else TOLD | {"variant": variant}
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors_of(hp)), told)
    assert HyperParameters(**weights.header["hyper_parameters"]) == hp
    network = build_network(weights)
    kinds = [type(handler).__name__ for handler in network.handlers]
    of_spikes, of_currents = kinds.count("SpikeMaxPool"), kinds.count("CurrentMaxPool")
    n_pools = 2 if "cifar" in variant else 4
    assert (of_spikes, of_currents) == ((0, n_pools) if "cml" in variant else (n_pools, 0))


def test_files_that_look_alike_are_never_guessed(tmp_path):
    path = write_checkpoint(tmp_path, tensors_of(hyper_parameters("events")))
    with pytest.raises(CheckpointError, match="does not show in the tensors: imagenet, events, cml_cifar10") as refusal:
        import_checkpoint(path, TOLD)
    assert "--set variant=VALUE" in str(refusal.value)
    with pytest.raises(CheckpointError, match="variant = 'cifar10': expected imagenet, events"):
        import_checkpoint(path, TOLD | {"variant": "cifar10"})


def test_the_files_for_event_cameras_bring_their_constants(tmp_path):
    path = write_checkpoint(tmp_path, tensors_of(hyper_parameters("cml_events")))
    weights, notes = import_checkpoint(path, {"variant": "cml_events", "n_steps": "16"})
    known, assumed = weights.header["hyper_parameters"], weights.header["assumed"]
    assert (known["tau"], known["n_heads"], known["height"], known["width"]) == (1.75, 16, 128, 128)
    assert assumed["tau"] == "1.75, as the official code has it"
    assert any("tau = 1.75 is no power of two" in note for note in notes)


@pytest.mark.parametrize("variant", ["cifar10", "imagenet"])
def test_damaged_files_are_refused_by_the_tensor(variant, tmp_path):
    told = TOLD if variant == "cifar10" else TOLD | {"variant": variant}
    check_damage(tmp_path, tensors_of(hyper_parameters(variant)), told)


def test_unused_norms_are_dropped_and_counted_out(tmp_path):
    live, dead = tensor_shapes(hyper_parameters("cifar10"))
    tensors = random_tensors(live | dead, np.random.default_rng(0))
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors), TOLD)
    assert sorted(weights.header["dropped"]) == sorted(dead)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("variant 'vit'", {"variant": "vit"}),
        ("a size is below 1", {"n_heads": 0}),
        ("60 channels do not divide by 8 and by 4 heads", {"n_channels": 60}),
        ("30x32: sizes must divide by 4", {"height": 30}),
    ],
)
def test_sizes_that_no_network_has_are_refused(words, changes):
    with pytest.raises(CheckpointError, match=words):
        replace(hyper_parameters("cifar10"), **changes)
