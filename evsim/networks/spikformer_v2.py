"""Spikformer V2 (Zhou et al., arXiv 2401.02020) as a reconstruction: its authors released neither code nor weights.

    recording -> SCS (down-sampling convolutions, residual pairs) -> blocks (SSA, MLP) -> token mean -> classifier

What is known is the abstract, the published parameter counts and the code of the first version; the rest is a guess
that reaches the counts of the 8-512 network. So everything guessed is a named option: the shortcut, the heads, the
stride and padding of the stem, and a table of names (``--set key_map=OURS=THEIRS,...``). Shapes in comments are
rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.key_map import read_key_map, their_name
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, one_of, positive, power_of_two, whole
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants, take_spike_mode
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.projections.conv import Window
from evsim.handlers.readout import Readout, RealLinear, TokenMean
from evsim.handlers.spike_sum import SpikeMean, SpikeSum

FAMILY = "spikformer_v2"
TITLE = "Spikformer V2 (reconstruction)"

_NETWORK = "Spikformer V2 (reconstruction)"
_PRE_TRAINING = ("mask_token", "decoder_", "norm.", "pos_embed")
_N_STAGES = 4
_AXES = "row,col,channel"


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    depth, n_channels, mlp_ratio, in_channels : int
        From the shapes of the tensors.
    n_classes : int
        From the shapes; 0 for a pre-training checkpoint, which has no classifier.
    stem_ratio, stem_kernel, down_kernel : int
        Of each stage of the stem: hidden over outer channels and kernel of the residual pair, kernel of the
        down-sampling. From the shapes.
    n_heads : int
        Not stored in the tensors.
    n_steps : int
        Steps of the network (T); not stored in the tensors.
    height, width : int
        Input size.
    shortcut : {"sew", "ms"}
        Sums of spikes (as in the first version), or of currents (a membrane shortcut).
    down_stride, down_padding : int
    attn_scale : float
        Of the attention.
    key_map : str
        ``OURS=THEIRS,...``: the names of the checkpoint where they are not those assumed here.
    tau, v_threshold, v_reset, attn_v_threshold : float
        Of the neurons, the last one of those behind the attention; as in the first version.
    """

    depth: int
    n_channels: int
    mlp_ratio: int
    in_channels: int
    n_classes: int
    stem_ratio: int
    stem_kernel: int
    down_kernel: int
    n_heads: int
    n_steps: int
    height: int
    width: int
    shortcut: str
    down_stride: int
    down_padding: int
    attn_scale: float
    key_map: str
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0
    attn_v_threshold: float = 0.5


SMALLEST = tuple(
    HyperParameters(1, 16, 2, 2, 3, 2, 3, 2, 2, 4, 32, 32, shortcut, 2, 0, 1 / 8, "") for shortcut in ("sew", "ms")
)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """A stem in stages that down-sample, and a block with separate queries."""
    return "patch_embed.stage0.down_conv.weight" in shapes and "block.0.attn.q_conv.weight" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments, the reconstruction or the user."""
    names = choices.take("key_map", _key_map, "names of the checkpoint: OURS=THEIRS,...", default="")
    table = read_key_map(names)

    def shape(name: str, n_axes: int) -> tuple[int, ...]:
        return shape_of(choices.path, shapes, their_name(name, table), n_axes, _NETWORK)

    down, up = shape("patch_embed.stage0.down_conv.weight", 4), shape("patch_embed.stage0.up_conv.weight", 4)
    n_channels = shape("block.0.attn.q_conv.weight", 3)[0]
    blocks = their_name("block.0.attn.q_conv.weight", table).split(".0.")[0] + "."
    height, width = choices.take("img_size", image_size, "rows and columns of the input, H or HxW", SIZE_ARGUMENTS)
    take_spike_mode(choices, shapes)
    return HyperParameters(
        depth=len({name.removeprefix(blocks).split(".")[0] for name in shapes if name.startswith(blocks)}),
        n_channels=n_channels,
        mlp_ratio=shape("block.0.mlp.fc1_conv.weight", 3)[0] // max(n_channels, 1),
        in_channels=down[1],
        n_classes=0 if _is_pre_training(shapes, choices, table) else shape("head.weight", 2)[0],
        stem_ratio=up[0] // max(up[1], 1),
        stem_kernel=up[2],
        down_kernel=down[2],
        n_heads=choices.take("n_heads", positive, "heads of the attention", "num_heads"),
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        height=height,
        width=width,
        shortcut=choices.take("shortcut", one_of("sew", "ms"), "sew: sums of spikes; ms: of currents"),
        down_stride=choices.take("down_stride", positive, "of the stem's down-sampling", default=2),
        down_padding=choices.take(
            "down_padding", whole(0, 100), "of the stem's down-sampling", default=(down[2] - 1) // 2
        ),
        attn_scale=choices.take("attn_scale", power_of_two, "factor of the attention", default=1 / 8),
        key_map=names,
        **take_neuron_constants(choices),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with."""
    table = read_key_map(hp.key_map)
    live = {their_name(name, table): shape for name, shape in _live_shapes(hp).items()}
    return live, {f"{prefix}*": () for prefix in _PRE_TRAINING}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output; without a classifier it ends in no logits."""
    if hp.n_channels % 8 or hp.n_channels % hp.n_heads:
        raise CheckpointError(f"{FAMILY}: {hp.n_channels} channels do not divide by 8 and by {hp.n_heads} heads")
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    table = read_key_map(hp.key_map)
    named = {name: tensors[their_name(name, table)] for name in _live_shapes(hp)}
    layers = Assembly(net, named, NeuronConstants.of(hp))
    mean = Current(1, hp.n_channels)
    {"sew": _build_sew, "ms": _build_membrane}[hp.shortcut](layers, hp, mean)
    logits = Current(1, hp.n_classes)
    if hp.n_classes:
        head = RealLinear(
            "head", layers.tensors["head.weight"], layers.tensors["head.bias"], mean, logits, is_once=True
        )
        net.add(head)
    net.add(Readout("readout", logits))
    return net


def _build_sew(layers: Assembly, hp: HyperParameters, mean: Current) -> None:
    """Shortcuts that add spikes: x is whole numbers, and every layer ends in neurons."""
    x, height, width = INPUT, hp.height, hp.width
    for stage, n_channels in enumerate(_widths(hp)):
        x, height, width = _sew_stage(layers, hp, f"patch_embed.stage{stage}", x, (height, width, n_channels))
    shape = (height, width, hp.n_channels)  # height x width x D
    for i in range(hp.depth):
        attn, mlp = f"block.{i}.attn", f"block.{i}.mlp"
        spikes = _attention(layers, hp, attn, x, shape)
        x = _add(layers, f"{attn}.sum", x, _layer(layers, f"{attn}.proj", spikes, shape), shape)
        hidden = _layer(layers, f"{mlp}.fc1", x, (height, width, hp.mlp_ratio * hp.n_channels))
        x = _add(layers, f"{mlp}.sum", x, _layer(layers, f"{mlp}.fc2", hidden, shape), shape)
    layers.network.add(SpikeMean("token_mean", height * width, mean), x)  # D


def _sew_stage(
    layers: Assembly, hp: HyperParameters, name: str, source: str, shape: tuple[int, int, int]
) -> tuple[str, int, int]:
    """x = LIF(down(source)); x + LIF(proj(LIF(up(x)))): the stream and its size. `shape` has the new width."""
    down = _down_window(hp, *shape[:2])
    height, width, n_channels = down.out_height, down.out_width, shape[2]
    x = _conv(layers, f"{name}.down", source, down, n_channels)
    window = _pair_window(hp, height, width)
    up = _conv(layers, f"{name}.up", x, window, hp.stem_ratio * n_channels)
    branch = _conv(layers, f"{name}.proj", up, window, n_channels)
    return _add(layers, f"{name}.sum", x, branch, (height, width, n_channels)), height, width


def _build_membrane(layers: Assembly, hp: HyperParameters, mean: Current) -> None:
    """Shortcuts that add currents: u is real, and every layer but the first begins with neurons."""
    u: Current | None = None
    spikes, height, width = INPUT, hp.height, hp.width
    for stage, n_channels in enumerate(_widths(hp)):
        if u is not None:
            spikes = layers.neurons(f"patch_embed.stage{stage}.down_lif", u, (height, width, u.n_channels), _AXES)
        u, height, width = _membrane_stage(layers, hp, f"patch_embed.stage{stage}", spikes, (height, width, n_channels))
    shape = (height, width, hp.n_channels)  # height x width x D
    for i in range(hp.depth):
        attn, mlp = f"block.{i}.attn", f"block.{i}.mlp"
        spikes = layers.neurons(f"{attn}.proj_lif", u, shape, _AXES)
        layers.linear(f"{attn}.proj_conv", f"{attn}.proj_bn", _attention(layers, hp, attn, spikes, shape), u)
        spikes = layers.neurons(f"{mlp}.fc1_lif", u, shape, _AXES)
        hidden = Current(height * width, hp.mlp_ratio * hp.n_channels)
        layers.linear(f"{mlp}.fc1_conv", f"{mlp}.fc1_bn", spikes, hidden)
        spikes = layers.neurons(f"{mlp}.fc2_lif", hidden, (height, width, hidden.n_channels), _AXES)
        layers.linear(f"{mlp}.fc2_conv", f"{mlp}.fc2_bn", spikes, u)
    layers.network.add(TokenMean("token_mean", u, mean))  # D


def _membrane_stage(
    layers: Assembly, hp: HyperParameters, name: str, source: str, shape: tuple[int, int, int]
) -> tuple[Current, int, int]:
    """u = down(source); u += proj(LIF(up(LIF(u)))): the stream and its size. `shape` has the new width."""
    down = _down_window(hp, *shape[:2])
    height, width, n_channels = down.out_height, down.out_width, shape[2]
    u, hidden = Current(height * width, n_channels), Current(height * width, hp.stem_ratio * n_channels)
    layers.conv(f"{name}.down_conv", f"{name}.down_bn", source, down, u)
    window = _pair_window(hp, height, width)
    spikes = layers.neurons(f"{name}.up_lif", u, (height, width, n_channels), _AXES)
    layers.conv(f"{name}.up_conv", f"{name}.up_bn", spikes, window, hidden)
    spikes = layers.neurons(f"{name}.proj_lif", hidden, (height, width, hidden.n_channels), _AXES)
    layers.conv(f"{name}.proj_conv", f"{name}.proj_bn", spikes, window, u)
    return u, height, width


def _attention(layers: Assembly, hp: HyperParameters, name: str, source: str, shape: tuple[int, int, int]) -> str:
    """LIF(scale * Q K^T V), threshold 1/2: the same under both shortcuts."""
    q, k, v = (_layer(layers, f"{name}.{role}", source, shape) for role in "qkv")
    x = Current(shape[0] * shape[1], hp.n_channels)
    layers.network.add(SSA(f"{name}.qkv", hp.n_heads, hp.attn_scale, x, official_order="kv"), q=q, k=k, v=v)
    return layers.neurons(f"{name}.attn_lif", x, shape, _AXES, hp.attn_v_threshold)


def _conv(layers: Assembly, name: str, source: str, window: Window, n_channels: int) -> str:
    """A convolution with its BatchNorm, and its neurons behind it."""
    x = Current(window.out_height * window.out_width, n_channels)
    layers.conv(f"{name}_conv", f"{name}_bn", source, window, x)
    return layers.neurons(f"{name}_lif", x, (window.out_height, window.out_width, n_channels), _AXES)


def _layer(layers: Assembly, name: str, source: str, shape: tuple[int, int, int]) -> str:
    """A linear layer with its BatchNorm, and its neurons behind it."""
    x = Current(shape[0] * shape[1], shape[2])
    layers.linear(f"{name}_conv", f"{name}_bn", source, x)
    return layers.neurons(f"{name}_lif", x, shape, _AXES)


def _add(layers: Assembly, name: str, stream: str, branch: str, shape: tuple[int, int, int]) -> str:
    return layers.network.add(SpikeSum(name, shape[0] * shape[1] * shape[2]), stream=stream, branch=branch)


def _widths(hp: HyperParameters) -> tuple[int, ...]:
    return tuple(hp.n_channels // 2 ** (_N_STAGES - 1 - stage) for stage in range(_N_STAGES))


def _down_window(hp: HyperParameters, height: int, width: int) -> Window:
    return Window(height, width, hp.down_kernel, hp.down_stride, hp.down_padding)


def _pair_window(hp: HyperParameters, height: int, width: int) -> Window:
    return Window(height, width, hp.stem_kernel, stride=1, padding=hp.stem_kernel // 2)


def _live_shapes(hp: HyperParameters) -> Shapes:
    """Under the names assumed here."""
    shapes: Shapes = {}
    n_in = hp.in_channels
    for stage, n in enumerate(_widths(hp)):
        for layer, n_out, n_from, kernel in (
            ("down", n, n_in, hp.down_kernel),
            ("up", hp.stem_ratio * n, n, hp.stem_kernel),
            ("proj", n, hp.stem_ratio * n, hp.stem_kernel),
        ):
            shapes[f"patch_embed.stage{stage}.{layer}_conv.weight"] = (n_out, n_from, kernel, kernel)
            shapes |= norm_shapes(f"patch_embed.stage{stage}.{layer}_bn", n_out)
        n_in = n
    for i in range(hp.depth):
        shapes |= _block_shapes(f"block.{i}", hp)
    if hp.n_classes:
        shapes |= {"head.weight": (hp.n_classes, hp.n_channels), "head.bias": (hp.n_classes,)}
    return shapes


def _block_shapes(name: str, hp: HyperParameters) -> Shapes:
    n, hidden = hp.n_channels, hp.mlp_ratio * hp.n_channels
    shapes: Shapes = {}
    for layer, n_out, n_in, has_bias in (
        *((f"attn.{role}", n, n, role == "proj") for role in ("q", "k", "v", "proj")),
        ("mlp.fc1", hidden, n, True),
        ("mlp.fc2", n, hidden, True),
    ):
        shapes[f"{name}.{layer}_conv.weight"] = (n_out, n_in, 1)
        if has_bias:
            shapes[f"{name}.{layer}_conv.bias"] = (n_out,)
        shapes |= norm_shapes(f"{name}.{layer}_bn", n_out)
    return shapes


def _is_pre_training(shapes: Mapping[str, tuple[int, ...]], choices: Choices, table: Mapping[str, str]) -> bool:
    """A mask token or a decoder, and no classifier: masked-image pre-training."""
    has_decoder = any(name.startswith(("decoder_", "mask_token")) for name in shapes)
    if not has_decoder or their_name("head.weight", table) in shapes:
        return False
    choices.notes.append("a pre-training checkpoint: the encoder is kept; it has no classifier, so no logits")
    return True


def _key_map(value: object) -> str:
    read_key_map(str(value))
    return str(value)
