"""The bundled networks as PyTorch models, for the counters of others: same weights, same recording, whole network.

The models are those of `tools.train`, which reproduce the official code; what the counters look at beyond the numbers
(which product comes first, which neuron it is) is put in here.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from evsim.auditing.layers import audit_run
from evsim.checkpoints.weights import read_weights
from evsim.loading.importing import load_network
from evsim.loading.zoo import default_recording, find_weights
from evsim.runs.preparation import Preparation, prepare_input

torch = pytest.importorskip("torch")

from tools.train.models import spikformer, spikformer_v2  # noqa: E402
from tools.train.models.neurons import LIF  # noqa: E402
from tools.train.models.sdt import SpikeDrivenTransformer  # noqa: E402
from tools.train.models.spikingresformer import SpikingResformer, StepConv2d  # noqa: E402
from tools.train.models.steps import per_step  # noqa: E402

NETWORKS = tuple(
    f"{family}-{data}"
    for family in ("sdt", "spikformer", "spikformer-v2", "spikingresformer")
    for data in ("nmnist", "mnist")
)


@cache
def audited(name):
    """(AuditedRun, input [1, n_steps, channels, height, width]) of a bundled network on its bundled recording."""
    path = find_weights(name)
    network, weights = load_network(path)
    steps = prepare_input(network, weights, default_recording(path), Preparation()).spikes
    height, width, n_channels = network.input_shape
    frames = [one.to_dense(height * width * n_channels).reshape(height, width, n_channels) for one in steps]
    x = torch.from_numpy(np.stack(frames).astype(np.float32).transpose(0, 3, 1, 2).copy())
    return audit_run(network, steps)[0], x[None]


def model(name, node):
    """The network in evaluation mode; `node(v_threshold)` makes its neurons."""
    header = read_weights(find_weights(name))
    built = _BUILDERS[header.header["family"]](header.header["hyper_parameters"])
    found = built.load_state_dict({key: torch.from_numpy(x) for key, x in header.tensors.items()}, strict=False)
    assert not found.unexpected_keys
    replace_neurons(built, node)
    return built.eval()


def replace_neurons(built, node, kinds=LIF):
    """Put `node(v_threshold)` where the model has a population."""
    _replace(built, lambda child: node(child.v_threshold) if isinstance(child, kinds) else None)


def with_plain_convolutions(built):
    """syops looks for the exact type of a layer: a class derived from nn.Conv2d would count nothing."""
    _replace(built, lambda child: _PerStep(child) if isinstance(child, StepConv2d) else None)
    return built


class _PerStep(torch.nn.Module):
    def __init__(self, conv):
        super().__init__()
        sizes = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
        self.plain = torch.nn.Conv2d(*sizes, groups=conv.groups, bias=False)
        self.plain.weight = conv.weight

    def forward(self, x):
        return per_step(x, self.plain)


def _replace(built, other):
    for parent in list(built.modules()):
        for name, child in list(parent.named_children()):
            if (found := other(child)) is not None:
                setattr(parent, name, found)


def with_contiguous_tokens(built):
    """Linear layers whose bias is added inside the product, as PyTorch does for an input in order of memory."""
    for layer in built.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    return built


def _common(hp):
    return {"in_channels": hp["in_channels"], "num_classes": hp["n_classes"], "num_heads": hp["n_heads"]}


def _stack(hp):
    return _common(hp) | {"dim": hp["n_channels"], "layer": hp["depth"], "mlp_ratio": hp["mlp_ratio"]}


def _sdt(hp):
    return SpikeDrivenTransformer(**_stack(hp), time_steps=hp["n_steps"], pooling_stat=hp["pooling_stat"])


def _spikformer(hp):
    return spikformer.Spikformer(hp["variant"], **_stack(hp), time_step=hp["n_steps"])


def _spikformer_v2(hp):
    return spikformer_v2.SpikformerV2(**_stack(hp), time_step=hp["n_steps"], shortcut=hp["shortcut"])


def _spikingresformer(hp):
    sizes = {"planes": hp["n_channels"], "patch_sizes": hp["patches"], "img_size": hp["scale_size"]}
    layers = [["DSSA", "GWFFN"] * depth for depth in hp["depths"]]
    prologue = "default" if hp["stem"] == "7x7" else "conv3x3"
    return SpikingResformer(
        **_common(hp), **sizes, layers=layers, time_steps=hp["n_steps"], group_size=hp["group_size"], prologue=prologue
    )


_BUILDERS = {
    "sdt": _sdt,
    "spikformer": _spikformer,
    "spikformer_v2": _spikformer_v2,
    "spikingresformer": _spikingresformer,
}
