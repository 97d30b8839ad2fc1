"""The Spike-driven Transformer with another attention in its blocks: SDSA, SSA or DSSA, to compare them at equal size.

    recording -> MS_SPS of the Spike-driven Transformer -> blocks (attention, MLP) -> token mean -> LIF -> classifier

No paper's network: `tools.train --network ablated` trains it, for docs/ablations.md. SSA has the tensors of SDSA, so
the stored argument `attention` tells them apart; where a file stores none, the user must. Shapes in comments are
rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, one_of, pooling_stat, positive
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants
from evsim.engine.current import Current
from evsim.engine.network import Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.readout import Readout, TokenMean
from evsim.networks import sdt
from evsim.networks.spikingresformer import Stage, dssa, dssa_shapes

FAMILY = "ablated"
TITLE = "Spike-driven Transformer with a choice of attention (ablation)"
STORED_MODEL = "ablated"
SHARES_TENSORS_WITH = (sdt.FAMILY,)

_SSA_SCALE = 0.125
_NAME = "Spike-driven Transformer with a choice of attention"


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    attention : {"sdsa", "ssa", "dssa"}
        Not stored in the tensors.
    depth, n_channels, n_heads, n_hidden, in_channels, n_classes : int
        From the shapes of the tensors; n_hidden is the width of the MLP.
    n_steps : int
        Steps of the network (T); not stored in the tensors.
    pooling_stat : str
        Four characters, "1" where a stage of the stem pools; not stored in the tensors.
    scale_tokens : int
        Tokens of the map for which the second scale of DSSA was fixed; not stored in the tensors.
    height, width : int
        Input size.
    tau, v_threshold, v_reset, attn_v_threshold : float
        Of the neurons, the last one of those behind SDSA and SSA.
    """

    attention: str
    depth: int
    n_channels: int
    n_heads: int
    n_hidden: int
    in_channels: int
    n_classes: int
    n_steps: int
    pooling_stat: str
    scale_tokens: int
    height: int
    width: int
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5

    neuron = "lif"
    spike_mode = "lif"
    dvs_mode = False

    def __post_init__(self) -> None:
        if self.attention not in ("sdsa", "ssa", "dssa"):
            raise CheckpointError(f"{FAMILY}: attention {self.attention!r}, expected sdsa, ssa or dssa")


SMALLEST = tuple(HyperParameters(kind, 1, 16, 2, 32, 2, 3, 4, "1111", 16, 16, 16) for kind in ("sdsa", "ssa", "dssa"))
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """DSSA in a block of this skeleton; SDSA and SSA have the tensors of the Spike-driven Transformer."""
    return "block.0.attn.firing_rate_x" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    attention = choices.take(
        "attention", one_of("sdsa", "ssa", "dssa"), "which attention the blocks have: sdsa, ssa or dssa"
    )
    n_channels, _, _, _ = shape_of(choices.path, shapes, "patch_embed.rpe_conv.weight", 4, _NAME)
    heads, axis = ("firing_rate_x", 2) if attention == "dssa" else ("talking_heads.weight", 0)
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    meaning = "tokens of the map at training, which scale the second product of DSSA"
    return HyperParameters(
        attention=attention,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("block.")}),
        n_channels=n_channels,
        n_heads=shape_of(choices.path, shapes, f"block.0.attn.{heads}", 5 if axis else 3, _NAME)[axis],
        n_hidden=shape_of(choices.path, shapes, "block.0.mlp.fc1_conv.weight", 4, _NAME)[0],
        in_channels=shape_of(choices.path, shapes, "patch_embed.proj_conv.weight", 4, _NAME)[1],
        n_classes=shape_of(choices.path, shapes, "head.weight", 2, _NAME)[0],
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        pooling_stat=choices.take("pooling_stat", pooling_stat, "which of the four stem stages pool, like 0011"),
        scale_tokens=choices.take("scale_tokens", positive, meaning, default=64) if attention == "dssa" else 0,
        height=height,
        width=width,
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with."""
    live, dead = sdt.stem_shapes(hp.in_channels, hp.n_channels), {}
    for i in range(hp.depth):
        name = f"block.{i}.attn"
        if hp.attention == "dssa":
            live |= dssa_shapes(hp, name, Stage(hp.n_channels, hp.n_heads, 1, 1))
        else:
            live |= sdt.attention_shapes(name, hp.n_channels)
            dead[f"{name}.talking_heads.weight"] = (hp.n_heads, hp.n_heads, 1)
        live |= sdt.mlp_shapes(f"block.{i}.mlp", hp.n_channels, hp.n_hidden)
    return live | {"head.weight": (hp.n_classes, hp.n_channels), "head.bias": (hp.n_classes,)}, dead


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output."""
    sdt.check_sizes(hp, FAMILY)
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    layers = Assembly(net, tensors, NeuronConstants.of(hp))
    u, height, width = sdt.patch_embed(layers, hp)  # height x width x D, real
    shape = (height, width, hp.n_channels)
    for i in range(hp.depth):
        if hp.attention == "sdsa":
            sdt.sdsa(layers, hp, f"block.{i}.attn", u, shape)
        elif hp.attention == "ssa":
            _ssa(layers, hp, f"block.{i}.attn", u, shape)
        else:
            dssa(layers, hp, f"block.{i}.attn", u, shape, hp.scale_tokens)
        sdt.mlp(layers, f"block.{i}.mlp", u, shape, hp.n_hidden)
    mean, logits = Current(1, hp.n_channels), Current(1, hp.n_classes)
    net.add(TokenMean("token_mean", u, mean))  # D, real
    head_lif = layers.neurons("head_lif", mean, (hp.n_channels,), "channel")  # D
    layers.linear("head", None, head_lif, logits)  # classes
    net.add(Readout("readout", logits))
    return net


def _ssa(layers: Assembly, hp: HyperParameters, name: str, u: Current, shape: tuple[int, int, int]) -> None:
    """u += proj(LIF(Q K^T V / 8)): spiking self-attention in place of the gate, all else as in SDSA."""
    height, width, n_channels = shape
    z = layers.neurons(f"{name}.shortcut_lif", u, shape, "row,col,channel")  # height x width x D
    q, k, v = (sdt.query(layers, f"{name}.{role}", z, shape) for role in "qkv")
    x = Current(height * width, n_channels)
    layers.network.add(SSA(f"{name}.qkv", hp.n_heads, _SSA_SCALE, x), q=q, k=k, v=v)  # height x width x D, integers
    heads = (height, width, hp.n_heads, n_channels // hp.n_heads)
    options = {"v_threshold": hp.attn_v_threshold, "reference_axes": "head,token,channel"}
    a = layers.neurons(f"{name}.attn_lif", x, heads, "row,col,head,channel", **options)
    layers.linear(f"{name}.proj_conv", f"{name}.proj_bn", a, u)
