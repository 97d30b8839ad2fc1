"""QKFormer (Zhou et al., NeurIPS 2024): a hierarchy of stages whose tokens are gated by Q-K attention, the last by SSA.

    recording -> [patch embedding (SEW sum) -> blocks (QKTA or SSA, MLP, SEW sums)] a stage -> token mean -> classifier

Names and shapes are those of the official checkpoints; the model files (CIFAR; ImageNet; CIFAR10-DVS and DVS128
Gesture) differ in stages, stems, pools and heads. A stream x is a sum of spikes: payload 1, 2, 3, ... Shapes in
comments are rows x columns x channels; u is the width of the stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, positive, power_of_two
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants, take_spike_mode
from evsim.checkpoints.refusal import shown
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.qka import HeadSum, TokenGate
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.projections.conv import Window
from evsim.handlers.readout import Readout, RealLinear
from evsim.handlers.spike_sum import SpikeMean, SpikeSum
from evsim.networks.qkformer_variants import VARIANTS, Stage, Variant

FAMILY = "qkformer"
TITLE = "QKFormer (official layout)"

_AXES = "row,col,channel"

Map = tuple[int, int, int]
"""Rows, columns and channels."""


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    variant : {"cifar10", "imagenet", "cifar10dvs"}
        The official model file, from the names of the tensors; that of DVS128 Gesture is cifar10dvs too.
    depths : tuple of int
        Blocks of each stage.
    n_channels : int
        Width of the last stage.
    mlp_ratio, in_channels, n_classes : int
        From the shapes of the tensors, as the two before.
    n_heads : int
        Not stored in the tensors: 8 in the CIFAR file, 16 in those for event cameras, a 64th of the width in the models
        of the ImageNet file.
    n_steps, height, width : int
        Steps of the network (T) and size of the input; not stored in the tensors.
    attn_scale : float
        Of the self-attention; a constant of the model files.
    tau, v_threshold, v_reset : float
        Of the neurons; constants of the official code.
    attn_v_threshold : float
        Threshold of the neurons behind both attentions.
    """

    variant: str
    depths: tuple[int, ...]
    n_channels: int
    n_heads: int
    mlp_ratio: int
    in_channels: int
    n_classes: int
    n_steps: int
    height: int
    width: int
    attn_scale: float = 0.125
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what no tensors could show (a weights file's header may say anything)."""
        if self.variant not in VARIANTS:
            raise CheckpointError(f"{FAMILY}: variant {self.variant!r}, expected one of {', '.join(VARIANTS)}")
        parts = VARIANTS[self.variant].parts
        if len(self.depths) != len(parts) or min(self.depths) < 0:
            raise CheckpointError(f"{FAMILY}: depths {self.depths}, expected {len(parts)} stages")
        if min(self.n_channels, self.n_heads, self.height, self.width) < 1:
            raise CheckpointError(f"{FAMILY}: a size is below 1: {self}")
        first = self.stages[0]
        if self.n_channels % parts[0] or first.n_channels % max(conv.part for conv in first.path):
            raise CheckpointError(f"{FAMILY}: {self.n_channels} channels do not divide into the stages")
        if first.n_channels % self.n_heads:
            found = f"the {first.n_channels} channels of stage 1"
            raise CheckpointError(f"{FAMILY}: {found} do not divide by {self.n_heads} heads")
        shrink = 2 ** sum(conv.pools for stage in self.stages for conv in stage.path)
        if self.height % shrink or self.width % shrink:
            raise CheckpointError(f"{FAMILY}: input {self.height}x{self.width}: sizes must divide by {shrink}")

    @property
    def stages(self) -> list[Stage]:
        """From input to output."""
        return VARIANTS[self.variant].stages(self.n_channels, self.depths)


SMALLEST = (HyperParameters("cifar10", (1, 1, 1), 32, 8, 2, 2, 3, 4, 8, 8),)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Numbered patch embeddings, and token attention in the first stage."""
    return "patch_embed1.proj_conv.weight" in shapes and "stage1.0.tssa.q_conv.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments, the model file or the user."""
    name = _variant(shapes)
    _, in_channels, *_ = shape_of(choices.path, shapes, "patch_embed1.proj_conv.weight", 4, "QKFormer")
    last = f"patch_embed{len(VARIANTS[name].parts)}.proj4_conv.weight"
    n_channels = shape_of(choices.path, shapes, last, 4, "QKFormer")[0]
    mlp = f"stage1.0.mlp.{VARIANTS[name].mlp}1_conv.weight"
    hidden, n_first, *_ = shape_of(choices.path, shapes, mlp, 4, "QKFormer")
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    take_spike_mode(choices, shapes)
    return HyperParameters(
        variant=name,
        depths=tuple(_n_blocks(shapes, f"stage{i + 1}.") for i in range(len(VARIANTS[name].parts))),
        n_channels=n_channels,
        n_heads=_take_heads(choices, VARIANTS[name], n_channels),
        mlp_ratio=hidden // max(n_first, 1),
        in_channels=in_channels,
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, "QKFormer")[0],
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        height=height,
        width=width,
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the self-attention", constant=0.125),
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with (none)."""
    live: Shapes = {}
    n_in = hp.in_channels
    for stage in hp.stages:
        live |= _embedding_shapes(stage, n_in)
        n_in = stage.n_channels
        for j in range(stage.depth):
            name, roles = f"stage{stage.i}.{j}", "qk" if stage.attention == "tssa" else "qkv"
            live |= _attention_shapes(f"{name}.{stage.attention}", n_in, roles)
            live |= _mlp_shapes(f"{name}.mlp.{stage.mlp}", n_in, hp.mlp_ratio * n_in)
    return live | {"head.weight": (hp.n_classes, n_in), "head.bias": (hp.n_classes,)}, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output."""
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    layers = Assembly(net, tensors, NeuronConstants.of(hp))
    x, shape = INPUT, (hp.height, hp.width, hp.in_channels)
    for stage in hp.stages:
        x, shape = _patch_embed(layers, stage, x, shape)  # height x width x u, whole numbers
        attend = _token_attention if stage.attention == "tssa" else _ssa
        for j in range(stage.depth):
            name = f"stage{stage.i}.{j}"
            attn = attend(layers, hp, f"{name}.{stage.attention}", x, shape)  # height x width x u, spikes
            x = _add(net, f"{name}.attn_sum", x, attn, shape)
            mlp = _mlp(layers, f"{name}.mlp.{stage.mlp}", x, shape, hp.mlp_ratio * stage.n_channels)
            x = _add(net, f"{name}.mlp_sum", x, mlp, shape)
    mean, logits = Current(1, hp.n_channels), Current(1, hp.n_classes)
    net.add(SpikeMean("token_mean", shape[0] * shape[1], mean), x)  # u, real
    net.add(RealLinear("head", tensors["head.weight"], tensors["head.bias"], mean, logits, is_once=True))  # classes
    net.add(Readout("readout", logits))
    return net


def _patch_embed(layers: Assembly, stage: Stage, source: str, shape: Map) -> tuple[str, Map]:
    """x = main path + LIF(BN(1x1 convolution)): 3x3 convolutions, pooled before their neurons, and a shortcut."""
    name, spikes, forked = f"patch_embed{stage.i}", source, (source, shape)
    for k, conv in enumerate(stage.path, 1):
        window = Window(*shape[:2], kernel=3, padding=1)
        current = Current(shape[0] * shape[1], stage.n_channels // conv.part)
        layers.conv(f"{name}.{conv.name}_conv", f"{name}.{conv.name}_bn", spikes, window, current)
        if conv.pools:
            window = Window(*shape[:2], kernel=3, stride=2, padding=1)
            pooled = Current(window.out_height * window.out_width, current.n_channels)
            layers.network.add(CurrentMaxPool(f"{name}.{conv.name}_maxpool", current, pooled, window))
            current = pooled
        shape = (window.out_height, window.out_width, current.n_channels)
        spikes = layers.neurons(f"{name}.{conv.name}_lif", current, shape, _AXES)
        if k == stage.fork:
            forked = (spikes, shape)
    source, (height, width, _) = forked
    current = Current(shape[0] * shape[1], shape[2])
    window = Window(height, width, stride=height // shape[0])
    layers.conv(f"{name}.proj_res_conv", f"{name}.proj_res_bn", source, window, current)
    shortcut = layers.neurons(f"{name}.proj_res_lif", current, shape, _AXES)
    return _add(layers.network, f"{name}.sum", spikes, shortcut, shape), shape


def _token_attention(layers: Assembly, hp: HyperParameters, name: str, source: str, shape: Map) -> str:
    """LIF(proj(k AND LIF(sum of q over the channels of a head))): spiking Q-K token attention."""
    net, (height, width, n_channels) = layers.network, shape
    q, k = (_layer(layers, f"{name}.{role}", source, shape) for role in "qk")  # height x width x u
    sums = Current(height * width, hp.n_heads)
    net.add(HeadSum(f"{name}.q_sum", n_channels, sums), q)  # height x width x heads, whole numbers
    heads, threshold = (height, width, hp.n_heads), hp.attn_v_threshold
    gate = layers.neurons(f"{name}.attn_lif", sums, heads, "row,col,head", threshold, reference_axes="head,token")
    x = net.add(TokenGate(f"{name}.qk", height * width, n_channels, hp.n_heads), k=k, gate=gate)  # height x width x u
    return _layer(layers, f"{name}.proj", x, shape)


def _ssa(layers: Assembly, hp: HyperParameters, name: str, source: str, shape: Map) -> str:
    """LIF(proj(LIF(scale * Q K^T V))): spiking self-attention."""
    q, k, v = (_layer(layers, f"{name}.{role}", source, shape) for role in "qkv")
    x = Current(shape[0] * shape[1], shape[2])
    ssa = SSA(f"{name}.qkv", hp.n_heads, hp.attn_scale, x, official_order="kv")
    layers.network.add(ssa, q=q, k=k, v=v)  # height x width x u, whole numbers
    spikes = layers.neurons(f"{name}.attn_lif", x, shape, _AXES, v_threshold=hp.attn_v_threshold)
    return _layer(layers, f"{name}.proj", spikes, shape)


def _mlp(layers: Assembly, name: str, source: str, shape: Map, n_hidden: int) -> str:
    """LIF(layer 2(LIF(layer 1(x))))."""
    hidden = _layer(layers, f"{name}1", source, (*shape[:2], n_hidden))
    return _layer(layers, f"{name}2", hidden, shape)


def _layer(layers: Assembly, name: str, source: str, shape: Map) -> str:
    """One linear layer with its BatchNorm and neurons."""
    x = Current(shape[0] * shape[1], shape[2])
    layers.linear(f"{name}_conv", f"{name}_bn", source, x)
    return layers.neurons(f"{name}_lif", x, shape, _AXES)


def _add(net: Network, name: str, stream: str, branch: str, shape: Map) -> str:
    return net.add(SpikeSum(name, shape[0] * shape[1] * shape[2]), stream=stream, branch=branch)


def _variant(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Which official model file wrote the checkpoint."""
    if not any(name.startswith("stage3.") for name in shapes):
        return "cifar10dvs"
    return "imagenet" if any(name.startswith("stage3.0.attn.") for name in shapes) else "cifar10"


def _n_blocks(shapes: Mapping[str, tuple[int, ...]], stage: str) -> int:
    return len({name.split(".")[1] for name in shapes if name.startswith(stage)})


def _embedding_shapes(stage: Stage, n_in: int) -> Shapes:
    name, shapes, n_forked = f"patch_embed{stage.i}", {}, n_in
    for k, conv in enumerate(stage.path, 1):
        n_out = stage.n_channels // conv.part
        shapes[f"{name}.{conv.name}_conv.weight"] = (n_out, n_in, 3, 3)
        shapes |= norm_shapes(f"{name}.{conv.name}_bn", n_out)
        n_in, n_forked = n_out, n_out if k == stage.fork else n_forked
    shapes[f"{name}.proj_res_conv.weight"] = (stage.n_channels, n_forked, 1, 1)
    return shapes | norm_shapes(f"{name}.proj_res_bn", stage.n_channels)


def _attention_shapes(name: str, n: int, roles: str) -> Shapes:
    shapes: Shapes = {}
    for role in roles:
        shapes[f"{name}.{role}_conv.weight"] = (n, n, 1)
        shapes |= norm_shapes(f"{name}.{role}_bn", n)
    shapes |= {f"{name}.proj_conv.weight": (n, n, 1), f"{name}.proj_conv.bias": (n,)}
    return shapes | norm_shapes(f"{name}.proj_bn", n)


def _mlp_shapes(name: str, n: int, n_hidden: int) -> Shapes:
    shapes: Shapes = {}
    for layer, n_out, n_in in ((1, n_hidden, n), (2, n, n_hidden)):
        shapes |= {f"{name}{layer}_conv.weight": (n_out, n_in, 1, 1), f"{name}{layer}_conv.bias": (n_out,)}
        shapes |= norm_shapes(f"{name}{layer}_bn", n_out)
    return shapes


def _take_heads(choices: Choices, variant: Variant, n_channels: int) -> int:
    """Heads of the model file, which it has whatever the training arguments say."""
    meaning = f"heads of the attentions, of {n_channels} channels"
    if isinstance(variant.n_heads, dict):
        known = ", ".join(f"{heads} at {width} channels" for width, heads in variant.n_heads.items())
        constant = {"constant": variant.n_heads[n_channels]} if n_channels in variant.n_heads else {}
        return choices.take(
            "n_heads", positive, f"{meaning}; the official models have {known}", "num_heads", **constant
        )
    stored = choices.args.get("num_heads")
    if stored not in (None, variant.n_heads):
        said = f"the official file has {variant.n_heads} whatever its arguments say, and they say {shown(stored)}"
        return choices.ask("n_heads", positive, f"{meaning}; {said}")
    return choices.take("n_heads", positive, meaning, "num_heads", constant=variant.n_heads)
