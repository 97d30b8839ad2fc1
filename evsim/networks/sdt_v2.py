"""Meta-SpikeFormer (SDT-V2; Yao et al., ICLR 2024): convolution blocks, then attention with re-parameterised layers.

    recording -> [down-sampling -> blocks] four times -> token mean -> LIF -> classifier

A membrane shortcut runs through each stage: the real-valued stream u. Names and shapes are those of the official
checkpoints. Layers without neurons between them are one linear map of the spikes: a RepConv runs as the one 3x3
convolution that it is deployed as, a separable convolution as its depthwise part, and products of real values.
Shapes in comments are rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, flag, image_size, positive, power_of_two
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants, take_spike_mode
from evsim.engine.network import Network
from evsim.graph.assembly import GraphAssembly
from evsim.graph.lower.lower import lower
from evsim.graph.rolling.program import Source
from evsim.handlers.neuron_forms.forms import Leaky
from evsim.networks import meta_former

FAMILY = "sdt_v2"
TITLE = "Meta-SpikeFormer, SDT-V2 (official layout)"

_OFFICIAL_WIDTHS = (384, 512, 768)
"""Of the third stage of the three published models, which have 8 heads."""
_DEPLOYED_RATE = 0.1
"""At which the lowering decides for one 3x3 convolution in place of a RepConv, as the authors deploy it."""


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    n_channels : tuple of int
        Of the four stages (embed_dim); the first down-sampling has half of the first.
    depths : (int, int)
        Blocks of the third and fourth stage.
    mlp_ratio, in_channels, n_classes : int
        From the shapes of the tensors, as the two before.
    distilled : bool
        Whether there is a second classifier (head_kd); the logits are the mean of both.
    n_heads : int
        Not stored in the tensors: 8 in the published models.
    n_steps, height, width : int
        Steps of the network (T) and size of the input; not stored in the tensors.
    as_written : bool
        Whether RepConv runs layer by layer, on real values, and not as one convolution of spikes.
    attn_scale : float
        Of the attention; a constant of the model file.
    tau, v_threshold, v_reset : float
        Of the neurons; constants of the official code.
    attn_v_threshold : float
        Threshold of the neurons behind the attention.
    """

    n_channels: tuple[int, ...]
    depths: tuple[int, ...]
    n_heads: int
    mlp_ratio: int
    in_channels: int
    n_classes: int
    distilled: bool
    n_steps: int
    height: int
    width: int
    as_written: bool = False
    attn_scale: float = 0.125
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what no tensors could show (a weights file's header may say anything)."""
        meta_former.check_sizes(FAMILY, 4, self.n_channels, self.depths, self.n_heads, self.height, self.width)


SMALLEST = (HyperParameters((4, 4, 8, 8), (1, 1), 2, 2, 2, 3, False, 4, 32, 32),)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Named convolution blocks in front of attention with RepConv."""
    return "ConvBlock1_1.0.Conv.pwconv1.weight" in shapes and "block3.0.attn.q_conv.0.body.0.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    in_channels, *n_channels = meta_former.read_widths(choices.path, shapes, 4, "Meta-SpikeFormer")
    hidden, n_attending, *_ = shape_of(choices.path, shapes, "block3.0.mlp.fc1_conv.weight", 3, "Meta-SpikeFormer")
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    take_spike_mode(choices, shapes)
    return HyperParameters(
        n_channels=tuple(n_channels),
        depths=(meta_former.n_blocks(shapes, 3), meta_former.n_blocks(shapes, 4)),
        n_heads=meta_former.take_heads(choices, n_channels[2], _OFFICIAL_WIDTHS),
        mlp_ratio=hidden // max(n_attending, 1),
        in_channels=in_channels,
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, "Meta-SpikeFormer")[0],
        distilled="head_kd.weight" in shapes,
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        height=height,
        width=width,
        as_written=choices.take("as_written", flag, "whether RepConv runs layer by layer", constant=False),
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the attention", constant=0.125),
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with (none)."""
    *_, third, fourth = hp.n_channels
    live = meta_former.down_shapes(hp.in_channels, hp.n_channels)
    for block, n in meta_former.conv_blocks(hp.n_channels):
        live |= _conv_block_shapes(block, n)
    for stage, n, depth in ((3, third, hp.depths[0]), (4, fourth, hp.depths[1])):
        for i in range(depth):
            live |= _block_shapes(f"block{stage}.{i}", n, hp.mlp_ratio * n)
    for head in ("head", "head_kd") if hp.distilled else ("head",):
        live |= {f"{head}.weight": (hp.n_classes, fourth), f"{head}.bias": (hp.n_classes,)}
    return live, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output: a graph, and the handlers that follow from it."""
    NeuronConstants.of(hp)
    layers = GraphAssembly(tensors, hp.n_steps, (hp.in_channels, hp.height, hp.width))
    down, conv_block, block = (partial(part, layers, hp) for part in (_down, _conv_block, _block))
    u = meta_former.trunk(layers, hp.depths, down, conv_block, block)  # H/16 x W/16 x D4
    spikes = _neurons(layers, hp, "lif", layers.mean(u))  # D4
    logits = layers.classify("head", spikes)  # classes
    if hp.distilled:
        both = layers.add(logits, layers.classify("head_kd", spikes))
        logits = layers.op("mul", both, layers.number(0.5))
    graph = layers.graph(logits)
    rates = dict.fromkeys(graph.neurons(), _DEPLOYED_RATE)
    return lower(graph, FAMILY, rates, as_written=hp.as_written).network


def _down(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source, stride: int) -> Source:
    """BN(conv(LIF(u))): another resolution, a new stream."""
    spikes = _neurons(layers, hp, f"{name}.encode_lif", u)
    return layers.conv(f"{name}.encode_conv", f"{name}.encode_bn", spikes, stride, padding=1)


def _conv_block(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source) -> Source:
    """u += separable convolution(u);  u += conv2(LIF(conv1(LIF(u))))."""
    spikes = _neurons(layers, hp, f"{name}.Conv.lif1", u)
    x = layers.conv(f"{name}.Conv.pwconv1", f"{name}.Conv.bn1", spikes)
    spikes = _neurons(layers, hp, f"{name}.Conv.lif2", x)
    n = layers.shape(spikes)[1]
    x = layers.conv(f"{name}.Conv.dwconv", None, spikes, padding=3, groups=n)  # real values, no neurons behind
    u = layers.add(layers.conv(f"{name}.Conv.pwconv2", f"{name}.Conv.bn2", x), u, name)
    x = layers.conv(f"{name}.conv1", f"{name}.bn1", _neurons(layers, hp, f"{name}.lif1", u), padding=1)
    x = layers.conv(f"{name}.conv2", f"{name}.bn2", _neurons(layers, hp, f"{name}.lif2", x), padding=1)
    return layers.add(u, x, name)


def _block(layers: GraphAssembly, hp: HyperParameters, name: str, u: Source) -> Source:
    """u += proj(LIF(scale * Q K^T V)), Q, K and V from LIF(u);  u += fc2(LIF(fc1(LIF(u))))."""
    attn, mlp = f"{name}.attn", f"{name}.mlp"
    spikes = _neurons(layers, hp, f"{attn}.head_lif", u)
    q, k, v = (
        _neurons(layers, hp, f"{attn}.{role}_lif", _rep_conv(layers, f"{attn}.{role}_conv", spikes)) for role in "qkv"
    )
    x = layers.attention(attn, q, k, v, hp.n_heads, hp.attn_scale)
    spikes = _neurons(layers, hp, f"{attn}.attn_lif", x, hp.attn_v_threshold)
    u = layers.add(u, _rep_conv(layers, f"{attn}.proj_conv", spikes), name)
    x = layers.conv(f"{mlp}.fc1_conv", f"{mlp}.fc1_bn", _neurons(layers, hp, f"{mlp}.fc1_lif", u))
    x = layers.conv(f"{mlp}.fc2_conv", f"{mlp}.fc2_bn", _neurons(layers, hp, f"{mlp}.fc2_lif", x))
    return layers.add(u, x, name)


def _rep_conv(layers: GraphAssembly, name: str, spikes: Source) -> Source:
    """BN(BN(1x1(depthwise 3x3(BN(1x1(x)))))), where the inner BN makes the border of zeros."""
    x = layers.conv(f"{name}.0.body.0", None, spikes)
    x = layers.op("pad", x, path=f"{name}.0.body.1", before=(0, 0, 1, 1), after=(0, 0, 1, 1), value=0.0)
    x = layers.norm(f"{name}.0.body.1.bn", x)
    x = layers.conv(f"{name}.0.body.2.0", None, x, groups=layers.shape(x)[1])
    return layers.norm(f"{name}.1", layers.conv(f"{name}.0.body.2.1", f"{name}.0.body.2.2", x))


def _neurons(
    layers: GraphAssembly, hp: HyperParameters, path: str, u: Source, v_threshold: float | None = None
) -> Source:
    level = hp.v_threshold if v_threshold is None else v_threshold
    return layers.neurons(path, u, Leaky(v_threshold=level, v_reset=hp.v_reset, tau=hp.tau))


def _conv_block_shapes(name: str, n: int) -> Shapes:
    shapes: Shapes = {f"{name}.Conv.pwconv1.weight": (2 * n, n, 1, 1), f"{name}.Conv.dwconv.weight": (2 * n, 1, 7, 7)}
    shapes |= {f"{name}.Conv.pwconv2.weight": (n, 2 * n, 1, 1)}
    shapes |= {f"{name}.conv1.weight": (4 * n, n, 3, 3), f"{name}.conv2.weight": (n, 4 * n, 3, 3)}
    for norm, width in (("Conv.bn1", 2 * n), ("Conv.bn2", n), ("bn1", 4 * n), ("bn2", n)):
        shapes |= norm_shapes(f"{name}.{norm}", width)
    return shapes


def _block_shapes(name: str, n: int, n_hidden: int) -> Shapes:
    shapes: Shapes = {}
    for role in ("q", "k", "v", "proj"):
        layer = f"{name}.attn.{role}_conv"
        shapes |= {f"{layer}.0.body.0.weight": (n, n, 1, 1), f"{layer}.0.body.2.0.weight": (n, 1, 3, 3)}
        shapes |= {f"{layer}.0.body.2.1.weight": (n, n, 1, 1)}
        for norm in ("0.body.1.bn", "0.body.2.2", "1"):
            shapes |= norm_shapes(f"{layer}.{norm}", n)
    return shapes | meta_former.mlp_shapes(f"{name}.mlp", n, n_hidden)
