"""Spikingformer (Zhou et al., 2023) and CML-Spikingformer: self-attention (SSA) and MLP behind a membrane shortcut.

    recording -> tokenizer (convolutions, no neurons behind the last) -> blocks (SSA, MLP) -> token mean -> classifier

A membrane shortcut runs through the blocks: the real-valued stream u. Names and shapes are those of the official
checkpoints. All model files but that for CIFAR have the same names and shapes, whatever they compute: where they pool,
and the time constant of their neurons, the user must say (`variant`). Shapes in comments are rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, one_of, positive, power_of_two
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants, take_spike_mode
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.pooling import CurrentMaxPool, SpikeMaxPool
from evsim.handlers.projections.conv import Window
from evsim.handlers.readout import Readout, RealLinear, TokenMean
from evsim.networks.sdt import query

FAMILY = "spikingformer"
TITLE = "Spikingformer (official layout)"

_AXES = "row,col,channel"

Map = tuple[int, int, int]
"""Rows, columns and channels."""


@dataclass(frozen=True)
class Variant:
    """What one official model file fixes.

    Parameters
    ----------
    layers : tuple of str
        What the five convolutions of the tokenizer are called.
    pools : str
        Five characters, "1" where a max-pool stands in front of the convolution.
    pool : {"spikes", "currents"}
        Whether the pools stand behind the neurons in front of a convolution, or before them (CML).
    tau : float
        Of all neurons.
    official_order : {"qk", "kv"}
        Which product of the attention comes first.
    n_heads : int or None
        Written into the file, or None where the training arguments tell.
    side : int or None
        Rows and columns of the input where they are written into the file.
    """

    layers: tuple[str, ...]
    pools: str
    pool: str
    tau: float = 2.0
    official_order: str = "qk"
    n_heads: int | None = None
    side: int | None = None


_BLOCKS = ("block0", "block1", "block2", "block3", "block4")
_PROJECTIONS = ("proj", "proj1", "proj2", "proj3", "proj4")
VARIANTS = {
    "cifar10": Variant(_BLOCKS, "00011", "spikes"),
    "imagenet": Variant(_PROJECTIONS, "01111", "spikes", official_order="kv"),
    "events": Variant(_PROJECTIONS, "01111", "spikes", tau=1.5, n_heads=16, side=128),
    "cml_cifar10": Variant(_PROJECTIONS, "00011", "currents"),
    "cml_imagenet": Variant(_PROJECTIONS, "01111", "currents", official_order="kv"),
    "cml_events": Variant(_PROJECTIONS, "01111", "currents", tau=1.75, n_heads=16, side=128),
}


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    variant : str
        The official model file, a key of `VARIANTS`; "events" is the file for CIFAR10-DVS and that for DVS128 Gesture,
        "cml" stands for CML-Spikingformer. Only cifar10 shows in the tensors.
    depth, n_channels, mlp_ratio, in_channels, n_classes : int
        From the shapes of the tensors.
    n_heads : int
        Not stored in the tensors: 16 in the files for event cameras, an argument of the others.
    n_steps, height, width : int
        Steps of the network (T) and size of the input (128x128 in the files for event cameras); not stored in the
        tensors.
    attn_scale : float
        Of the attention; a constant of the model files.
    tau : float
        Of the neurons: 2, 1.5 in the file for event cameras, 1.75 in that of CML-Spikingformer.
    v_threshold, v_reset : float
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
    attn_scale: float = 0.125
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what no tensors could show (a weights file's header may say anything)."""
        if self.variant not in VARIANTS:
            raise CheckpointError(f"{FAMILY}: variant {self.variant!r}, expected one of {', '.join(VARIANTS)}")
        if min(self.n_channels, self.n_heads, self.height, self.width) < 1:
            raise CheckpointError(f"{FAMILY}: a size is below 1: {self}")
        if self.n_channels % 8 or self.n_channels % self.n_heads:
            found = f"{self.n_channels} channels do not divide by 8 and by {self.n_heads} heads"
            raise CheckpointError(f"{FAMILY}: {found}")
        shrink = 2 ** VARIANTS[self.variant].pools.count("1")
        if self.height % shrink or self.width % shrink:
            raise CheckpointError(f"{FAMILY}: input {self.height}x{self.width}: sizes must divide by {shrink}")


_SMALL = {"n_channels": 16, "n_heads": 2, "mlp_ratio": 2, "in_channels": 2, "n_classes": 3, "n_steps": 4}
SMALLEST = tuple(HyperParameters(name, 1, **_SMALL, height=8, width=8) for name in ("cifar10", "cml_cifar10"))
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """A tokenizer of numbered blocks or projections, and 1-D convolutional queries."""
    return _first_layer(shapes) is not None and "block.0.attn.q_conv.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments, the model file or the user."""
    name = _take_variant(shapes, choices)
    variant = VARIANTS[name]
    n_channels = shape_of(choices.path, shapes, f"patch_embed.{variant.layers[4]}_conv.weight", 4, "Spikingformer")[0]
    _, in_channels, *_ = shape_of(
        choices.path, shapes, f"patch_embed.{variant.layers[0]}_conv.weight", 4, "Spikingformer"
    )
    hidden = shape_of(choices.path, shapes, "block.0.mlp.mlp1_conv.weight", 4, "Spikingformer")[0]
    heads = {} if variant.n_heads is None else {"constant": variant.n_heads}
    size = {} if variant.side is None else {"constant": (variant.side, variant.side)}
    told = "rows and columns of the input, H or HxW"
    height, width = choices.take("img_size", image_size, told, SIZE_ARGUMENTS, **size)
    take_spike_mode(choices, shapes)
    return HyperParameters(
        variant=name,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("block.")}),
        n_channels=n_channels,
        n_heads=choices.take("n_heads", positive, "heads of the attention", "num_heads", **heads),
        mlp_ratio=hidden // max(n_channels, 1),
        in_channels=in_channels,
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, "Spikingformer")[0],
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        height=height,
        width=width,
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the attention", constant=0.125),
        **take_neuron_constants(choices, official_tau=variant.tau),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with."""
    live: Shapes = {}
    dead: Shapes = {}
    n_in = hp.in_channels
    for layer, n_out in zip(VARIANTS[hp.variant].layers, _widths(hp), strict=True):
        live[f"patch_embed.{layer}_conv.weight"] = (n_out, n_in, 3, 3)
        live |= norm_shapes(f"patch_embed.{layer}_bn", n_out)
        n_in = n_out
    for i in range(hp.depth):
        live |= _block_shapes(f"block.{i}", hp.n_channels, hp.mlp_ratio * hp.n_channels)
        dead |= {f"block.{i}.norm{j}.{part}": (hp.n_channels,) for j in (1, 2) for part in ("weight", "bias")}
    return live | {"head.weight": (hp.n_classes, hp.n_channels), "head.bias": (hp.n_classes,)}, dead


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output."""
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    layers = Assembly(net, tensors, NeuronConstants.of(hp))
    u, shape = _tokenize(layers, hp)  # height x width x D, real
    for i in range(hp.depth):
        _ssa(layers, hp, f"block.{i}.attn", u, shape)
        _mlp(layers, f"block.{i}.mlp", u, shape, hp.mlp_ratio * hp.n_channels)
    mean, logits = Current(1, hp.n_channels), Current(1, hp.n_classes)
    net.add(TokenMean("token_mean", u, mean))  # D, real
    net.add(RealLinear("head", tensors["head.weight"], tensors["head.bias"], mean, logits, is_once=True))  # classes
    net.add(Readout("readout", logits))
    return net


def _tokenize(layers: Assembly, hp: HyperParameters) -> tuple[Current, Map]:
    """Five convolutions, neurons in front of all but the first; a pool stands behind these neurons, or before (CML)."""
    variant, u, spikes, shape = VARIANTS[hp.variant], None, INPUT, (hp.height, hp.width, hp.in_channels)
    for layer, n_channels, pools in zip(variant.layers, _widths(hp), variant.pools, strict=True):
        pool = Window(*shape[:2], kernel=3, stride=2, padding=1)
        if pools == "1" and variant.pool == "currents":
            pooled = Current(pool.out_height * pool.out_width, shape[2])
            layers.network.add(CurrentMaxPool(f"patch_embed.{layer}_mp", u, pooled, pool))
            u, shape = pooled, (pool.out_height, pool.out_width, shape[2])
        if u is not None:
            spikes = layers.neurons(f"patch_embed.{layer}_lif", u, shape, _AXES)
        if pools == "1" and variant.pool == "spikes":
            spikes = layers.network.add(SpikeMaxPool(f"patch_embed.{layer}_mp", pool, shape[2]), spikes)
            shape = (pool.out_height, pool.out_width, shape[2])
        u = Current(shape[0] * shape[1], n_channels)
        window = Window(*shape[:2], kernel=3, padding=1)
        layers.conv(f"patch_embed.{layer}_conv", f"patch_embed.{layer}_bn", spikes, window, u)
        shape = (*shape[:2], n_channels)
    return u, shape


def _ssa(layers: Assembly, hp: HyperParameters, name: str, u: Current, shape: Map) -> None:
    """u += proj(LIF(scale * Q K^T V)), where Q, K and V see LIF(u): spiking self-attention."""
    z = layers.neurons(f"{name}.proj_lif", u, shape, _AXES)  # height x width x D
    q, k, v = (query(layers, f"{name}.{role}", z, shape) for role in "qkv")
    x = Current(u.n_places, u.n_channels)
    order = VARIANTS[hp.variant].official_order
    layers.network.add(SSA(f"{name}.qkv", hp.n_heads, hp.attn_scale, x, official_order=order), q=q, k=k, v=v)
    spikes = layers.neurons(f"{name}.attn_lif", x, shape, _AXES, v_threshold=hp.attn_v_threshold)
    layers.linear(f"{name}.proj_conv", f"{name}.proj_bn", spikes, u)


def _mlp(layers: Assembly, name: str, u: Current, shape: Map, n_hidden: int) -> None:
    """u += mlp2(LIF(mlp1(LIF(u))))."""
    spikes = layers.neurons(f"{name}.mlp1_lif", u, shape, _AXES)
    hidden = Current(u.n_places, n_hidden)
    layers.linear(f"{name}.mlp1_conv", f"{name}.mlp1_bn", spikes, hidden)
    spikes = layers.neurons(f"{name}.mlp2_lif", hidden, (*shape[:2], n_hidden), _AXES)
    layers.linear(f"{name}.mlp2_conv", f"{name}.mlp2_bn", spikes, u)


def _widths(hp: HyperParameters) -> tuple[int, ...]:
    return tuple(hp.n_channels // part for part in (8, 4, 2, 1, 1))


def _first_layer(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """How the model file calls the first convolution."""
    known = {"block0": "block1", "proj": "proj1"}
    found = (first for first, second in known.items() if f"patch_embed.{second}_conv.weight" in shapes)
    return next((first for first in found if f"patch_embed.{first}_conv.weight" in shapes), None)


def _take_variant(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> str:
    """The file for CIFAR has names of its own; the other five must be told apart by whoever trained."""
    if _first_layer(shapes) is None:
        raise CheckpointError(
            f"{choices.path}: neither patch_embed.block0_conv.weight and block1_conv nor proj_conv and proj1_conv, "
            "which a Spikingformer has"
        )
    if _first_layer(shapes) == "block0":
        return choices.take("variant", one_of("cifar10"), "the names are those of this file", constant="cifar10")
    others = [name for name in VARIANTS if name != "cifar10"]
    meaning = f"the model file, which fixes pools and tau and does not show in the tensors: {', '.join(others)}"
    return choices.take("variant", one_of(*others), meaning)


def _block_shapes(name: str, n: int, n_hidden: int) -> Shapes:
    shapes: Shapes = {}
    for role in "qkv":
        shapes[f"{name}.attn.{role}_conv.weight"] = (n, n, 1)
        shapes |= norm_shapes(f"{name}.attn.{role}_bn", n)
    for layer, shape in (
        ("attn.proj", (n, n, 1)),
        ("mlp.mlp1", (n_hidden, n, 1, 1)),
        ("mlp.mlp2", (n, n_hidden, 1, 1)),
    ):
        shapes |= {f"{name}.{layer}_conv.weight": shape, f"{name}.{layer}_conv.bias": shape[:1]}
        shapes |= norm_shapes(f"{name}.{layer}_bn", shape[0])
    return shapes
