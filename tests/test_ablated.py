"""The Spike-driven Transformer with another attention: against the dense model in PyTorch, and how it is told apart."""

import argparse
import os

import numpy as np
import pytest

from evsim.errors import CheckpointError
from evsim.handlers.attention.sdsa import Gate
from evsim.handlers.attention.ssa import SSA
from evsim.loading.importing import build_network, import_checkpoint
from evsim.recordings.steps import frame_spikes
from evsim.traces.verify import verify
from tests.test_sdt_against_torch import reference_of

torch = pytest.importorskip("torch")
if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("too slow without compiled kernels", allow_module_level=True)

ARGS = {
    "model": "ablated", "dim": 32, "layer": 2, "num_heads": 4, "mlp_ratio": 4, "in_channels": 2, "num_classes": 5,
    "time_steps": 3, "pooling_stat": "1100", "spike_mode": "lif", "dvs_mode": False, "TET": False, "img_size": 32,
}  # fmt: skip
ATTENTIONS = {"sdsa": {}, "ssa": {}, "dssa": {"mlp_ratio": 4.5}}


def random_model(args):
    """A dense model whose every node fires."""
    from tools.train.networks import build

    torch.manual_seed(5)
    model = build(argparse.Namespace(**args)).eval()
    for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
        values = torch.randn(parameter.shape) if parameter.is_floating_point() else parameter
        is_norm = "_bn" in name or ".bn." in name
        if "firing_rate" in name:
            parameter.data.copy_(0.1 + 0.1 * values.abs())
        elif name.endswith("running_var"):
            parameter.data.copy_(0.5 + values.abs())
        elif is_norm and name.endswith("weight"):
            parameter.data.copy_(6 + values)
        elif name.endswith("running_mean"):
            parameter.data.copy_(0.1 * values)
        elif is_norm:
            parameter.data.copy_(0.6 + 0.4 * values)
    return model


def checkpoint(path, attention, **changed):
    args = ARGS | ATTENTIONS[attention] | {"attention": attention}
    model = random_model(args)
    torch.save({"state_dict": model.state_dict(), "args": argparse.Namespace(**(args | changed))}, path)
    return model


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_agrees_with_pytorch(tmp_path, attention):
    model = checkpoint(tmp_path / "a.pth.tar", attention)
    inputs = np.random.default_rng(0).poisson(0.3, (2, 3, 2, 32, 32)).astype(np.float32)
    reference = reference_of(model, inputs)
    assert {name for name, array in reference.spikes.items() if not array.any()} == set()
    weights, _ = import_checkpoint(str(tmp_path / "a.pth.tar"), {})
    network = build_network(weights)
    found = verify(network, [frame_spikes(sample) for sample in inputs], reference)
    assert found.agrees
    assert found.predictions_differing == 0
    assert found.local.compared == sum(array.size for array in reference.spikes.values()) - found.exact.compared
    assert found.logits_difference < 1e-3


def test_the_stored_arguments_say_which_attention(tmp_path):
    for attention, handler in (("sdsa", Gate), ("ssa", SSA)):
        checkpoint(tmp_path / "a.pth.tar", attention)
        weights, _ = import_checkpoint(str(tmp_path / "a.pth.tar"), {})
        assert (weights.header["family"], weights.header["hyper_parameters"]["attention"]) == ("ablated", attention)
        assert any(isinstance(h, handler) for h in build_network(weights).handlers)


def test_tensors_alone_are_those_of_the_plain_network_unless_the_user_says_otherwise(tmp_path):
    model = checkpoint(tmp_path / "a.pth.tar", "ssa")
    torch.save(model.state_dict(), tmp_path / "bare.pth")
    told = {"n_steps": "3", "pooling_stat": "1100", "img_size": "32"}
    plain, _ = import_checkpoint(str(tmp_path / "bare.pth"), told | {"dvs_mode": "false"})
    assert plain.header["family"] == "sdt"
    said, _ = import_checkpoint(str(tmp_path / "bare.pth"), told | {"family": "ablated", "attention": "ssa"})
    assert any(isinstance(h, SSA) for h in build_network(said).handlers)
    with pytest.raises(CheckpointError, match="tell attention"):
        import_checkpoint(str(tmp_path / "bare.pth"), told | {"family": "ablated"})


@pytest.mark.parametrize("options", [{"attention": "softmax"}, {"attention": "dssa"}])
def test_an_attention_that_does_not_fit_is_refused(tmp_path, options):
    checkpoint(tmp_path / "a.pth.tar", "ssa")
    with pytest.raises(CheckpointError, match=r"expected sdsa, ssa or dssa|firing_rate_x"):
        import_checkpoint(str(tmp_path / "a.pth.tar"), options)


def test_spikingresformer_without_its_group_wise_convolutions_agrees_with_pytorch(tmp_path):
    args = {
        "model": "spikingresformer", "layers": [["DSSA", "GWFFN"]] * 2, "planes": [16, 32], "num_heads": [1, 2],
        "patch_sizes": [4, 2], "in_channels": 2, "num_classes": 5, "img_size": 16, "T": 3, "time_steps": 3,
        "group_size": 16, "prologue": "conv3x3", "spike_mode": "lif", "n_convs": 0,
    }  # fmt: skip
    model, path = random_model(args), str(tmp_path / "a.pth.tar")
    torch.save({"state_dict": model.state_dict(), "args": argparse.Namespace(**args)}, path)
    inputs = np.random.default_rng(0).poisson(0.3, (2, 3, 2, 16, 16)).astype(np.float32)
    weights, notes = import_checkpoint(path, {})
    assert any("no group-wise convolutions" in note for note in notes)
    found = verify(build_network(weights), [frame_spikes(sample) for sample in inputs], reference_of(model, inputs))
    assert found.agrees
    assert found.predictions_differing == 0
