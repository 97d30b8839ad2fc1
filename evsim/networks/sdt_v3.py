"""Efficient Spiking Transformer (SDT-V3; Yao et al., TPAMI 2025), the base models: spikes that are whole numbers.

    image -> [down-sampling -> blocks] four times -> token mean -> quantiser -> classifier

A neuron remembers nothing: it sends round(clamp(u, 0, D)), ties to even, and each of these is worth 1 / D (I-LIF with
one step of training; on a neuromorphic chip, up to D binary spikes). A membrane shortcut runs through each stage: the
real-valued stream u. Names and shapes are those of the official checkpoints. Shapes in comments are rows x columns x
channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, image_size, whole
from evsim.engine.network import Network
from evsim.errors import CheckpointError
from evsim.graph.assembly import GraphAssembly
from evsim.graph.lower.lower import lower
from evsim.graph.rolling.program import Source
from evsim.handlers.neuron_forms.forms import Quantiser
from evsim.networks import meta_former

FAMILY = "sdt_v3"
TITLE = "Efficient Spiking Transformer, SDT-V3 (official layout, base models)"

_OFFICIAL_WIDTHS = (96, 128, 192, 256)
"""Of the third stage of the four published models, which have 8 heads."""


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    n_channels : tuple of int
        Of the four stages (embed_dim); the first down-sampling has half of the first.
    depths : (int, int)
        Blocks of the third and fourth stage.
    mlp_ratio, value_ratio, in_channels, n_classes : int
        From the shapes of the tensors, as the two before; value_ratio is how much wider V is than Q and K.
    n_heads : int
        Not stored in the tensors: 8 in the published models.
    height, width : int
        Input size; not stored in the tensors.
    levels : int
        D, the largest spike; a constant of the model file.
    n_steps : int
        1: the network has no time.
    """

    n_channels: tuple[int, ...]
    depths: tuple[int, ...]
    n_heads: int
    mlp_ratio: int
    value_ratio: int
    in_channels: int
    n_classes: int
    height: int
    width: int
    levels: int = 4
    n_steps: int = 1

    def __post_init__(self) -> None:
        """Refuse what no tensors could show (a weights file's header may say anything)."""
        meta_former.check_sizes(FAMILY, 4, self.n_channels, self.depths, self.n_heads, self.height, self.width)
        if not 1 <= self.levels <= 255 or self.n_steps != 1:
            found = f"levels {self.levels} and n_steps {self.n_steps}"
            raise CheckpointError(f"{FAMILY}: {found}, expected 1 to 255, and 1: the network has no time")


SMALLEST = (HyperParameters((4, 4, 8, 8), (1, 1), 2, 2, 2, 2, 3, 32, 32),)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Separable convolutions with a BatchNorm behind each of their layers."""
    return "ConvBlock1_1.0.Conv.dwconv.0.weight" in shapes and "block3.0.conv.dwconv.0.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    name = "Efficient Spiking Transformer"
    in_channels, *n_channels = meta_former.read_widths(choices.path, shapes, 4, name)
    hidden, n_attending, *_ = shape_of(choices.path, shapes, "block3.0.mlp.fc1_conv.weight", 3, name)
    n_values = shape_of(choices.path, shapes, "block3.0.attn.v_conv.0.weight", 4, name)[0]
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    return HyperParameters(
        n_channels=tuple(n_channels),
        depths=(meta_former.n_blocks(shapes, 3), meta_former.n_blocks(shapes, 4)),
        n_heads=meta_former.take_heads(choices, n_channels[2], _OFFICIAL_WIDTHS),
        mlp_ratio=hidden // max(n_attending, 1),
        value_ratio=n_values // max(n_attending, 1),
        in_channels=in_channels,
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, name)[0],
        height=height,
        width=width,
        levels=choices.take("levels", whole(1, 255), "largest spike, D", constant=4),
        n_steps=choices.take("n_steps", whole(1, 1), "1, as the network has no time", constant=1),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with (none)."""
    *_, third, fourth = hp.n_channels
    live = meta_former.down_shapes(hp.in_channels, hp.n_channels)
    for block, n in meta_former.conv_blocks(hp.n_channels):
        live |= _separable_shapes(f"{block}.Conv", n, 7)
        for layer, n_out, n_in in (("1", hp.mlp_ratio * n, n), ("2", n, hp.mlp_ratio * n)):
            live[f"{block}.conv{layer}.weight"] = (n_out, n_in, 3, 3)
            live |= norm_shapes(f"{block}.bn{layer}", n_out)
    for stage, n, depth in ((3, third, hp.depths[0]), (4, fourth, hp.depths[1])):
        for i in range(depth):
            live |= _block_shapes(f"block{stage}.{i}", n, hp.mlp_ratio * n, hp.value_ratio * n)
    return live | {"head.weight": (hp.n_classes, fourth), "head.bias": (hp.n_classes,)}, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output: a graph, and the handlers that follow from it."""
    layers = GraphAssembly(tensors, hp.n_steps, (hp.in_channels, hp.height, hp.width))
    down, conv_block, block = (partial(part, layers, hp) for part in (_down, _conv_block, _block))
    u = meta_former.trunk(layers, hp.depths, down, conv_block, block)  # H/16 x W/16 x D4
    spikes = layers.neurons("spike", layers.mean(u), Quantiser(high=hp.levels))  # D4, worth 1 each
    return lower(layers.graph(layers.classify("head", spikes)), FAMILY).network


def _spike(layers: GraphAssembly, hp: HyperParameters, path: str, u: Source) -> Source:
    """round(clamp(u, 0, D)) spikes, each worth 1 / D."""
    return layers.neurons(path, u, Quantiser(high=hp.levels), unit=1 / hp.levels)


def _down(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source, stride: int) -> Source:
    """BN(conv(spike(u))): another resolution, a new stream."""
    spikes = _spike(layers, hp, f"{name}.encode_spike", u)
    return layers.conv(f"{name}.encode_conv", f"{name}.encode_bn", spikes, stride, padding=1)


def _separable(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source, padding: int) -> Source:
    """u + pointwise(spike(depthwise(spike(pointwise(spike(u))))))."""
    x = layers.conv(f"{name}.pwconv1.0", f"{name}.pwconv1.1", _spike(layers, hp, f"{name}.spike1", u))
    spikes = _spike(layers, hp, f"{name}.spike2", x)
    n = layers.shape(spikes)[1]
    x = layers.conv(f"{name}.dwconv.0", f"{name}.dwconv.1", spikes, padding=padding, groups=n)
    x = layers.conv(f"{name}.pwconv2.0", f"{name}.pwconv2.1", _spike(layers, hp, f"{name}.spike3", x))
    return layers.add(u, x, name)


def _conv_block(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source) -> Source:
    """u += separable convolution;  u += conv2(spike(conv1(spike(u))))."""
    u = _separable(layers, hp, f"{name}.Conv", u, padding=3)
    x = layers.conv(f"{name}.conv1", f"{name}.bn1", _spike(layers, hp, f"{name}.spike1", u), padding=1)
    x = layers.conv(f"{name}.conv2", f"{name}.bn2", _spike(layers, hp, f"{name}.spike2", x), padding=1)
    return layers.add(u, x, name)


def _block(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source) -> Source:
    """u += separable convolution;  u += proj(spike(scale * (Q K^T) V));  u += fc2(spike(fc1(spike(u))))."""
    attn, mlp = f"{name}.attn", f"{name}.mlp"
    u = _separable(layers, hp, f"{name}.conv", u, padding=1)
    spikes = _spike(layers, hp, f"{attn}.head_spike", u)
    q, k, v = (
        _spike(
            layers, hp, f"{attn}.{role}_spike", layers.conv(f"{attn}.{role}_conv.0", f"{attn}.{role}_conv.1", spikes)
        )
        for role in "qkv"
    )
    scale = 2 * (layers.shape(q)[1] // hp.n_heads) ** -0.5
    x = layers.attention(attn, q, k, v, hp.n_heads, scale, starts_with="qk")
    spikes = _spike(layers, hp, f"{attn}.attn_spike", x)
    u = layers.add(u, layers.conv(f"{attn}.proj_conv.0", f"{attn}.proj_conv.1", spikes), name)
    x = layers.conv(f"{mlp}.fc1_conv", f"{mlp}.fc1_bn", _spike(layers, hp, f"{mlp}.fc1_spike", u))
    x = layers.conv(f"{mlp}.fc2_conv", f"{mlp}.fc2_bn", _spike(layers, hp, f"{mlp}.fc2_spike", x))
    return layers.add(u, x, name)


def _separable_shapes(name: str, n: int, kernel: int) -> Shapes:
    shapes = _normed(f"{name}.pwconv1", 2 * n, n) | _normed(f"{name}.pwconv2", n, 2 * n)
    return shapes | {f"{name}.dwconv.0.weight": (2 * n, 1, kernel, kernel)} | norm_shapes(f"{name}.dwconv.1", 2 * n)


def _block_shapes(name: str, n: int, n_hidden: int, n_values: int) -> Shapes:
    shapes = _separable_shapes(f"{name}.conv", n, 3)
    for role, n_out, n_in in (("q", n, n), ("k", n, n), ("v", n_values, n), ("proj", n, n_values)):
        shapes |= _normed(f"{name}.attn.{role}_conv", n_out, n_in)
    return shapes | meta_former.mlp_shapes(f"{name}.mlp", n, n_hidden)


def _normed(name: str, n_out: int, n_in: int) -> Shapes:
    """A 1x1 convolution and its BatchNorm."""
    return {f"{name}.0.weight": (n_out, n_in, 1, 1)} | norm_shapes(f"{name}.1", n_out)
