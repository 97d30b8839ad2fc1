"""The official Meta-SpikeFormer's own spikes, reproduced from its names alone; the published sizes; damage; choices."""

import tracemalloc
from dataclasses import asdict, replace

import numpy as np
import pytest

from evsim.checkpoints.weights import Weights
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks.sdt_v2 import HyperParameters, build, tensor_shapes
from tests.official_models import check_counts, check_official, official_model
from tests.random_spikformer import n_parameters, random_tensors
from tests.spikformer_checks import check_damage, needs_jit, write_checkpoint

TOLD = {"n_steps": "4", "img_size": "32", "n_heads": "4"}
SMALL = HyperParameters((8, 8, 16, 16), (2, 1), 4, 4, 3, 10, False, 4, 32, 32)


def tensors_of(hp, seed=0):
    return random_tensors(tensor_shapes(hp)[0], np.random.default_rng(seed))


@needs_jit
def test_every_spike_is_the_official_one(data, tmp_path):
    network, _ = check_official(data, "sdt_v2", tmp_path, TOLD | {"img_size": "64"}, 425_600)
    assert len(network.populations()) == 77
    names = {handler.name for handler in network.handlers}
    assert "block3.0.attn.q_conv.0.body.2.1" in names  # one convolution stands for the whole RepConv
    assert "block3.0.attn.q_conv.0.body.0" not in names


@needs_jit
def test_layer_by_layer_it_is_the_recorded_network(data, tmp_path):
    told = TOLD | {"img_size": "64", "as_written": "true"}
    network, steps = check_official(data, "sdt_v2", tmp_path, told, 425_600)
    check_counts(data, "sdt_v2", network, steps, as_written=True)


PUBLISHED = [((96, 192, 384, 480), 31_333_864), ((128, 256, 512, 640), 55_350_248), ((192, 384, 768, 960), 123_741_160)]


@pytest.mark.parametrize(("widths", "expected"), PUBLISHED)
def test_published_sizes_have_the_published_number_of_parameters(widths, expected):
    hp = HyperParameters(widths, (6, 2), 8, 4, 3, 1000, False, 4, 224, 224)
    assert n_parameters(tensor_shapes(hp)[0]) == expected
    distilled = tensor_shapes(replace(hp, distilled=True))[0]
    assert n_parameters(distilled) == expected + 1000 * (widths[3] + 1)


def test_a_checkpoint_tells_its_sizes(tmp_path):
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors_of(SMALL)), TOLD)
    assert HyperParameters(**weights.header["hyper_parameters"]) == SMALL
    assert build_network(weights).name == "sdt_v2"


def test_the_heads_of_unpublished_widths_are_asked_for(tmp_path):
    with pytest.raises(CheckpointError, match=r"heads of the attention, 8 in the published models\); give") as refusal:
        import_checkpoint(write_checkpoint(tmp_path, tensors_of(SMALL)), {"n_steps": "4", "img_size": "32"})
    assert "--set n_heads=VALUE" in str(refusal.value)


def test_damaged_files_are_refused_by_the_tensor(tmp_path):
    check_damage(tmp_path, tensors_of(SMALL), TOLD)


@needs_jit
def test_two_classifiers_are_averaged(data):
    tensors, reference = official_model(data, "sdt_v2")
    hp = HyperParameters((8, 16, 24, 32), (6, 2), 4, 4, 3, 10, False, 4, 64, 64)
    rng = np.random.default_rng(0)
    tensors["head.weight"] = rng.normal(size=(10, 32)).astype(np.float32)
    second = {"head_kd.weight": rng.normal(size=(10, 32)).astype(np.float32), "head_kd.bias": np.ones(10, np.float32)}
    image = reference.inputs[0].transpose(1, 2, 0).reshape(-1).astype(np.float32)
    steps = [Spikes(np.arange(image.size, dtype=np.int32), image)] * 4
    one = simulate(build(tensors, hp), steps).logits
    both = simulate(build(tensors | second, replace(hp, distilled=True)), steps).logits
    other = simulate(
        build(tensors | {f"head.{p}": second[f"head_kd.{p}"] for p in ("weight", "bias")}, hp), steps
    ).logits
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5, atol=1e-6)
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("expected 4 and 2", {"depths": (1, 2, 3)}),
        ("half of an odd number", {"n_channels": (7, 8, 16, 16)}),
        ("16 and 16 channels do not divide by 3 heads", {"n_heads": 3}),
        ("a size is below 1", {"n_heads": 0}),
    ],
)
def test_sizes_that_no_network_has_are_refused(words, changes):
    with pytest.raises(CheckpointError, match=words):
        replace(SMALL, **changes)


@pytest.mark.parametrize("side", [3000, 20_000, 99_999])
def test_a_small_file_that_claims_a_huge_input_is_refused_before_anything_is_made(side):
    weights = Weights(
        tensors_of(SMALL), {"family": "sdt_v2", "hyper_parameters": asdict(SMALL) | {"height": side, "width": side}}
    )
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="height, width or n_steps are too large for a file of so few weights"):
        build_network(weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
