"""SpikingResformer (Shi, Hao and Yu, CVPR 2024): stages of dual spike self-attention and group-wise feed-forward.

    recording -> prologue (convolution, no neurons) -> 3 stages (down-sampling, DSSA and GWFFN pairs)
              -> mean over pixels -> classifier, both on real values -> mean over steps

A membrane shortcut runs through each stage: the real-valued stream U. Names and shapes are those of the official
checkpoints. Shapes in comments are rows x columns x channels; u is the width of the stage.

Event cameras feed three channels too: off, on and their sum (``fit on_off_sum``), resized before they are summed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evsim.checkpoints.assembly import Assembly
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import SIZE_ARGUMENTS, STEPS_ARGUMENTS, image_size, one_of, positive
from evsim.checkpoints.neuron_constants import NeuronConstants, take_neuron_constants
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import CheckpointError
from evsim.handlers.attention.dssa import MapProduct, ValueProduct
from evsim.handlers.neurons import IF
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.projections.conv import Window
from evsim.handlers.readout import Readout, RealLinear, TokenMean

FAMILY = "spikingresformer"
TITLE = "SpikingResformer (official layout)"

_SMALLEST_RATE = 1e-12  # of an operand that fires at all

_NEURON = ("neuron", "spike_mode")


class Stage(NamedTuple):
    """Sizes of one stage: width, heads, patch side of the attention, and number of (DSSA, GWFFN) pairs."""

    n_channels: int
    n_heads: int
    patch: int
    depth: int


@dataclass(frozen=True)
class HyperParameters:
    """What fixes the network.

    Parameters
    ----------
    n_channels, n_heads, patches, depths : tuple of int
        One value a stage, see `Stage`; from the shapes of the tensors.
    mlp_ratio, group_size, in_channels, n_classes : int
        From the shapes of the tensors; group_size is 0 where there are no group-wise convolutions (an ablation).
    stem : {"7x7", "3x3"}
        From the kernel of the first convolution: 7x7 with stride 2 and a max-pool, or 3x3 alone.
    neuron : {"lif", "plif", "if"}
        PLIF from the presence of ``.w`` tensors.
    n_steps : int
        Steps of the network (T); not stored in the tensors.
    height, width : int
        Input size; not stored in the tensors.
    scale_size : int
        Input side for which the attention scale c2 was fixed (`img_size` of the constructor); not stored.
    tau, v_threshold, v_reset : float
        Of the neurons; PLIF has its time constants in the tensors. Constants of the official code.
    """

    n_channels: tuple[int, ...]
    n_heads: tuple[int, ...]
    patches: tuple[int, ...]
    depths: tuple[int, ...]
    mlp_ratio: int
    group_size: int
    in_channels: int
    n_classes: int
    stem: str
    neuron: str
    n_steps: int
    height: int
    width: int
    scale_size: int
    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no tensors could show (a weights file's header may say anything)."""
        stages = (self.n_channels, self.n_heads, self.patches, self.depths)
        if not self.n_channels or len({len(sizes) for sizes in stages}) > 1:
            raise CheckpointError(f"{FAMILY}: n_channels, n_heads, patches, depths: {stages}, expected one a stage")
        if self.group_size < 0 or min(self.mlp_ratio, self.height, self.width, *(min(sizes) for sizes in stages)) < 1:
            raise CheckpointError(f"{FAMILY}: a size is below 1: {self}")
        if self.stem not in ("7x7", "3x3") or self.neuron not in ("lif", "plif", "if"):
            raise CheckpointError(f"{FAMILY}: stem {self.stem!r}, neuron {self.neuron!r}: unknown")

    @property
    def stages(self) -> list[Stage]:
        """The sizes of each stage."""
        return [Stage(*sizes) for sizes in zip(self.n_channels, self.n_heads, self.patches, self.depths, strict=True)]


_SMALL_STAGES = {"n_channels": (8, 16), "n_heads": (1, 2), "patches": (2, 1), "depths": (1, 1)}
SMALLEST = tuple(
    HyperParameters(
        **_SMALL_STAGES,
        mlp_ratio=2,
        group_size=8,
        in_channels=2,
        n_classes=3,
        stem=stem,
        neuron="lif",
        n_steps=4,
        height=side,
        width=side,
        scale_size=side,
    )
    for stem, side in (("7x7", 16), ("3x3", 8))
)
"""What `evsim warmup` runs."""


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Only this family stores firing rates of its attention operands."""
    return "layers.0.0.firing_rate_x" in shapes


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """From shapes where they tell, else from the stored arguments or the user."""
    four_d = ("prologue.0.weight", "layers.0.0.W.weight", "layers.0.1.up.1.weight")
    for name, n_axes in (*((name, 4) for name in four_d), ("classifier.weight", 2)):
        if len(shapes.get(name, ())) != n_axes:
            raise CheckpointError(f"{choices.path}: no {n_axes}-D tensor {name}, which a SpikingResformer has")
    _, in_channels, kernel, _ = shapes["prologue.0.weight"]
    if kernel not in (3, 7):
        raise CheckpointError(f"{choices.path}: prologue.0.weight has a {kernel}x{kernel} kernel, expected 7x7 or 3x3")
    height, width = choices.take(
        "img_size", image_size, "rows and columns of the input; scales the attention", SIZE_ARGUMENTS
    )
    neuron = _neuron(shapes, choices)
    stages = _stages(shapes, choices.path)
    return HyperParameters(
        n_channels=tuple(stage.n_channels for stage in stages),
        n_heads=tuple(stage.n_heads for stage in stages),
        patches=tuple(stage.patch for stage in stages),
        depths=tuple(stage.depth for stage in stages),
        mlp_ratio=shapes["layers.0.1.up.1.weight"][0] // max(shapes["layers.0.1.up.1.weight"][1], 1),
        group_size=_group_size(shapes, choices),
        in_channels=in_channels,
        n_classes=shapes["classifier.weight"][0],
        stem=f"{kernel}x{kernel}",
        neuron=neuron,
        n_steps=choices.take("n_steps", positive, "steps of the network, T", STEPS_ARGUMENTS),
        height=height,
        width=width,
        scale_size=_scale_size(choices, height, width),
        **take_neuron_constants(choices, has_tau=neuron == "lif", has_attention=False),
    )


def tensor_shapes(hp: HyperParameters) -> tuple[Shapes, Shapes]:
    """Names and shapes of the tensors the network uses, and of the dead ones it may come with (none)."""
    kernel, n_in = int(hp.stem[0]), hp.stages[0].n_channels
    live: Shapes = {"prologue.0.weight": (n_in, hp.in_channels, kernel, kernel)}
    live |= norm_shapes("prologue.1.bn", n_in)
    for s, stage in enumerate(hp.stages):
        if s > 0:
            live[f"layers.{s}.0.conv.weight"] = (stage.n_channels, n_in, 3, 3)
            live |= norm_shapes(f"layers.{s}.0.norm.bn", stage.n_channels)
            live |= _neuron_weights(hp, f"layers.{s}.0", ("activation",))
        n_in = stage.n_channels
        for attention, feed_forward in _pairs(s, stage):
            live |= dssa_shapes(hp, attention, stage)
            live |= _gwffn_shapes(hp, feed_forward, stage)
    return live | {"classifier.weight": (hp.n_classes, n_in)}, {}


def build(tensors: Mapping[str, np.ndarray], hp: HyperParameters) -> Network:
    """The network, input to output."""
    _check_sizes(hp)
    net = Network(FAMILY, (hp.height, hp.width, hp.in_channels), hp.n_steps)
    layers = Assembly(net, tensors, NeuronConstants.of(hp))
    u, height, width = _prologue(layers, hp)  # H/4 x W/4 x u, or H x W x u: real
    for s, stage in enumerate(hp.stages):
        if s > 0:
            u, height, width = _downsample(layers, hp, s, u, (height, width))
        shape = (height, width, stage.n_channels)
        for attention, feed_forward in _pairs(s, stage):
            dssa(layers, hp, attention, u, shape, _n_scale_tokens(hp, s))
            _gwffn(layers, hp, feed_forward, u, shape)
    mean = Current(1, u.n_channels)
    net.add(TokenMean("mean", u, mean))  # u, real
    logits = Current(1, hp.n_classes)
    net.add(RealLinear("classifier", np.asarray(tensors["classifier.weight"]), None, mean, logits))  # classes
    net.add(Readout("readout", logits))
    return net


def _prologue(layers: Assembly, hp: HyperParameters) -> tuple[Current, int, int]:
    """U = BN(conv(input)), with a max-pool of real values behind the 7x7 stem; no neurons."""
    n_channels = hp.stages[0].n_channels
    stride, kernel = (2, 7) if hp.stem == "7x7" else (1, 3)
    window = Window(hp.height, hp.width, kernel, stride, kernel // 2)
    height, width = window.out_height, window.out_width
    u = Current(height * width, n_channels)
    layers.conv("prologue.0", "prologue.1.bn", INPUT, window, u)
    if hp.stem == "3x3":
        return u, height, width
    window = Window(height, width, kernel=3, stride=2, padding=1)
    pooled = Current(window.out_height * window.out_width, n_channels)
    layers.network.add(CurrentMaxPool("prologue.2", u, pooled, window))
    return pooled, window.out_height, window.out_width


def _downsample(
    layers: Assembly, hp: HyperParameters, s: int, u: Current, size: tuple[int, int]
) -> tuple[Current, int, int]:
    """U = BN(conv(LIF(U))): half the resolution, a new stream."""
    name = f"layers.{s}.0"
    spikes = _neurons(layers, hp, f"{name}.activation", u, (*size, u.n_channels))
    window = Window(*size, kernel=3, stride=2, padding=1)
    halved = Current(window.out_height * window.out_width, hp.stages[s].n_channels)
    layers.conv(f"{name}.conv", f"{name}.norm.bn", spikes, window, halved)
    return halved, window.out_height, window.out_width


def dssa(
    layers: Assembly, hp: HyperParameters, name: str, u: Current, shape: tuple[int, int, int], n_scale_tokens: int
) -> None:
    """u += proj(LIF(c2 Y2 LIF(c1 Y1^T X))), X = LIF(u), Y = BN(patch convolution of X): dual spike self-attention.

    Of `hp` only `neuron` matters; a network that borrows this attention has it as well.
    """
    net, (height, width, n_channels) = layers.network, shape
    patch, n_tokens = layers.tensors[f"{name}.W.weight"].shape[2], height * width
    rate_x, rate_a = (_firing_rate(layers, f"{name}.firing_rate_{role}") for role in ("x", "attn"))
    x = _neurons(layers, hp, f"{name}.activation_in", u, shape)  # height x width x u
    window = Window(height, width, kernel=patch, stride=patch)
    y = Current(window.out_height * window.out_width, 2 * n_channels)  # P x 2u, real
    layers.conv(f"{name}.W", f"{name}.norm.bn", x, window, y)
    map_current = Current(n_tokens, rate_x.size * y.n_places)
    c1 = 1 / np.sqrt(rate_x * (n_channels // rate_x.size))
    net.add(MapProduct(f"{name}.matmul1", y, c1, n_tokens, map_current), x)
    a = _attention_map(layers, hp, f"{name}.activation_attn", map_current, (height, width, rate_x.size, y.n_places))
    out_current = Current(n_tokens, n_channels)
    c2 = 1 / np.sqrt(rate_a * n_scale_tokens)
    net.add(ValueProduct(f"{name}.matmul2", y, c2, n_tokens, out_current), a)
    out = _neurons(layers, hp, f"{name}.activation_out", out_current, shape)  # height x width x u
    layers.linear(f"{name}.Wproj", f"{name}.norm_proj.bn", out, u)


def _attention_map(
    layers: Assembly, hp: HyperParameters, name: str, current: Current, shape: tuple[int, int, int, int]
) -> str:
    """A = LIF(current), kept as height x width x heads x P where the official tensor is heads x P x N."""
    return _neurons(layers, hp, name, current, shape, "row,col,head,query", reference_axes="head,query,token")


def _gwffn(layers: Assembly, hp: HyperParameters, name: str, u: Current, shape: tuple[int, int, int]) -> None:
    """u += down(LIF(a)), a = up(LIF(u)), a += grouped conv(LIF(a)): group-wise feed-forward, shortcuts in place."""
    height, width, n_channels = shape
    inner = (height, width, hp.mlp_ratio * n_channels)
    spikes = _neurons(layers, hp, f"{name}.up.0", u, shape)
    a = Current(height * width, inner[2])  # height x width x 4u, real
    layers.linear(f"{name}.up.1", f"{name}.up.2.bn", spikes, a)
    if hp.group_size:
        spikes = _neurons(layers, hp, f"{name}.conv.0.0", a, inner)
        window, groups = Window(height, width, kernel=3, padding=1), inner[2] // hp.group_size
        layers.conv(f"{name}.conv.0.1", f"{name}.conv.0.2.bn", spikes, window, a, groups)
    spikes = _neurons(layers, hp, f"{name}.down.0", a, inner)
    layers.linear(f"{name}.down.1", f"{name}.down.2.bn", spikes, u)


def _neurons(
    layers: Assembly,
    hp: HyperParameters,
    name: str,
    current: Current,
    shape: tuple[int, ...],
    axes: str = "row,col,channel",
    **options,
) -> str:
    """LIF and PLIF as every family has them; IF where the user says so (the official class no configuration uses)."""
    if hp.neuron == "if":
        levels = {"v_threshold": layers.constants.v_threshold, "v_reset": layers.constants.v_reset}
        return layers.network.add(IF(name, current, shape, axes, **levels, **options))
    return layers.neurons(name, current, shape, axes, **options)


def _firing_rate(layers: Assembly, name: str) -> np.ndarray:
    """The stored mean rate of an attention operand, one value a head; any float type.

    Raises
    ------
    CheckpointError
        A rate is zero or not a rate: the scale would be infinite and the attention silently dead.
    """
    rate = np.asarray(layers.tensors[name], np.float64).reshape(-1)
    if not np.all((rate > _SMALLEST_RATE) & (rate <= 1)):
        raise CheckpointError(
            f"{FAMILY}: {name} is {rate.tolist()}, expected rates above 0 and up to 1: the checkpoint was never trained"
        )
    return rate


def _n_scale_tokens(hp: HyperParameters, s: int) -> int:
    """L of stage s as the official constructor fixes it from `scale_size`, whatever the size of the input."""
    side = hp.scale_size // 4 if hp.stem == "7x7" else hp.scale_size
    for _ in range(s):
        side //= 2
    return (side // hp.stages[s].patch) ** 2


def _stages(shapes: Mapping[str, tuple[int, ...]], path: str) -> list[Stage]:
    """One stage for each layers.S; its first attention gives the sizes, the number of its layers.S.I the depth."""
    blocks = {match.groups() for name in shapes if (match := re.match(r"layers\.(\d+)\.(\d+)\.", name))}
    stages = []
    for s in range(len({stage for stage, _ in blocks})):
        first = f"layers.{s}.{min(s, 1)}"
        n_blocks = sum(stage == str(s) for stage, _ in blocks)
        for name, n_axes in ((f"{first}.firing_rate_x", 5), (f"{first}.W.weight", 4)):
            if len(shapes.get(name, ())) != n_axes:
                raise CheckpointError(f"{path}: no {n_axes}-D tensor {name}, which a SpikingResformer has")
        _, n_channels, patch, _ = shapes[f"{first}.W.weight"]
        n_heads = shapes[f"{first}.firing_rate_x"][2]
        stages.append(Stage(n_channels, n_heads, patch, depth=n_blocks // 2))
    return stages


def _pairs(s: int, stage: Stage) -> list[tuple[str, str]]:
    """Names of the (DSSA, GWFFN) pairs of stage s; block 0 is the down-sampling layer except in the first."""
    first = min(s, 1)
    return [(f"layers.{s}.{first + 2 * i}", f"layers.{s}.{first + 2 * i + 1}") for i in range(stage.depth)]


def dssa_shapes(hp: HyperParameters, name: str, stage: Stage) -> Shapes:
    n = stage.n_channels
    shapes: Shapes = dict.fromkeys((f"{name}.firing_rate_x", f"{name}.firing_rate_attn"), (1, 1, stage.n_heads, 1, 1))
    shapes |= {f"{name}.W.weight": (2 * n, n, stage.patch, stage.patch), f"{name}.Wproj.weight": (n, n, 1, 1)}
    shapes |= norm_shapes(f"{name}.norm.bn", 2 * n) | norm_shapes(f"{name}.norm_proj.bn", n)
    return shapes | _neuron_weights(hp, name, ("activation_in", "activation_attn", "activation_out"))


def _gwffn_shapes(hp: HyperParameters, name: str, stage: Stage) -> Shapes:
    n, inner = stage.n_channels, hp.mlp_ratio * stage.n_channels
    layers = [("up", (inner, n, 1, 1)), ("down", (n, inner, 1, 1))]
    if hp.group_size:
        layers.insert(1, ("conv.0", (inner, hp.group_size, 3, 3)))
    shapes: Shapes = {f"{name}.{layer}.1.weight": shape for layer, shape in layers}
    for layer, shape in layers:
        shapes |= norm_shapes(f"{name}.{layer}.2.bn", shape[0])
    return shapes | _neuron_weights(hp, name, tuple(f"{layer}.0" for layer, _ in layers))


def _neuron_weights(hp: HyperParameters, name: str, neurons: tuple[str, ...]) -> Shapes:
    """The learnt time constants, where the neurons are PLIF."""
    return dict.fromkeys((f"{name}.{neuron}.w" for neuron in neurons), ()) if hp.neuron == "plif" else {}


def _check_sizes(hp: HyperParameters) -> None:
    for s, stage in enumerate(hp.stages):
        shrink = 2**s * stage.patch * (4 if hp.stem == "7x7" else 1)
        if min(hp.height, hp.width, hp.scale_size) < shrink:
            sizes = f"input {hp.height}x{hp.width}, scale_size {hp.scale_size}"
            raise CheckpointError(f"{FAMILY}: {sizes}: stage {s} needs at least {shrink} rows and columns")
        if stage.n_channels % stage.n_heads:
            raise CheckpointError(f"{FAMILY}: stage {s}: {stage.n_channels} channels, {stage.n_heads} heads")
        if hp.group_size and hp.mlp_ratio * stage.n_channels % hp.group_size:
            inner = hp.mlp_ratio * stage.n_channels
            raise CheckpointError(f"{FAMILY}: stage {s}: {inner} inner channels in groups of {hp.group_size}")


def _group_size(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> int:
    """Channels of a group; 0 where no block has a convolution, which no official network does without."""
    if not any(".conv.0." in name for name in shapes):
        choices.notes.append("no group-wise convolutions in this checkpoint: every official network has them")
        return 0
    return shape_of(choices.path, shapes, "layers.0.1.conv.0.1.weight", 4, "SpikingResformer")[1]


def _neuron(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> str:
    """PLIF shows in the tensors; LIF and IF look alike there, and every published configuration without w is LIF."""
    if any(name.endswith(".w") for name in shapes):
        return choices.take("neuron", one_of("plif"), "the checkpoint holds time constants", _NEURON, default="plif")
    return choices.take("neuron", one_of("lif", "if"), "lif or if: there are no time constants", _NEURON, default="lif")


def _scale_size(choices: Choices, height: int, width: int) -> int:
    """`img_size` of the official constructor; the input side where the input is square and nobody says otherwise."""
    meaning = "side of the square images for which the attention scale c2 was fixed, img_size of the constructor"
    if height != width:
        return choices.take("scale_size", positive, meaning)
    return choices.take("scale_size", positive, meaning, default=height)
