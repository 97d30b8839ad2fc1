"""Spike-driven Transformer (Yao et al., NeurIPS 2023): binary spikes, a membrane shortcut, and a gate as attention.

    recording -> MS_SPS (convolutions, membrane shortcut) -> blocks (SDSA, MLP) -> token mean -> LIF -> classifier

Names and shapes are those of the official checkpoints. Shapes in comments are rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, flag, image_size, pooling_stat, positive
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants, take_spike_mode
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.handlers.dilation import PlaneDilation
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Window
from evsim.handlers.readout import Readout, TokenMean

FAMILY = "sdt"
TITLE = "Spike-driven Transformer (official layout)"


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    depth, n_channels, n_heads, mlp_ratio, in_channels, n_classes : int
        From the shapes of the tensors.
    spike_mode : {"lif", "plif"}
        From the presence of ``.w`` tensors.
    n_steps : int
        Steps of the network (T); not stored in the tensors.
    pooling_stat : str
        Four characters, "1" where a stage of the stem pools; not stored in the tensors.
    dvs_mode : bool
        Whether the attention dilates its operands (the CIFAR10-DVS variant); not stored in the tensors.
    height, width : int
        Input size.
    tau, v_threshold, v_reset : float
        Of the neurons; PLIF has its time constants in the tensors. Constants of the official code.
    attn_v_threshold : float
        Threshold of the neurons behind the attention.
    """

    depth: int
    n_channels: int
    n_heads: int
    mlp_ratio: int
    in_channels: int
    n_classes: int
    spike_mode: str
    n_steps: int
    pooling_stat: str
    dvs_mode: bool
    height: int
    width: int
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5


SMALLEST = (HyperParameters(1, 16, 2, 2, 2, 3, "lif", 4, "1111", True, 16, 16),)
"""What `evsim warmup` runs: every pool and dilation is in it."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Only this family stores a talking-heads layer (which it never uses)."""
    return "block.0.attn.talking_heads.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    for name in ("patch_embed.proj_conv.weight", "patch_embed.rpe_conv.weight", "block.0.mlp.fc1_conv.weight"):
        if len(shapes.get(name, ())) != 4:
            raise CheckpointError(f"{choices.path}: no 4-D tensor {name}, which a Spike-driven Transformer has")
    if len(shapes.get("head.weight", ())) != 2:
        raise CheckpointError(f"{choices.path}: no 2-D tensor head.weight, which a Spike-driven Transformer has")
    n_channels = shapes["patch_embed.rpe_conv.weight"][0]
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    spike_mode = take_spike_mode(choices, shapes)
    return HyperParameters(
        depth=len({name.split(".")[1] for name in shapes if name.startswith("block.")}),
        n_channels=n_channels,
        n_heads=shapes["block.0.attn.talking_heads.weight"][0],
        mlp_ratio=shapes["block.0.mlp.fc1_conv.weight"][0] // max(n_channels, 1),
        in_channels=shapes["patch_embed.proj_conv.weight"][1],
        n_classes=shapes["head.weight"][0],
        spike_mode=spike_mode,
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        pooling_stat=choices.take("pooling_stat", pooling_stat, "which of the four stem stages pool, like 0011"),
        dvs_mode=choices.take("dvs_mode", flag, "whether the attention dilates k, v and its products: CIFAR10-DVS"),
        height=height,
        width=width,
        **take_neuron_constants(choices, has_tau=spike_mode == "lif"),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with."""
    live = stem_shapes(hp.in_channels, hp.n_channels)
    dead: Shapes = {}
    for i in range(hp.depth):
        live |= attention_shapes(f"block.{i}.attn", hp.n_channels)
        live |= mlp_shapes(f"block.{i}.mlp", hp.n_channels, hp.mlp_ratio * hp.n_channels)
        dead[f"block.{i}.attn.talking_heads.weight"] = (hp.n_heads, hp.n_heads, 1)
    live |= {"head.weight": (hp.n_classes, hp.n_channels), "head.bias": (hp.n_classes,)}
    if hp.spike_mode == "plif":
        live |= dict.fromkeys(_neuron_weights(hp.depth), ())
        dead |= dict.fromkeys(["patch_embed.rpe_lif.w", *(f"block.{i}.attn.attn_lif.w" for i in range(hp.depth))], ())
    return live, dead


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters, classifies_mean: bool = False) -> Network:
    """The network, input to output.

    The official code classifies each step and takes the mean of the logits; `classifies_mean` says that the reference
    takes the mean of the spikes and classifies once. The logits are the same, not what it takes to have them.
    """
    check_sizes(hp, FAMILY)
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    layers = Assembly(net, tensors, NeuronConstants.of(hp))
    u, height, width = patch_embed(layers, hp)  # height x width x D, real
    for i in range(hp.depth):
        sdsa(layers, hp, f"block.{i}.attn", u, (height, width, hp.n_channels))
        mlp(layers, f"block.{i}.mlp", u, (height, width, hp.n_channels), hp.mlp_ratio * hp.n_channels)
    mean = Current(1, hp.n_channels)
    net.add(TokenMean("token_mean", u, mean))  # D, real
    head_lif = layers.neurons("head_lif", mean, (hp.n_channels,), "channel")  # D
    logits = Current(1, hp.n_classes)
    layers.linear("head", None, head_lif, logits, is_once=classifies_mean)  # classes
    net.add(Readout("readout", logits, is_averaged=not classifies_mean))
    return net


def patch_embed(layers: Assembly, hp: HyperParameters) -> tuple[Current, int, int]:
    """Spiking patch splitting with a membrane shortcut: four convolutions, each may pool, and one more around."""
    net, height, width, spikes = layers.network, hp.height, hp.width, INPUT
    for suffix, n_channels, pools in zip(
        ("", "1", "2"), (hp.n_channels // 8, hp.n_channels // 4, hp.n_channels // 2), hp.pooling_stat, strict=False
    ):
        x = Current(height * width, n_channels)
        window = Window(height, width, kernel=3, padding=1)
        layers.conv(f"patch_embed.proj_conv{suffix}", f"patch_embed.proj_bn{suffix}", spikes, window, x)
        shape = (height, width, n_channels)
        spikes = layers.neurons(f"patch_embed.proj_lif{suffix}", x, shape, "row,col,channel")
        if pools == "1":
            pool = SpikeMaxPool(f"patch_embed.maxpool{suffix}", _pool_window(height, width), n_channels)
            spikes = net.add(pool, spikes)
            height, width = pool.shape[:2]
    u = Current(height * width, hp.n_channels)
    layers.conv("patch_embed.proj_conv3", "patch_embed.proj_bn3", spikes, Window(height, width, 3, 1, 1), u)
    if hp.pooling_stat[3] == "1":  # here the pool stands before the neurons, on real values
        window = _pool_window(height, width)
        height, width = window.out_height, window.out_width
        pooled = Current(height * width, hp.n_channels)
        net.add(CurrentMaxPool("patch_embed.maxpool3", u, pooled, window))
        u = pooled
    lif = layers.neurons("patch_embed.proj_lif3", u, (height, width, hp.n_channels), "row,col,channel")
    layers.conv("patch_embed.rpe_conv", "patch_embed.rpe_bn", lif, Window(height, width, 3, 1, 1), u)
    return u, height, width


def sdsa(layers: Assembly, hp: HyperParameters, name: str, u: Current, shape: tuple[int, int, int]) -> None:
    """u += proj(q AND g), g = LIF(sum over tokens of k AND v): spike-driven self-attention."""
    net, axes = layers.network, "row,col,channel"
    height, width, n_channels = shape
    n_tokens = height * width
    z = layers.neurons(f"{name}.shortcut_lif", u, shape, axes)  # height x width x D
    q, k, v = (query(layers, f"{name}.{role}", z, shape) for role in "qkv")
    if hp.dvs_mode:
        erode = Window(height, width, kernel=3, padding=1)
        k = net.add(SpikeMaxPool(f"{name}.k_erode", erode, n_channels), k)
        v = net.add(SpikeMaxPool(f"{name}.v_erode", erode, n_channels), v)
    kv = net.add(Coincidence(f"{name}.kv", n_tokens, n_channels, hp.n_heads), k=k, v=v)  # height x width x D
    if hp.dvs_mode:
        kv = net.add(PlaneDilation(f"{name}.kv_erode", n_tokens, hp.n_heads, n_channels), kv)
    column = Current(1, n_channels)
    net.add(TokenSum(f"{name}.kv_sum", n_tokens, column, hp.n_heads), kv)  # D, integers
    heads = (hp.n_heads, n_channels // hp.n_heads)
    gate = layers.neurons(f"{name}.talking_heads_lif", column, heads, "head,channel", hp.attn_v_threshold)
    x = net.add(Gate(f"{name}.qkv", n_tokens, n_channels, hp.n_heads), q=q, gate=gate)  # height x width x D
    if hp.dvs_mode:
        x = net.add(PlaneDilation(f"{name}.qkv_erode", n_tokens, hp.n_heads, n_channels), x)
    layers.linear(f"{name}.proj_conv", f"{name}.proj_bn", x, u)


def query(layers: Assembly, name: str, source: str, shape: tuple[int, int, int]) -> str:
    """q, k or v: one linear layer and its neurons."""
    x = Current(shape[0] * shape[1], shape[2])
    layers.linear(f"{name}_conv", f"{name}_bn", source, x)
    return layers.neurons(f"{name}_lif", x, shape, "row,col,channel")


def mlp(layers: Assembly, name: str, u: Current, shape: tuple[int, int, int], n_hidden: int) -> None:
    """u += fc2(LIF(fc1(LIF(u)))); with mlp_ratio 1 the official code adds fc1 to u as well."""
    height, width, n_channels = shape
    spikes = layers.neurons(f"{name}.fc1_lif", u, shape, "row,col,channel")
    hidden = u if n_hidden == n_channels else Current(height * width, n_hidden)
    layers.linear(f"{name}.fc1_conv", f"{name}.fc1_bn", spikes, hidden)
    spikes = layers.neurons(f"{name}.fc2_lif", hidden, (height, width, hidden.n_channels), "row,col,channel")
    layers.linear(f"{name}.fc2_conv", f"{name}.fc2_bn", spikes, u)


def _pool_window(height: int, width: int) -> Window:
    return Window(height, width, kernel=3, stride=2, padding=1)


def stem_shapes(in_channels: int, n: int) -> Shapes:
    """Of the tensors of `patch_embed`."""
    widths = (in_channels, n // 8, n // 4, n // 2, n)
    shapes: Shapes = {}
    for i, suffix in enumerate(("", "1", "2", "3")):
        shapes[f"patch_embed.proj_conv{suffix}.weight"] = (widths[i + 1], widths[i], 3, 3)
        shapes |= norm_shapes(f"patch_embed.proj_bn{suffix}", widths[i + 1])
    shapes["patch_embed.rpe_conv.weight"] = (n, n, 3, 3)
    return shapes | norm_shapes("patch_embed.rpe_bn", n)


def attention_shapes(name: str, n: int) -> Shapes:
    """Of q, k, v and the projection behind them."""
    shapes: Shapes = {}
    for role in "qkv":
        shapes[f"{name}.{role}_conv.weight"] = (n, n, 1, 1)
        shapes |= norm_shapes(f"{name}.{role}_bn", n)
    return shapes | _biased_shapes(name, "proj", n, n)


def mlp_shapes(name: str, n: int, n_hidden: int) -> Shapes:
    """Of the two layers of an MLP."""
    return _biased_shapes(name, "fc1", n_hidden, n) | _biased_shapes(name, "fc2", n, n_hidden)


def _biased_shapes(name: str, layer: str, n_out: int, n_in: int) -> Shapes:
    shapes: Shapes = {f"{name}.{layer}_conv.weight": (n_out, n_in, 1, 1), f"{name}.{layer}_conv.bias": (n_out,)}
    return shapes | norm_shapes(f"{name}.{layer}_bn", n_out)


def _neuron_weights(depth: int) -> list[str]:
    """The learnt time constants of PLIF that act."""
    names = [f"patch_embed.proj_lif{suffix}.w" for suffix in ("", "1", "2", "3")]
    for i in range(depth):
        names += [f"block.{i}.attn.{role}_lif.w" for role in ("q", "k", "v", "talking_heads", "shortcut")]
        names += [f"block.{i}.mlp.fc{layer}_lif.w" for layer in (1, 2)]
    return [*names, "head_lif.w"]


def check_sizes(hp: HyperParameters, family: str) -> None:
    """Refuse sizes that do not divide as the stem and the heads need it."""
    shrink = 2 ** hp.pooling_stat.count("1")
    if hp.height % shrink or hp.width % shrink:
        raise CheckpointError(
            f"{family}: input {hp.height}x{hp.width} with pooling_stat {hp.pooling_stat}: sizes must divide by {shrink}"
        )
    if hp.n_channels % 8 or hp.n_channels % hp.n_heads:
        raise CheckpointError(f"{family}: {hp.n_channels} channels do not divide by 8 and by {hp.n_heads} heads")
