"""The trunk that the Meta-Former networks share (SDT-V2, SDT-V3): stages, names and sizes.

    recording -> [down-sampling -> blocks] three or four times

Each network says what a down-sampling, a convolution block and an attention block are. Names are those of the
official checkpoints; shapes in comments are rows x columns x channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import Shapes, norm_shapes, shape_of
from evsim.checkpoints.kinds import positive
from evsim.errors import CheckpointError
from evsim.graph.assembly import GraphAssembly
from evsim.graph.rolling.program import Source

__all__ = ["check_sizes", "conv_blocks", "down_shapes", "mlp_shapes", "n_blocks", "read_widths", "take_heads", "trunk"]


def trunk(
    layers: GraphAssembly,
    depths: Sequence[int],
    down: Callable[[str, Source, int], Source],
    conv_block: Callable[[str, Source], Source],
    block: Callable[[str, Source], Source],
) -> Source:
    """The real-valued stream u behind the last stage.

    Parameters
    ----------
    layers : GraphAssembly
    depths : sequence of int
        Blocks of the third stage, and of the fourth where there is one.
    down : callable
        (name, u, stride) -> u of another resolution.
    conv_block, block : callable
        (name, u) -> u.
    """
    u = layers.conv("downsample1_1.encode_conv", "downsample1_1.encode_bn", layers.input, stride=2, padding=3)
    u = conv_block("ConvBlock1_1.0", u)  # H/2 x W/2 x D1/2
    u = down("downsample1_2", u, 2)
    u = conv_block("ConvBlock1_2.0", u)  # H/4 x W/4 x D1
    u = down("downsample2", u, 2)
    u = conv_block("ConvBlock2_2.0", conv_block("ConvBlock2_1.0", u))  # H/8 x W/8 x D2
    for stage, depth, stride in zip((3, 4), depths, (2, 1), strict=False):
        u = down(f"downsample{stage}", u, stride)
        for i in range(depth):
            u = block(f"block{stage}.{i}", u)  # H/16 x W/16 x D3, then D4
    return u


def conv_blocks(n_channels: Sequence[int]) -> Iterator[tuple[str, int]]:
    """The convolution blocks and their channels."""
    first, second, *_ = n_channels
    names = ("ConvBlock1_1.0", "ConvBlock1_2.0", "ConvBlock2_1.0", "ConvBlock2_2.0")
    return zip(names, (first // 2, first, second, second), strict=True)


def down_shapes(in_channels: int, n_channels: Sequence[int]) -> Shapes:
    """The tensors of every down-sampling."""
    shapes: Shapes = {}
    widths = (in_channels, n_channels[0] // 2, *n_channels)
    for stage, n_in, n_out in zip(_stages(n_channels), widths, widths[1:], strict=False):
        name, kernel = f"downsample{stage}", 7 if stage == "1_1" else 3
        shapes |= {f"{name}.encode_conv.weight": (n_out, n_in, kernel, kernel), f"{name}.encode_conv.bias": (n_out,)}
        shapes |= norm_shapes(f"{name}.encode_bn", n_out)
    return shapes


def mlp_shapes(name: str, n: int, n_hidden: int) -> Shapes:
    """The tensors of one block's two linear layers."""
    shapes: Shapes = {}
    for layer, n_out, n_in in (("fc1", n_hidden, n), ("fc2", n, n_hidden)):
        shapes |= {f"{name}.{layer}_conv.weight": (n_out, n_in, 1), f"{name}.{layer}_conv.bias": (n_out,)}
        shapes |= norm_shapes(f"{name}.{layer}_bn", n_out)
    return shapes


def read_widths(path: str, shapes: Mapping[str, tuple[int, ...]], n_stages: int, network: str) -> tuple[int, ...]:
    """Channels of the input, then of the stages.

    Raises
    ------
    CheckpointError
        A down-sampling is missing, or is no convolution.
    """
    found = [
        shape_of(path, shapes, f"downsample{stage}.encode_conv.weight", 4, network)
        for stage in _stages(range(n_stages))
    ]
    return found[0][1], *(shape[0] for shape in found[1:])


def n_blocks(shapes: Mapping[str, tuple[int, ...]], stage: int) -> int:
    """Attention blocks of one stage."""
    return len({name.split(".")[1] for name in shapes if name.startswith(f"block{stage}.")})


def take_heads(choices: Choices, width: int, official_widths: Sequence[int]) -> int:
    """Heads of the attention: 8 where the third stage is as wide as a published model's, else told by somebody."""
    known = {"constant": 8} if width in official_widths else {}
    meaning = "heads of the attention, 8 in the published models"
    return choices.take("n_heads", positive, meaning, "num_heads", **known)


def check_sizes(
    family: str, n_stages: int, n_channels: Sequence[int], depths: Sequence[int], n_heads: int, height: int, width: int
) -> None:
    """Refuse what no tensors could show (a weights file's header may say anything).

    Raises
    ------
    CheckpointError
    """
    if len(n_channels) != n_stages or len(depths) != n_stages - 2 or min(depths) < 0:
        expected = f"{n_stages} and {n_stages - 2}"
        raise CheckpointError(f"{family}: n_channels {n_channels} and depths {depths}, expected {expected}")
    if min(*n_channels, n_heads, height, width) < 1 or n_channels[0] % 2:
        found = f"n_channels {n_channels}, n_heads {n_heads}, {height}x{width}"
        raise CheckpointError(f"{family}: a size is below 1, or half of an odd number: {found}")
    if any(n % n_heads for n in n_channels[2:]):
        found = " and ".join(map(str, n_channels[2:]))
        raise CheckpointError(f"{family}: {found} channels do not divide by {n_heads} heads")


def _stages(n_channels: Sequence[int]) -> tuple[str, ...]:
    """What the official files call the down-samplings."""
    return ("1_1", "1_2", "2", "3", "4")[: 1 + len(n_channels)]
