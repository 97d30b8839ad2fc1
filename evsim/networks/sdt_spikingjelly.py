"""The Spike-driven Transformer as SpikingJelly 2 builds it: other names, biases in the stem, no event-camera mode.

``spikingjelly.activation_based.model.SpikeDrivenTransformer``. Built by `evsim.networks.sdt`, under the official names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, shape_of
from evsim.checkpoints.key_map import their_name
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, pooling_stat, positive
from evsim.checkpoints.neuron_constants import take_neuron_constants, take_spike_mode
from evsim.engine.network import Network
from evsim.networks import sdt
from evsim.networks.sdt import HyperParameters

__all__ = ["FAMILY", "TITLE", "HyperParameters", "build", "read_hyper_parameters", "recognises", "tensor_shapes"]

FAMILY = "sdt_spikingjelly"
TITLE = "Spike-driven Transformer (SpikingJelly 2 layout)"

NAMES = {
    "block": "blocks",
    "mlp.fc1_conv": "mlp.fc1",
    "mlp.fc1_bn": "mlp.bn1",
    "mlp.fc2_conv": "mlp.fc2",
    "mlp.fc2_bn": "mlp.bn2",
    "patch_embed.proj_conv": "patch_embed.stages.0.0",
    "patch_embed.proj_bn": "patch_embed.stages.0.1",
    "patch_embed.proj_conv1": "patch_embed.stages.1.0",
    "patch_embed.proj_bn1": "patch_embed.stages.1.1",
    "patch_embed.proj_conv2": "patch_embed.stages.2.0",
    "patch_embed.proj_bn2": "patch_embed.stages.2.1",
    "patch_embed.proj_conv3": "patch_embed.final_stage.0",
    "patch_embed.proj_bn3": "patch_embed.final_stage.1",
}
"""Official module names and SpikingJelly's, in the order in which they are replaced."""

_NETWORK = "Spike-driven Transformer of SpikingJelly 2"


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """A stem with a final stage of its own, and blocks with separate queries."""
    return "patch_embed.final_stage.0.weight" in shapes and "blocks.0.attn.q_conv.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the user."""

    def shape(name: str, n_axes: int) -> tuple[int, ...]:
        return shape_of(choices.path, shapes, name, n_axes, _NETWORK)

    n_channels = shape("patch_embed.rpe_conv.weight", 4)[0]
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    return HyperParameters(
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
        n_channels=n_channels,
        n_heads=1,  # without dilations the heads make no difference
        mlp_ratio=shape("blocks.0.mlp.fc1.weight", 4)[0] // max(n_channels, 1),
        in_channels=shape("patch_embed.stages.0.0.weight", 4)[1],
        n_classes=shape("head.weight", 2)[0],
        spike_mode=take_spike_mode(choices, shapes),
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        pooling_stat=choices.take("pooling_stat", pooling_stat, "which of the four stem stages pool, like 0011"),
        dvs_mode=False,
        height=height,
        width=width,
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses; none is dead."""
    return {their_name(name, NAMES): shape for name, shape in _official_shapes(hp).items()}, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output, under the official names."""
    return sdt.build({name: tensors[their_name(name, NAMES)] for name in _official_shapes(hp)}, hp)


def _official_shapes(hp: HyperParameters) -> Shapes:
    """Under the official names; the convolutions of the stem have a bias here."""
    live, _ = sdt.tensor_shapes(hp)
    stem = {f"patch_embed.proj_conv{suffix}": live[f"patch_embed.proj_bn{suffix}.bias"] for suffix in ("", 1, 2, 3)}
    return live | {f"{layer}.bias": shape for layer, shape in stem.items()}
