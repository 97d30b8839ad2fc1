"""Spikformer (Zhou et al., ICLR 2023): spiking self-attention between integer-valued residual streams.

    recording -> SPS (convolutions, max-pools, SEW sum) -> blocks (SSA, MLP, SEW sums) -> token mean -> classifier

Names and shapes are those of the official checkpoints; the three official model files (CIFAR, ImageNet, CIFAR10-DVS)
differ in layers, biases, scale, pools and heads. A stream x is a sum of spikes: payload 1, 2, 3, ... Shapes in
comments are rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, pooling_stat, positive, power_of_two
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants, take_spike_mode
from evsim.checkpoints.refusal import shown
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Window
from evsim.handlers.readout import Readout, RealLinear
from evsim.handlers.spike_sum import SpikeMean, SpikeSum

FAMILY = "spikformer"
TITLE = "Spikformer (official layout)"

_AXES = "row,col,channel"


@dataclass(frozen=True)
class Variant:
    """What one official model file fixes.

    Parameters
    ----------
    layer : str
        How it names the layers of a block: ``q_linear`` or ``q_conv``.
    attn_axes, mlp_axes : int
        Axes of their weights; those after the second are 1.
    has_query_bias : bool
        Whether q, k and v have a bias (the other layers of a block always do).
    attn_scale : float
        Of the attention.
    pooling_stat : str
        Which of the four stages of the stem pool.
    n_heads : dict of int to int
        The heads written into the file, by the width written beside them; empty where the training arguments tell.
    n_steps : int or None
        Written into the file, or None where the training arguments tell.
    img_size : (int, int) or None
    n_steps_arg : str or None
        The training argument that holds T.
    """

    layer: str
    attn_axes: int
    mlp_axes: int
    has_query_bias: bool
    attn_scale: float
    pooling_stat: str
    n_heads: dict[int, int]
    n_steps: int | None
    img_size: tuple[int, int] | None
    n_steps_arg: str | None


VARIANTS = {
    "cifar10": Variant("linear", 2, 2, True, 1 / 8, "0011", {}, None, None, "time_step"),
    "imagenet": Variant("conv", 3, 4, False, 1 / 8, "1111", {512: 8}, 4, (224, 224), "time_step"),
    "cifar10dvs": Variant("conv", 3, 3, False, 1 / 4, "1111", {256: 16}, None, (128, 128), "T"),
}


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    variant : {"cifar10", "imagenet", "cifar10dvs"}
        The official model file, from the names and axes of the tensors.
    depth, n_channels, mlp_ratio, in_channels, n_classes : int
        From the shapes of the tensors.
    n_heads : int
        Not stored in the tensors: an argument of the CIFAR file; 8 in the ImageNet file, which has 512 channels, and 16
        in that for CIFAR10-DVS, which has 256.
    n_steps : int
        Steps of the network (T): an argument of the CIFAR and CIFAR10-DVS files, 4 in that for ImageNet.
    height, width : int
        Input size.
    attn_scale : float
        Of the attention; a constant of the model file.
    pooling_stat : str
        Four characters, "1" where a stage of the stem pools; a constant of the model file.
    pool : {"spikes", "currents"}
        Whether the stem pools behind its neurons (the official files) or before them.
    tau, v_threshold, v_reset : float
        Of the neurons; constants of the official code.
    attn_v_threshold : float
        Threshold of the neurons behind the attention.
    """

    variant: str
    depth: int
    n_channels: int
    n_heads: int
    mlp_ratio: int
    in_channels: int
    n_classes: int
    n_steps: int
    height: int
    width: int
    attn_scale: float
    pooling_stat: str
    pool: str = "spikes"
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5


SMALLEST = (HyperParameters("cifar10", 1, 16, 2, 2, 2, 3, 4, 8, 8, 1 / 8, "0011"),)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """A stem of four numbered convolutions, no talking heads, and linear or 1-D convolutional queries."""
    return "patch_embed.proj_conv.weight" in shapes and _variant(shapes) is not None


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments, the model file or the user."""
    name = _variant(shapes)
    if name is None:
        raise CheckpointError(
            f"{choices.path}: neither a 2-D tensor block.0.attn.q_linear.weight nor a 3-D tensor "
            "block.0.attn.q_conv.weight, one of which a Spikformer has"
        )
    variant = VARIANTS[name]
    n_channels, _ = shape_of(choices.path, shapes, "patch_embed.rpe_conv.weight", 4, "Spikformer")[:2]
    stem = shape_of(choices.path, shapes, "patch_embed.proj_conv.weight", 4, "Spikformer")
    fc1 = f"block.0.mlp.fc1_{variant.layer}.weight"
    height, width = _take(
        choices, "img_size", image_size, "rows and columns of the input, H or HxW", variant.img_size, SIZE_ARGUMENTS
    )
    take_spike_mode(choices, shapes)
    return HyperParameters(
        variant=name,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("block.")}),
        n_channels=n_channels,
        mlp_ratio=shape_of(choices.path, shapes, fc1, variant.mlp_axes, "Spikformer")[0] // max(n_channels, 1),
        in_channels=stem[1],
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, "Spikformer")[0],
        n_steps=_take_steps(choices, variant),
        height=height,
        width=width,
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the attention", constant=variant.attn_scale),
        pooling_stat=choices.take("pooling_stat", pooling_stat, "which stages pool", constant=variant.pooling_stat),
        n_heads=_take_heads(choices, variant, n_channels),
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with."""
    live = stem_shapes(hp)
    dead: Shapes = {}
    if hp.variant == "cifar10dvs":
        dead = {"pos_embed": (1, 64, hp.n_channels), "norm.weight": (hp.n_channels,), "norm.bias": (hp.n_channels,)}
    for i in range(hp.depth):
        live |= _block_shapes(f"block.{i}", hp)
        dead |= {f"block.{i}.norm{j}.{part}": (hp.n_channels,) for j in (1, 2) for part in ("weight", "bias")}
    live |= {"head.weight": (hp.n_classes, hp.n_channels), "head.bias": (hp.n_classes,)}
    return live, dead


def stem_shapes(hp: HyperParameters) -> Shapes:
    """The live tensors of the stem."""
    shapes: Shapes = {}
    widths = (hp.in_channels, hp.n_channels // 8, hp.n_channels // 4, hp.n_channels // 2, hp.n_channels)
    for i, suffix in enumerate(("", "1", "2", "3")):
        shapes[f"patch_embed.proj_conv{suffix}.weight"] = (widths[i + 1], widths[i], 3, 3)
        shapes |= norm_shapes(f"patch_embed.proj_bn{suffix}", widths[i + 1])
    shapes["patch_embed.rpe_conv.weight"] = (hp.n_channels, hp.n_channels, 3, 3)
    return shapes | norm_shapes("patch_embed.rpe_bn", hp.n_channels)


def build(
    tensors: Mapping[str, np.ndarray], hp: HyperParameters, starts_with: str | None = None, is_once: bool = True
) -> Network:
    """The network, input to output.

    Spikes and logits do not depend on the rest, what others count does: `starts_with` is the product of the attention
    that the reference takes first ("qk" or "kv"; None for the order of the official file), `is_once` whether it
    classifies the mean over the steps, as the official files do, or every step.
    """
    starts_with = starts_with or ("kv" if hp.variant == "imagenet" else "qk")
    _check_sizes(hp)
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    layers = Assembly(net, tensors, NeuronConstants.of(hp))
    x, height, width = _patch_embed(layers, hp)  # height x width x D, whole numbers
    shape = (height, width, hp.n_channels)
    for i in range(hp.depth):
        attn = _ssa(layers, hp, f"block.{i}.attn", x, shape, starts_with)  # height x width x D, spikes
        x = _add(net, f"block.{i}.attn.sum", x, attn, shape)
        mlp = _mlp(layers, hp, f"block.{i}.mlp", x, shape)
        x = _add(net, f"block.{i}.mlp.sum", x, mlp, shape)
    mean, logits = Current(1, hp.n_channels), Current(1, hp.n_classes)
    net.add(SpikeMean("token_mean", height * width, mean), x)  # D, real
    head = RealLinear("head", tensors["head.weight"], tensors["head.bias"], mean, logits, is_once)
    net.add(head)  # classes
    net.add(Readout("readout", logits))
    return net


def _patch_embed(layers: Assembly, hp: HyperParameters) -> tuple[str, int, int]:
    """Spiking patch splitting: four convolutions, each may pool, and a SEW sum around one more."""
    height, width, spikes = hp.height, hp.width, INPUT
    for i, suffix in enumerate(("", "1", "2", "3")):
        n_channels = hp.n_channels // (8, 4, 2, 1)[i]
        x = Current(height * width, n_channels)
        window = Window(height, width, kernel=3, padding=1)
        layers.conv(f"patch_embed.proj_conv{suffix}", f"patch_embed.proj_bn{suffix}", spikes, window, x)
        pools, pool = hp.pooling_stat[i] == "1", Window(height, width, kernel=3, stride=2, padding=1)
        name, pool_name = f"patch_embed.proj_lif{suffix}", f"patch_embed.maxpool{suffix}"
        if pools and hp.pool == "currents":
            x = _pool_current(layers.network, pool_name, x, pool)
            height, width = pool.out_height, pool.out_width
        spikes = layers.neurons(name, x, (height, width, n_channels), _AXES)
        if pools and hp.pool == "spikes":
            spikes = layers.network.add(SpikeMaxPool(pool_name, pool, n_channels), spikes)
            height, width = pool.out_height, pool.out_width
    shape = (height, width, hp.n_channels)
    x = Current(height * width, hp.n_channels)
    layers.conv("patch_embed.rpe_conv", "patch_embed.rpe_bn", spikes, Window(height, width, kernel=3, padding=1), x)
    rpe = layers.neurons("patch_embed.rpe_lif", x, shape, _AXES)
    return _add(layers.network, "patch_embed.sum", spikes, rpe, shape), height, width


def _ssa(
    layers: Assembly, hp: HyperParameters, name: str, source: str, shape: tuple[int, int, int], starts_with: str
) -> str:
    """LIF(proj(LIF(scale * Q K^T V))): spiking self-attention."""
    q, k, v = (_layer(layers, hp, f"{name}.{role}", source, shape) for role in "qkv")
    x = Current(shape[0] * shape[1], hp.n_channels)
    ssa = SSA(f"{name}.qkv", hp.n_heads, hp.attn_scale, x, official_order=starts_with)
    layers.network.add(ssa, q=q, k=k, v=v)  # height x width x D, integers
    axes = _reference_axes(hp)
    spikes = layers.neurons(f"{name}.attn_lif", x, shape, _AXES, v_threshold=hp.attn_v_threshold, reference_axes=axes)
    return _layer(layers, hp, f"{name}.proj", spikes, shape)


def _mlp(layers: Assembly, hp: HyperParameters, name: str, source: str, shape: tuple[int, int, int]) -> str:
    """LIF(fc2(LIF(fc1(x))))."""
    height, width, n_channels = shape
    hidden = _layer(layers, hp, f"{name}.fc1", source, (height, width, hp.mlp_ratio * n_channels))
    return _layer(layers, hp, f"{name}.fc2", hidden, shape)


def _layer(layers: Assembly, hp: HyperParameters, name: str, source: str, shape: tuple[int, int, int]) -> str:
    """One linear layer with its BatchNorm and neurons."""
    x = Current(shape[0] * shape[1], shape[2])
    kind = "linear" if hp.variant == "cifar10" else "conv"
    layers.linear(f"{name}_{kind}", f"{name}_bn", source, x)
    return layers.neurons(f"{name}_lif", x, shape, _AXES, reference_axes=_reference_axes(hp))


def _add(net: Network, name: str, stream: str, branch: str, shape: tuple[int, int, int]) -> str:
    return net.add(SpikeSum(name, shape[0] * shape[1] * shape[2]), stream=stream, branch=branch)


def _pool_current(net: Network, name: str, source: Current, window: Window) -> Current:
    pooled = Current(window.out_height * window.out_width, source.n_channels)
    net.add(CurrentMaxPool(name, source, pooled, window))
    return pooled


def _reference_axes(hp: HyperParameters) -> str | None:
    """The CIFAR file keeps channels last in its blocks."""
    return "token,channel" if hp.variant == "cifar10" else None


def _variant(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Which official model file wrote the first block."""
    n_axes = {name: len(shapes.get(f"block.0.{name}.weight", ())) for name in ("attn.q_conv", "mlp.fc1_conv")}
    if len(shapes.get("block.0.attn.q_linear.weight", ())) == 2:
        return "cifar10"
    if n_axes["attn.q_conv"] != 3:
        return None
    return {4: "imagenet", 3: "cifar10dvs"}.get(n_axes["mlp.fc1_conv"])


def _block_shapes(name: str, hp: HyperParameters) -> Shapes:
    variant = VARIANTS[hp.variant]
    n, hidden = hp.n_channels, hp.mlp_ratio * hp.n_channels
    shapes: Shapes = {}
    for layer, n_out, n_in in (
        *((f"attn.{role}", n, n) for role in ("q", "k", "v", "proj")),
        ("mlp.fc1", hidden, n),
        ("mlp.fc2", n, hidden),
    ):
        n_axes = variant.attn_axes if layer.startswith("attn") else variant.mlp_axes
        shapes[f"{name}.{layer}_{variant.layer}.weight"] = (n_out, n_in, *([1] * (n_axes - 2)))
        if variant.has_query_bias or layer not in ("attn.q", "attn.k", "attn.v"):
            shapes[f"{name}.{layer}_{variant.layer}.bias"] = (n_out,)
        shapes |= norm_shapes(f"{name}.{layer}_bn", n_out)
    return shapes


def _take(choices: Choices, name: str, kind, meaning: str, constant: object, arg: tuple[str, ...]):
    """A training argument, else a constant of the model file where it has one."""
    return choices.take(name, kind, meaning, arg, **({} if constant is None else {"constant": constant}))


def _take_heads(choices: Choices, variant: Variant, n_channels: int) -> int:
    """The heads of a model file go with its width: of another width somebody edited the file, and nobody knows how."""
    others = ", ".join(f"{heads} at {width} channels" for width, heads in variant.n_heads.items())
    meaning = f"heads of the attention, of {n_channels} channels"
    meaning += f"; the official file has {others}" if others else ""
    return _take(choices, "n_heads", positive, meaning, variant.n_heads.get(n_channels), ("num_heads",))


def _take_steps(choices: Choices, variant: Variant) -> int:
    """An argument; the official ImageNet file runs its own number of steps whatever its arguments say."""
    meaning = "steps of the network, T"
    stored = choices.args.get("time_step")
    if variant.n_steps is not None and stored not in (None, variant.n_steps) and "variant" not in choices.args:
        said = f"the official file runs {variant.n_steps} whatever its arguments say, and they say {shown(stored)}"
        return choices.ask("n_steps", positive, f"{meaning}; {said}")
    return _take(choices, "n_steps", positive, meaning, variant.n_steps, (str(variant.n_steps_arg), *STEPS_ARGUMENTS))


def _check_sizes(hp: HyperParameters) -> None:
    shrink = 2 ** hp.pooling_stat.count("1")
    if hp.height % shrink or hp.width % shrink:
        raise CheckpointError(
            f"{FAMILY}: input {hp.height}x{hp.width} with pooling_stat {hp.pooling_stat}: sizes must divide by {shrink}"
        )
    if hp.n_channels % 8 or hp.n_channels % hp.n_heads:
        raise CheckpointError(f"{FAMILY}: {hp.n_channels} channels do not divide by 8 and by {hp.n_heads} heads")
    if hp.pool not in ("spikes", "currents"):
        raise CheckpointError(f"{FAMILY}: pool {hp.pool!r}, expected spikes or currents")
