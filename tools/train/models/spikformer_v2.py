"""Spikformer V2 as reconstructed from its abstract and parameter counts: no official code exists."""

import torch
from torch import nn

from tools.train.models.neurons import LIF
from tools.train.models.spikformer import spiking_attention
from tools.train.models.steps import per_step, to_steps

__all__ = ["Block", "SpikformerV2", "Stage", "stem"]

# Where a population sits. SEW: conv, BN, LIF, and spikes are added. Membrane shortcut: LIF, conv, BN, and
# currents are added. Both shortcuts store the same keys.
SHORTCUTS = ("sew", "ms")


class Stage(nn.Module):
    """One stage of the convolutional stem: halve the map, then a residual pair of 3x3 convolutions."""

    def __init__(self, c_in, c_out, shortcut, first):
        super().__init__()
        self.ms, self.first = shortcut == "ms", first
        self.down_conv, self.down_bn = nn.Conv2d(c_in, c_out, 2, 2, bias=False), nn.BatchNorm2d(c_out)
        self.up_conv, self.up_bn = nn.Conv2d(c_out, 4 * c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(4 * c_out)
        self.proj_conv, self.proj_bn = nn.Conv2d(4 * c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out)
        self.up_lif, self.proj_lif = LIF(), LIF()
        if not (self.ms and first):
            self.down_lif = LIF()

    def _unit(self, x, name):
        """LIF-conv-BN (membrane) or conv-BN-LIF (SEW)."""
        if self.ms and self.first and name == "down":
            return self._current(x, name)  # the raw input comes without a population
        lif = getattr(self, f"{name}_lif")
        return self._current(lif(x), name) if self.ms else lif(self._current(x, name))

    def _current(self, x, name):
        return per_step(x, getattr(self, f"{name}_conv"), getattr(self, f"{name}_bn"))

    def forward(self, x):
        x = self._unit(x, "down")
        return x + self._unit(self._unit(x, "up"), "proj")


class Attention(nn.Module):
    """SSA on tokens [T, B, C, N]; `proj_lif` stands in front (membrane) or behind (SEW)."""

    def __init__(self, dim, num_heads, shortcut):
        super().__init__()
        self.num_heads, self.ms = num_heads, shortcut == "ms"
        for name in ("q", "k", "v", "proj"):
            setattr(self, f"{name}_conv", nn.Conv1d(dim, dim, 1, bias=name == "proj"))
            setattr(self, f"{name}_bn", nn.BatchNorm1d(dim))
            setattr(self, f"{name}_lif", LIF())
        self.attn_lif = LIF(0.5)

    def _current(self, x, name):
        return per_step(x, getattr(self, f"{name}_conv"), getattr(self, f"{name}_bn"))

    def _heads(self, x, name):
        spikes = getattr(self, f"{name}_lif")(self._current(x, name))
        return spikes.unflatten(2, (self.num_heads, -1)).transpose(-1, -2)  # [T, B, heads, N, d]

    def forward(self, x):
        z = self.proj_lif(x) if self.ms else x
        q, k, v = (self._heads(z, name) for name in ("q", "k", "v"))
        a = spiking_attention(q, k, v, 0.125).transpose(-1, -2).flatten(2, 3)
        y = self._current(self.attn_lif(a), "proj")
        return y if self.ms else self.proj_lif(y)


class MLP(nn.Module):
    """Two 1x1 convolutions with biases."""

    def __init__(self, dim, hidden, shortcut):
        super().__init__()
        self.ms = shortcut == "ms"
        self.fc1_conv, self.fc1_bn, self.fc1_lif = nn.Conv1d(dim, hidden, 1), nn.BatchNorm1d(hidden), LIF()
        self.fc2_conv, self.fc2_bn, self.fc2_lif = nn.Conv1d(hidden, dim, 1), nn.BatchNorm1d(dim), LIF()

    def forward(self, x):
        for conv, bn, lif in ((self.fc1_conv, self.fc1_bn, self.fc1_lif), (self.fc2_conv, self.fc2_bn, self.fc2_lif)):
            x = per_step(lif(x), conv, bn) if self.ms else lif(per_step(x, conv, bn))
        return x


class Block(nn.Module):
    """x + SSA(x), then x + MLP(x)."""

    def __init__(self, dim, num_heads, mlp_ratio, shortcut):
        super().__init__()
        self.attn = Attention(dim, num_heads, shortcut)
        self.mlp = MLP(dim, int(dim * mlp_ratio), shortcut)

    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(x)


def stem(stage: type[Stage], in_channels: int, dim: int, shortcut: str) -> nn.ModuleDict:
    """Four stages, each twice as wide and half as large as the one before."""
    widths = [in_channels, dim // 8, dim // 4, dim // 2, dim]
    return nn.ModuleDict({f"stage{i}": stage(widths[i], widths[i + 1], shortcut, first=i == 0) for i in range(4)})


class SpikformerV2(nn.Module):
    """The whole network; the map must be divisible by 16.

    Parameters
    ----------
    in_channels, num_classes, dim, num_heads, layer, mlp_ratio : int
        Sizes, in the words of Spikformer (`layer` = number of blocks).
    time_step : int
        How often an image is shown; frames bring their own number.
    shortcut : str
        'sew' or 'ms'.
    """

    def __init__(
        self,
        *,
        in_channels=3,
        num_classes=10,
        dim=384,
        num_heads=8,
        layer=8,
        mlp_ratio=4,
        time_step=4,
        shortcut="ms",
    ):
        super().__init__()
        if shortcut not in SHORTCUTS:
            raise ValueError(f"shortcut is one of {SHORTCUTS}, not {shortcut!r}")
        self.time_step = time_step
        self.patch_embed = stem(Stage, in_channels, dim, shortcut)
        self.block = nn.ModuleList(Block(dim, num_heads, mlp_ratio, shortcut) for _ in range(layer))
        self.head = nn.Linear(dim, num_classes)

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """The stem alone: tokens [T, B, D, N]."""
        x = to_steps(x, self.time_step)
        for stage in self.patch_embed.values():
            x = stage(x)
        return x.flatten(3)

    def features(self, x):
        """Token means [T, B, D]."""
        x = self.tokens(x)
        for block in self.block:
            x = block(x)
        return x.mean(3)

    def steps(self, x):
        """Logits of each step [T, B, classes]."""
        return self.head(self.features(x))

    def forward(self, x):
        return self.head(self.features(x).mean(0))
