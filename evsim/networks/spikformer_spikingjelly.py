"""Spikformer as SpikingJelly 2 builds it (``spikingjelly.activation_based.model.Spikformer``): other names, no biases.

It differs from the official files where the stem pools: before its neurons, on real values. Queries, keys and values
are one layer of three times the width. Built by `evsim.networks.spikformer`, under the official names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.key_map import their_name
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, pooling_stat, positive, power_of_two
from evsim.checkpoints.neuron_constants import take_neuron_constants
from evsim.engine.network import Network
from evsim.networks import spikformer
from evsim.networks.spikformer import HyperParameters

__all__ = ["FAMILY", "TITLE", "HyperParameters", "build", "read_hyper_parameters", "recognises", "tensor_shapes"]

FAMILY = "spikformer_spikingjelly"
TITLE = "Spikformer (SpikingJelly 2 layout)"

NAMES = {
    "block": "blocks",
    "attn.proj_conv": "attn.proj_conv_bn.0",
    "attn.proj_bn": "attn.proj_conv_bn.1",
    "mlp.fc1_conv": "mlp.fc1.0",
    "mlp.fc1_bn": "mlp.fc1.1",
    "mlp.fc2_conv": "mlp.fc2.0",
    "mlp.fc2_bn": "mlp.fc2.1",
    "patch_embed.proj_conv": "patch_embed.stages.0.conv_bn.block.0",
    "patch_embed.proj_bn": "patch_embed.stages.0.conv_bn.block.1",
    "patch_embed.proj_conv1": "patch_embed.stages.1.conv_bn.block.0",
    "patch_embed.proj_bn1": "patch_embed.stages.1.conv_bn.block.1",
    "patch_embed.proj_conv2": "patch_embed.stages.2.conv_bn.block.0",
    "patch_embed.proj_bn2": "patch_embed.stages.2.conv_bn.block.1",
    "patch_embed.proj_conv3": "patch_embed.stages.3.conv_bn.block.0",
    "patch_embed.proj_bn3": "patch_embed.stages.3.conv_bn.block.1",
    "patch_embed.rpe_conv": "patch_embed.positional_encoding.conv_bn.block.0",
    "patch_embed.rpe_bn": "patch_embed.positional_encoding.conv_bn.block.1",
}
"""Official module names and SpikingJelly's, in the order in which they are replaced."""

_HEADS = {256: 8, 384: 12}
_NETWORK = "Spikformer of SpikingJelly 2"


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Blocks with one layer for queries, keys and values, behind a stem of numbered stages."""
    return "blocks.0.attn.qkv_conv_bn.0.weight" in shapes and "patch_embed.stages.0.conv_bn.block.0.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the user; heads as in the constructors `spikformer_ti` and `_s`."""

    def shape(name: str, n_axes: int) -> tuple[int, ...]:
        return shape_of(choices.path, shapes, name, n_axes, _NETWORK)

    n_channels = shape("blocks.0.attn.proj_conv_bn.0.weight", 3)[0]
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    heads = {"default": _HEADS[n_channels]} if n_channels in _HEADS else {}
    return HyperParameters(
        variant="spikingjelly",
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
        n_channels=n_channels,
        n_heads=choices.take("n_heads", positive, "heads of the attention", "num_heads", **heads),
        mlp_ratio=shape("blocks.0.mlp.fc1.0.weight", 3)[0] // max(n_channels, 1),
        in_channels=shape("patch_embed.stages.0.conv_bn.block.0.weight", 4)[1],
        n_classes=shape("head.weight", 2)[0],
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        height=height,
        width=width,
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the attention", constant=1 / 8),
        pooling_stat=choices.take("pooling_stat", pooling_stat, "0011 for patch_size 4, 1111 for patch_size 16"),
        pool="currents",
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses; none is dead."""
    live = {their_name(name, NAMES): shape for name, shape in _own_shapes(hp).items()}
    for i in range(hp.depth):
        live[f"blocks.{i}.attn.qkv_conv_bn.0.weight"] = (3 * hp.n_channels, hp.n_channels, 1)
        live |= norm_shapes(f"blocks.{i}.attn.qkv_conv_bn.1", 3 * hp.n_channels)
    return live, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output, under the official names."""
    official = {name: tensors[their_name(name, NAMES)] for name in _own_shapes(hp)}
    for i in range(hp.depth):
        official |= _split_query_key_value(tensors, i, hp.n_channels)
    return spikformer.build(official, hp)


def _own_shapes(hp: HyperParameters) -> Shapes:
    """The tensors that only have another name here, under the official one."""
    n, hidden = hp.n_channels, hp.mlp_ratio * hp.n_channels
    shapes = spikformer.stem_shapes(hp)
    for i in range(hp.depth):
        for layer, n_out, n_in in (("attn.proj", n, n), ("mlp.fc1", hidden, n), ("mlp.fc2", n, hidden)):
            shapes[f"block.{i}.{layer}_conv.weight"] = (n_out, n_in, 1)
            shapes |= norm_shapes(f"block.{i}.{layer}_bn", n_out)
    return shapes | {"head.weight": (hp.n_classes, n), "head.bias": (hp.n_classes,)}


def _split_query_key_value(tensors: Mapping[str, np.ndarray], i: int, n: int) -> dict[str, np.ndarray]:
    """The three thirds of the fused layer of one block, under the official names."""
    theirs = {"conv.weight": "0.weight"}
    theirs |= {f"bn.{part}": f"1.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
    return {
        f"block.{i}.attn.{role}_{part}": tensors[f"blocks.{i}.attn.qkv_conv_bn.{other}"][third * n : (third + 1) * n]
        for third, role in enumerate("qkv")
        for part, other in theirs.items()
    }
