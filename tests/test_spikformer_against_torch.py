"""Every variant of Spikformer and Spikformer V2 against the dense model in PyTorch, on random weights."""

import argparse

import numpy as np
import pytest

from evsim.loading.importing import build_network, import_checkpoint
from evsim.recordings.steps import frame_spikes, image_spikes
from evsim.traces.verify import verify
from tests.spikformer_checks import train_statistics
from tests.test_sdt_against_torch import reference_of

torch = pytest.importorskip("torch")

SIZES = {"in_channels": 3, "num_classes": 5, "dim": 32, "layer": 2, "num_heads": 2, "mlp_ratio": 4, "time_step": 3}
VARIANTS = {
    "cifar10": ("spikformer", {"variant": "cifar10", "img_size": 24}),
    "imagenet": ("spikformer", {"variant": "imagenet", "img_size": (64, 96)}),
    "cifar10dvs": ("spikformer", {"variant": "cifar10dvs", "img_size": 96, "in_channels": 2}),
    "mlp ratio 2, one head": ("spikformer", {"variant": "cifar10", "img_size": 16, "mlp_ratio": 2, "num_heads": 1}),
    "v2 sew": ("spikformer_v2", {"shortcut": "sew", "img_size": (64, 80)}),
    "v2 ms": ("spikformer_v2", {"shortcut": "ms", "img_size": 80}),
    "v2 ms on events": ("spikformer_v2", {"shortcut": "ms", "img_size": 96, "in_channels": 2, "num_heads": 1}),
}


def random_inputs(args):
    """Two samples: images, or counts of events a step."""
    rng = np.random.default_rng(0)
    sides = args["img_size"] if isinstance(args["img_size"], tuple) else (args["img_size"],) * 2
    if args["in_channels"] == 2:
        return rng.poisson(0.4, (2, args["time_step"], 2, *sides)).astype(np.float32)
    return rng.normal(size=(2, 3, *sides)).astype(np.float32)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_agrees_with_pytorch(tmp_path, variant):
    from tools.train.networks import build

    family, options = VARIANTS[variant]
    args = {**SIZES, **options, "model": family}
    inputs = random_inputs(args)
    torch.manual_seed(5)
    model = train_statistics(build(argparse.Namespace(**args)), torch.from_numpy(inputs))
    path = tmp_path / "model_best.pth.tar"
    torch.save({"state_dict": model.state_dict(), "args": argparse.Namespace(**args)}, path)
    reference = reference_of(model, inputs)
    assert {name for name, array in reference.spikes.items() if not array.any()} == set()
    weights, _ = import_checkpoint(str(path), {})
    assert weights.header["family"] == family
    if args["in_channels"] == 2:
        samples = [frame_spikes(sample) for sample in inputs]
    else:
        samples = [(image_spikes(sample),) * args["time_step"] for sample in inputs]
    verification = verify(build_network(weights), samples, reference)
    assert verification.agrees
    assert verification.exact.compared > 0
    assert verification.free.differing == 0
    assert verification.logits_difference < 1e-4
