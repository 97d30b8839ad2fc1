"""What the official model files of QKFormer fix: CIFAR, ImageNet, and event cameras (CIFAR10-DVS, DVS128 Gesture)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["VARIANTS", "Conv", "Stage", "Variant"]


class Conv(NamedTuple):
    """A 3x3 convolution of a patch embedding: its name, which part of the stage's width it has, whether it pools."""

    name: str
    part: int
    pools: bool


class Stage(NamedTuple):
    """One patch embedding and the blocks behind it.

    Parameters
    ----------
    i : int
        Its number in the checkpoint, from 1.
    n_channels, depth : int
    path : tuple of Conv
        The main path of the patch embedding.
    fork : int
        Behind how many convolutions of it the shortcut leaves.
    attention : str
        What the attention is called: tssa is Q-K token attention, anything else SSA.
    mlp : str
        What the two layers of an MLP are called, without their number.
    """

    i: int
    n_channels: int
    depth: int
    path: tuple[Conv, ...]
    fork: int
    attention: str
    mlp: str


@dataclass(frozen=True)
class Variant:
    """What one official model file fixes.

    Parameters
    ----------
    parts : tuple of int
        Which part of the embedding's width each stage has.
    stem, step : tuple of Conv
        Main path of the first patch embedding, and of the others.
    fork : int
        Behind how many convolutions of the stem its shortcut leaves; that of a later embedding leaves at once.
    attention, mlp : str
        Names of the self-attention in the last stage, and of the two layers of an MLP, without their number.
    n_heads : int or dict of int to int
        Written into the file: one number, or by the widths that it has models of.
    """

    parts: tuple[int, ...]
    stem: tuple[Conv, ...]
    fork: int
    step: tuple[Conv, ...]
    attention: str
    mlp: str
    n_heads: int | dict[int, int]

    def stages(self, n_channels: int, depths: tuple[int, ...]) -> list[Stage]:
        """From input to output; `n_channels` is the width of the last one."""
        stages = []
        for i, (part, depth) in enumerate(zip(self.parts, depths, strict=True), 1):
            path, fork = (self.stem, self.fork) if i == 1 else (self.step, 0)
            attention = self.attention if i == len(depths) else "tssa"
            stages.append(Stage(i, n_channels // part, depth, path, fork, attention, self.mlp))
        return stages


VARIANTS = {
    "cifar10": Variant(
        parts=(4, 2, 1),
        stem=(Conv("proj", 2, False), Conv("proj1", 1, False)),
        fork=1,
        step=(Conv("proj3", 1, False), Conv("proj4", 1, True)),
        attention="ssa",
        mlp="mlp",
        n_heads=8,
    ),
    "imagenet": Variant(
        parts=(4, 2, 1),
        stem=(Conv("proj", 2, True), Conv("proj1", 1, True), Conv("proj2", 1, False)),
        fork=1,
        step=(Conv("proj3", 1, True), Conv("proj4", 1, False)),
        attention="attn",
        mlp="fc",
        n_heads={384: 6, 512: 8, 768: 12},
    ),
    "cifar10dvs": Variant(
        parts=(2, 1),
        stem=(Conv("proj", 8, False), Conv("proj1", 4, True), Conv("proj2", 2, True), Conv("proj3", 1, True)),
        fork=2,
        step=(Conv("proj", 1, False), Conv("proj4", 1, True)),
        attention="ssa",
        mlp="mlp",
        n_heads=16,
    ),
}
