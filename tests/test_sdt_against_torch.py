"""Every variant of the Spike-driven Transformer against the dense model in PyTorch, on random weights."""

import argparse
import os

import numpy as np
import pytest

from evsim.loading.importing import build_network, import_checkpoint
from evsim.recordings.steps import frame_spikes, image_spikes
from evsim.traces.reference import Reference
from evsim.traces.verify import verify

torch = pytest.importorskip("torch")
if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("too slow without compiled kernels", allow_module_level=True)

VARIANTS = {
    "plif": {"spike_mode": "plif"},
    "plif on events": {"spike_mode": "plif", "dvs_mode": True, "in_channels": 2},
    "every stage pools": {"pooling_stat": "1111", "img_size": 48},
    "no stage pools": {"pooling_stat": "0000", "img_size": 8},
    "first stages pool": {"pooling_stat": "1100"},
    "mlp ratio 1, plif": {"mlp_ratio": 1, "spike_mode": "plif"},
    "tet": {"TET": True, "in_channels": 2},
    "one head": {"num_heads": 1, "dvs_mode": True},
    "oblong": {"img_size": (16, 32)},
}
DEFAULTS = {
    "dim": 32, "layer": 2, "num_heads": 4, "mlp_ratio": 4, "in_channels": 3, "num_classes": 5, "time_steps": 3,
    "pooling_stat": "0011", "spike_mode": "lif", "dvs_mode": False, "TET": False, "img_size": 16,
}  # fmt: skip


def random_model(args, seed):
    """A dense model whose every node fires: random weights, BatchNorm statistics and time constants."""
    from tools.train.models.sdt import SpikeDrivenTransformer

    torch.manual_seed(seed)
    model = SpikeDrivenTransformer(
        in_channels=args["in_channels"], num_classes=args["num_classes"], dim=args["dim"], layer=args["layer"],
        num_heads=args["num_heads"], mlp_ratio=args["mlp_ratio"], pooling_stat=args["pooling_stat"],
        spike_mode=args["spike_mode"], dvs_mode=args["dvs_mode"], time_steps=args["time_steps"], TET=args["TET"],
    ).eval()  # fmt: skip
    for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
        values = torch.randn(parameter.shape) if parameter.is_floating_point() else parameter
        if name.endswith("_lif.w"):
            parameter.data.copy_(0.5 * values)
        elif name.endswith("running_var"):
            parameter.data.copy_(0.5 + values.abs())
        elif "_bn" in name and name.endswith("weight"):
            parameter.data.copy_(6 + values)
        elif name.endswith("running_mean"):
            parameter.data.copy_(0.1 * values)
        elif "_bn" in name:
            parameter.data.copy_(0.6 + 0.4 * values)
    return model


def reference_of(model, inputs):
    from tools.train.models.neurons import LIF

    spikes, hooks = {}, []
    for name, module in model.named_modules():
        if isinstance(module, LIF):
            keep = lambda m, i, s, name=name: spikes.__setitem__(name, s.bool().numpy().astype(np.uint8))  # noqa: E731
            hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        logits = model(torch.from_numpy(inputs)).numpy()
    return Reference(inputs, spikes, logits.mean(axis=0) if logits.ndim == 3 else logits)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_agrees_with_pytorch(tmp_path, variant):
    args = DEFAULTS | VARIANTS[variant]
    model = random_model(args, seed=3)
    path = tmp_path / "model_best.pth.tar"
    torch.save({"state_dict": model.state_dict(), "args": argparse.Namespace(**args)}, path)
    rng = np.random.default_rng(0)
    height, width = args["img_size"] if isinstance(args["img_size"], tuple) else (args["img_size"],) * 2
    size = (2, args["in_channels"], height, width)
    if args["in_channels"] == 2:
        inputs = rng.poisson(0.3, (2, args["time_steps"], *size[1:])).astype(np.float32)
        samples = [frame_spikes(sample) for sample in inputs]
    else:
        inputs = rng.normal(size=size).astype(np.float32)
        samples = [(image_spikes(sample),) * args["time_steps"] for sample in inputs]
    reference = reference_of(model, inputs)
    assert {name for name, array in reference.spikes.items() if not array.any()} == set()
    weights, _ = import_checkpoint(str(path), {})
    verification = verify(build_network(weights), samples, reference)
    assert verification.agrees
    assert verification.free.compared > 10_000
    assert verification.free.differing == 0
    assert verification.logits_difference < 1e-4
