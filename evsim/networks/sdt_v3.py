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

import numpy as np

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, image_size, positive, whole
from evsim.engine.network import Network
from evsim.errors import CheckpointError
from evsim.graph.assembly import GraphAssembly
from evsim.graph.lower.lower import lower
from evsim.graph.rolling.program import Source
from evsim.handlers.neuron_forms.forms import Quantiser

FAMILY = "sdt_v3"
TITLE = "Efficient Spiking Transformer, SDT-V3 (official layout, base models)"

_CONV_BLOCKS = ("ConvBlock1_1", "ConvBlock1_2", "ConvBlock2_1", "ConvBlock2_2")
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
        if len(self.n_channels) != 4 or len(self.depths) != 2 or min(self.depths) < 0:
            raise CheckpointError(f"{FAMILY}: n_channels {self.n_channels} and depths {self.depths}, expected 4 and 2")
        if min(*self.n_channels, self.n_heads, self.height, self.width) < 1 or self.n_channels[0] % 2:
            raise CheckpointError(f"{FAMILY}: a size is below 1, or half of an odd number: {self}")
        if not 1 <= self.levels <= 255 or self.n_steps != 1:
            found = f"levels {self.levels} and n_steps {self.n_steps}"
            raise CheckpointError(f"{FAMILY}: {found}, expected 1 to 255, and 1: the network has no time")
        if any(n % self.n_heads for n in self.n_channels[2:]):
            found = f"{self.n_channels[2]} and {self.n_channels[3]} channels"
            raise CheckpointError(f"{FAMILY}: {found} do not divide by {self.n_heads} heads")


SMALLEST = (HyperParameters((4, 4, 8, 8), (1, 1), 2, 2, 2, 2, 3, 32, 32),)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Separable convolutions with a BatchNorm behind each of their layers."""
    return "ConvBlock1_1.0.Conv.dwconv.0.weight" in shapes and "block3.0.conv.dwconv.0.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    name = "Efficient Spiking Transformer"
    widths = [
        shape_of(choices.path, shapes, f"downsample{stage}.encode_conv.weight", 4, name)
        for stage in ("1_1", "1_2", "2", "3", "4")
    ]
    hidden, n_attending, *_ = shape_of(choices.path, shapes, "block3.0.mlp.fc1_conv.weight", 3, name)
    n_values = shape_of(choices.path, shapes, "block3.0.attn.v_conv.0.weight", 4, name)[0]
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    heads = {"constant": 8} if widths[3][0] in _OFFICIAL_WIDTHS else {}
    return HyperParameters(
        n_channels=tuple(shape[0] for shape in widths[1:]),
        depths=tuple(len({n.split(".")[1] for n in shapes if n.startswith(f"block{i}.")}) for i in (3, 4)),
        n_heads=choices.take(
            "n_heads", positive, "heads of the attention, 8 in the published models", "num_heads", **heads
        ),
        mlp_ratio=hidden // max(n_attending, 1),
        value_ratio=n_values // max(n_attending, 1),
        in_channels=widths[0][1],
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, name)[0],
        height=height,
        width=width,
        levels=choices.take("levels", whole(1, 255), "largest spike, D", constant=4),
        n_steps=choices.take("n_steps", whole(1, 1), "1, as the network has no time", constant=1),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with (none)."""
    first, second, third, fourth = hp.n_channels
    live = _down_shapes("downsample1_1", hp.in_channels, first // 2, 7)
    stages = (("1_2", first // 2, first), ("2", first, second), ("3", second, third), ("4", third, fourth))
    for stage, n_in, n_out in stages:
        live |= _down_shapes(f"downsample{stage}", n_in, n_out, 3)
    for block, n in zip(_CONV_BLOCKS, (first // 2, first, second, second), strict=True):
        live |= _separable_shapes(f"{block}.0.Conv", n, 7)
        for layer, n_out, n_in in (("1", hp.mlp_ratio * n, n), ("2", n, hp.mlp_ratio * n)):
            live[f"{block}.0.conv{layer}.weight"] = (n_out, n_in, 3, 3)
            live |= norm_shapes(f"{block}.0.bn{layer}", n_out)
    for stage, n, depth in ((3, third, hp.depths[0]), (4, fourth, hp.depths[1])):
        for i in range(depth):
            live |= _block_shapes(f"block{stage}.{i}", n, hp.mlp_ratio * n, hp.value_ratio * n)
    return live | {"head.weight": (hp.n_classes, fourth), "head.bias": (hp.n_classes,)}, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output: a graph, and the handlers that follow from it."""
    layers = GraphAssembly(tensors, hp.n_steps, (hp.in_channels, hp.height, hp.width))
    u = layers.conv("downsample1_1.encode_conv", "downsample1_1.encode_bn", layers.input, stride=2, padding=3)
    u = _conv_block(layers, hp, "ConvBlock1_1.0", u)  # H/2 x W/2 x D1/2
    u = _down(layers, hp, "downsample1_2", u, stride=2)
    u = _conv_block(layers, hp, "ConvBlock1_2.0", u)  # H/4 x W/4 x D1
    u = _down(layers, hp, "downsample2", u, stride=2)
    for block in ("ConvBlock2_1.0", "ConvBlock2_2.0"):
        u = _conv_block(layers, hp, block, u)  # H/8 x W/8 x D2
    u = _down(layers, hp, "downsample3", u, stride=2)
    for i in range(hp.depths[0]):
        u = _block(layers, hp, f"block3.{i}", u)  # H/16 x W/16 x D3
    u = _down(layers, hp, "downsample4", u, stride=1)
    for i in range(hp.depths[1]):
        u = _block(layers, hp, f"block4.{i}", u)  # H/16 x W/16 x D4
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


def _down_shapes(name: str, n_in: int, n_out: int, kernel: int) -> Shapes:
    shapes: Shapes = {f"{name}.encode_conv.weight": (n_out, n_in, kernel, kernel)}
    return shapes | {f"{name}.encode_conv.bias": (n_out,)} | norm_shapes(f"{name}.encode_bn", n_out)


def _separable_shapes(name: str, n: int, kernel: int) -> Shapes:
    shapes = _normed(f"{name}.pwconv1", 2 * n, n) | _normed(f"{name}.pwconv2", n, 2 * n)
    return shapes | {f"{name}.dwconv.0.weight": (2 * n, 1, kernel, kernel)} | norm_shapes(f"{name}.dwconv.1", 2 * n)


def _block_shapes(name: str, n: int, n_hidden: int, n_values: int) -> Shapes:
    shapes = _separable_shapes(f"{name}.conv", n, 3)
    for role, n_out, n_in in (("q", n, n), ("k", n, n), ("v", n_values, n), ("proj", n, n_values)):
        shapes |= _normed(f"{name}.attn.{role}_conv", n_out, n_in)
    for layer, n_out, n_in in (("fc1", n_hidden, n), ("fc2", n, n_hidden)):
        shapes |= {f"{name}.mlp.{layer}_conv.weight": (n_out, n_in, 1), f"{name}.mlp.{layer}_conv.bias": (n_out,)}
        shapes |= norm_shapes(f"{name}.mlp.{layer}_bn", n_out)
    return shapes


def _normed(name: str, n_out: int, n_in: int) -> Shapes:
    """A 1x1 convolution and its BatchNorm."""
    return {f"{name}.0.weight": (n_out, n_in, 1, 1)} | norm_shapes(f"{name}.1", n_out)
