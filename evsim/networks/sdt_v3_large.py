"""SDT-V3, the large model (Yao et al., TPAMI 2025): spikes that are whole numbers, blocks that are scaled by channel.

    image -> [down-sampling -> blocks] four times -> token mean -> classifier, and quantiser -> second classifier

A neuron remembers nothing: it sends floor(clamp(u, 0, D) + 1/2), and each of these is worth 1 / D. A membrane shortcut
runs through each stage: the real-valued stream u. Names and shapes are those of the official checkpoints that were
fine-tuned. Shapes in comments are rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, image_size, power_of_two, whole
from evsim.engine.network import Network
from evsim.errors import CheckpointError
from evsim.graph.assembly import GraphAssembly
from evsim.graph.lower.lower import lower
from evsim.graph.rolling.program import Source
from evsim.handlers.neuron_forms.forms import Quantiser
from evsim.networks import meta_former

FAMILY = "sdt_v3_large"
TITLE = "SDT-V3 (official layout, large model)"

_OFFICIAL_WIDTH = 768
"""Of the last stage of the published model, which has 8 heads."""


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    n_channels : tuple of int
        Of the three stages (embed_dim); the first down-sampling has half of the first.
    depth, mlp_ratio, value_ratio, in_channels, n_classes : int
        From the shapes of the tensors, as the one before; value_ratio is how much wider V is than Q and K.
    distilled : bool
        Whether there is a second classifier (head_kd), of spikes; the logits are the mean of both.
    n_heads : int
        Not stored in the tensors: 8 in the published model.
    height, width : int
        Input size; not stored in the tensors.
    attn_scale : float
        Of the attention; a constant of the model file.
    levels : int
        D, the largest spike; a constant of the model file.
    n_steps : int
        1: the network has no time.
    """

    n_channels: tuple[int, ...]
    depth: int
    n_heads: int
    mlp_ratio: int
    value_ratio: int
    in_channels: int
    n_classes: int
    distilled: bool
    height: int
    width: int
    attn_scale: float = 0.125
    levels: int = 4
    n_steps: int = 1

    def __post_init__(self) -> None:
        """Refuse what no tensors could show (a weights file's header may say anything)."""
        meta_former.check_sizes(FAMILY, 3, self.n_channels, (self.depth,), self.n_heads, self.height, self.width)
        if not 1 <= self.levels <= 255 or self.n_steps != 1:
            found = f"levels {self.levels} and n_steps {self.n_steps}"
            raise CheckpointError(f"{FAMILY}: {found}, expected 1 to 255, and 1: the network has no time")


SMALLEST = (HyperParameters((4, 4, 8), 1, 2, 2, 1, 2, 3, True, 32, 32),)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Convolution blocks without separable ones, and a scale for each channel of a block's branches."""
    return "ConvBlock1_1.0.conv1.0.0.weight" in shapes and "block3.0.layer_scale1" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    if any(".rep_conv." in name for name in shapes):
        raise CheckpointError(
            f"{choices.path}: has rep_conv layers (choice 'base'), which the official code cannot run: its forward "
            "names sizes that it never set; repair the model and record it: evsim import --from-torch"
        )
    name = "large SDT-V3"
    in_channels, *n_channels = meta_former.read_widths(choices.path, shapes, 3, name)
    hidden, n_attending, *_ = shape_of(choices.path, shapes, "block3.0.mlp.fc1_conv.weight", 3, name)
    n_values = shape_of(choices.path, shapes, "block3.0.attn.v_conv.0.conv2.0.weight", 3, name)[0]
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    return HyperParameters(
        n_channels=tuple(n_channels),
        depth=meta_former.n_blocks(shapes, 3),
        n_heads=meta_former.take_heads(choices, n_channels[2], (_OFFICIAL_WIDTH,)),
        mlp_ratio=hidden // max(n_attending, 1),
        value_ratio=n_values // max(n_attending, 1),
        in_channels=in_channels,
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, name)[0],
        distilled="head_kd.weight" in shapes,
        height=height,
        width=width,
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the attention", constant=0.125),
        levels=choices.take("levels", whole(1, 255), "largest spike, D", constant=4),
        n_steps=choices.take("n_steps", whole(1, 1), "1, as the network has no time", constant=1),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with (none)."""
    third = hp.n_channels[2]
    live = meta_former.down_shapes(hp.in_channels, hp.n_channels)
    for block, n in meta_former.conv_blocks(hp.n_channels):
        for layer, n_out, n_in in ((1, hp.mlp_ratio * n, n), (2, n, hp.mlp_ratio * n)):
            live |= _biased(f"{block}.conv{layer}.0.0", (n_out, n_in, 3, 3))
            live |= norm_shapes(f"{block}.conv{layer}.0.1", n_out)
    for i in range(hp.depth):
        live |= _block_shapes(f"block3.{i}", third, hp.mlp_ratio * third, hp.value_ratio * third)
    for head in ("head", "head_kd") if hp.distilled else ("head",):
        live |= _biased(head, (hp.n_classes, third))
    return live, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output: a graph, and the handlers that follow from it."""
    layers = GraphAssembly(tensors, hp.n_steps, (hp.in_channels, hp.height, hp.width))
    down, conv_block, block = (partial(part, layers, hp) for part in (_down, _conv_block, _block))
    u = meta_former.trunk(layers, (hp.depth,), down, conv_block, block)  # H/16 x W/16 x D3
    mean = layers.mean(u)  # D3, real
    logits = layers.classify("head", mean)  # classes
    if hp.distilled:
        spikes = layers.neurons("lif", mean, Quantiser(high=hp.levels, ties="up"))  # D3, worth 1 each
        both = layers.add(logits, layers.classify("head_kd", spikes))
        logits = layers.op("mul", both, layers.number(0.5))
    return lower(layers.graph(logits), FAMILY).network


def _spike(layers: GraphAssembly, hp: HyperParameters, path: str, u: Source) -> Source:
    """floor(clamp(u, 0, D) + 1/2) spikes, each worth 1 / D."""
    return layers.neurons(path, u, Quantiser(high=hp.levels, ties="up"), unit=1 / hp.levels)


def _down(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source, stride: int) -> Source:
    """BN(conv(spike(u))): another resolution, a new stream."""
    spikes = _spike(layers, hp, f"{name}.encode_lif", u)
    return layers.conv(f"{name}.encode_conv", f"{name}.encode_bn", spikes, stride, padding=1)


def _conv_block(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source) -> Source:
    """u += conv2(spike(conv1(spike(u))))."""
    x = u
    for i in (1, 2):
        spikes = _spike(layers, hp, f"{name}.neuron{i}", x)
        x = layers.conv(f"{name}.conv{i}.0.0", f"{name}.conv{i}.0.1", spikes, padding=1)
    return layers.add(x, u, name)


def _block(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source) -> Source:
    """u += s1 proj(spike(scale * Q (K^T V)));  u += s2 fc2(spike(fc1(spike(u))))."""
    attn, mlp = f"{name}.attn", f"{name}.mlp"
    spikes = _spike(layers, hp, f"{attn}.head_lif", u)
    q, k, v = (
        _spike(layers, hp, f"{attn}.{role}_lif", _rep_conv(layers, f"{attn}.{role}_conv", spikes)) for role in "qkv"
    )
    x = layers.attention(attn, q, k, v, hp.n_heads, hp.attn_scale)
    x = _rep_conv(layers, f"{attn}.proj_conv", _spike(layers, hp, f"{attn}.attn_lif", x))
    u = layers.add(u, _scaled(layers, f"{name}.layer_scale1", x), name)
    x = layers.conv(f"{mlp}.fc1_conv", f"{mlp}.fc1_bn", _spike(layers, hp, f"{mlp}.fc1_lif", u))
    x = layers.conv(f"{mlp}.fc2_conv", f"{mlp}.fc2_bn", _spike(layers, hp, f"{mlp}.fc2_lif", x))
    return layers.add(u, _scaled(layers, f"{name}.layer_scale2", x), name)


def _rep_conv(layers: GraphAssembly, name: str, spikes: Source) -> Source:
    """BN(BN(linear(BN(linear(x))))): one linear layer, as there are no neurons in it."""
    x = layers.conv(f"{name}.0.conv1.0", f"{name}.0.conv1.1", spikes)
    return layers.norm(f"{name}.1", layers.conv(f"{name}.0.conv2.0", f"{name}.0.conv2.1", x))


def _scaled(layers: GraphAssembly, name: str, x: Source) -> Source:
    """A factor for each channel."""
    return layers.op(
        "mul", x, layers.reshape(layers.tensor(name), 1, layers.shape(x)[1], 1, 1), path=name.rpartition(".")[0]
    )


def _block_shapes(name: str, n: int, n_hidden: int, n_values: int) -> Shapes:
    shapes: Shapes = {f"{name}.layer_scale{i}": (n,) for i in (1, 2)}
    for role, n_out, n_in in (("q", n, n), ("k", n, n), ("v", n_values, n), ("proj", n, n_values)):
        layer, inner = f"{name}.attn.{role}_conv", int(n_in * 1.5)
        shapes |= {f"{layer}.0.conv1.0.weight": (inner, n_in, 1), f"{layer}.0.conv2.0.weight": (n_out, inner, 1)}
        shapes |= norm_shapes(f"{layer}.0.conv1.1", inner) | norm_shapes(f"{layer}.0.conv2.1", n_out)
        shapes |= norm_shapes(f"{layer}.1", n_out)
    return shapes | meta_former.mlp_shapes(f"{name}.mlp", n, n_hidden)


def _biased(name: str, shape: tuple[int, ...]) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
