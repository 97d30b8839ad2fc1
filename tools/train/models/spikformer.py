"""Spikformer: spiking self-attention and SEW shortcuts, in the three forms the official repository ships."""

from dataclasses import dataclass

import torch
from torch import nn

from tools.train.models.neurons import LIF
from tools.train.models.steps import per_step, to_steps

__all__ = ["VARIANTS", "Spikformer", "spiking_attention"]


@dataclass(frozen=True)
class Variant:
    """What differs between the three model files.

    Parameters
    ----------
    pools : tuple of bool
        Which of the four stages pool (after the population).
    scale : float
        Factor on the attention product.
    linear : bool
        Token-first nn.Linear with biases instead of 1x1 convolutions.
    flat_mlp : bool
        Conv1d in the MLP instead of Conv2d.
    pos_embed : bool
        Stores pos_embed and norm, which the forward pass never uses.
    """

    pools: tuple[bool, ...]
    scale: float
    linear: bool = False
    flat_mlp: bool = False
    pos_embed: bool = False


VARIANTS = {
    "cifar10": Variant((False, False, True, True), 0.125, linear=True),
    "imagenet": Variant((True, True, True, True), 0.125),
    "cifar10dvs": Variant((True, True, True, True), 0.25, flat_mlp=True, pos_embed=True),
}


def spiking_attention(q, k, v, scale):
    """scale * (q kT) v on [T, B, heads, N, d]; small integers, so the order of the products is free."""
    return q @ (k.transpose(-1, -2) @ v) * scale


class PatchEmbed(nn.Module):
    """SPS: four convolutions whose spikes are pooled, then a spiking position convolution."""

    def __init__(self, in_channels, dim, pools):
        super().__init__()
        self.pools, self.maxpool = pools, nn.MaxPool2d(3, 2, 1)
        widths = [in_channels, dim // 8, dim // 4, dim // 2, dim]
        for i, suffix in enumerate(("", "1", "2", "3")):
            setattr(self, f"proj_conv{suffix}", nn.Conv2d(widths[i], widths[i + 1], 3, 1, 1, bias=False))
            setattr(self, f"proj_bn{suffix}", nn.BatchNorm2d(widths[i + 1]))
            setattr(self, f"proj_lif{suffix}", LIF())
        self.rpe_conv, self.rpe_bn, self.rpe_lif = nn.Conv2d(dim, dim, 3, 1, 1, bias=False), nn.BatchNorm2d(dim), LIF()

    def forward(self, x):
        for pool, suffix in zip(self.pools, ("", "1", "2", "3"), strict=True):
            x = per_step(x, getattr(self, f"proj_conv{suffix}"), getattr(self, f"proj_bn{suffix}"))
            x = getattr(self, f"proj_lif{suffix}")(x)
            x = per_step(x, self.maxpool) if pool else x
        return x + self.rpe_lif(per_step(x, self.rpe_conv, self.rpe_bn))


def _normed_tokens(bn):
    """BatchNorm1d over the channels of [TB, N, C]."""
    return lambda x: bn(x.transpose(1, 2)).transpose(1, 2)


class LinearAttention(nn.Module):
    """SSA on tokens [T, B, N, C] (CIFAR10 file)."""

    def __init__(self, dim, num_heads, scale):
        super().__init__()
        self.num_heads, self.scale = num_heads, scale
        for name in ("q", "k", "v", "proj"):
            setattr(self, f"{name}_linear", nn.Linear(dim, dim))
            setattr(self, f"{name}_bn", nn.BatchNorm1d(dim))
            setattr(self, f"{name}_lif", LIF())
        self.attn_lif = LIF(0.5)

    def _spikes(self, x, name):
        bn = _normed_tokens(getattr(self, f"{name}_bn"))
        return getattr(self, f"{name}_lif")(per_step(x, getattr(self, f"{name}_linear"), bn))

    def forward(self, x):
        q, k, v = (self._spikes(x, name).unflatten(3, (self.num_heads, -1)).transpose(2, 3) for name in ("q", "k", "v"))
        a = spiking_attention(q, k, v, self.scale).transpose(2, 3).flatten(3)  # [T, B, N, C]
        return self._spikes(self.attn_lif(a), "proj")


class LinearMLP(nn.Module):
    """MLP on tokens [T, B, N, C] (CIFAR10 file)."""

    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1_linear, self.fc1_bn, self.fc1_lif = nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), LIF()
        self.fc2_linear, self.fc2_bn, self.fc2_lif = nn.Linear(hidden, dim), nn.BatchNorm1d(dim), LIF()

    def forward(self, x):
        x = self.fc1_lif(per_step(x, self.fc1_linear, _normed_tokens(self.fc1_bn)))
        return self.fc2_lif(per_step(x, self.fc2_linear, _normed_tokens(self.fc2_bn)))


class ConvAttention(nn.Module):
    """SSA on a map [T, B, C, H, W] or tokens [T, B, C, N], with 1x1 convolutions over the tokens."""

    def __init__(self, dim, num_heads, scale):
        super().__init__()
        self.num_heads, self.scale = num_heads, scale
        for name in ("q", "k", "v", "proj"):
            setattr(self, f"{name}_conv", nn.Conv1d(dim, dim, 1, bias=name == "proj"))
            setattr(self, f"{name}_bn", nn.BatchNorm1d(dim))
            setattr(self, f"{name}_lif", LIF())
        self.attn_lif = LIF(0.5)

    def _current(self, x, name):
        return per_step(x, getattr(self, f"{name}_conv"), getattr(self, f"{name}_bn"))

    def _heads(self, tokens, name):
        """Spikes [T, B, C, N] as [T, B, heads, N, d]."""
        spikes = getattr(self, f"{name}_lif")(self._current(tokens, name))
        return spikes.unflatten(2, (self.num_heads, -1)).transpose(-1, -2)

    def forward(self, x):
        tokens = x.flatten(3)
        q, k, v = (self._heads(tokens, name) for name in ("q", "k", "v"))
        a = spiking_attention(q, k, v, self.scale).transpose(-1, -2).flatten(2, 3)  # [T, B, C, N]
        return self.proj_lif(self._current(self.attn_lif(a), "proj").view(x.shape))


class ConvMLP(nn.Module):
    """MLP with 1x1 convolutions, over a map (ImageNet file) or over tokens (CIFAR10-DVS file)."""

    def __init__(self, dim, hidden, flat):
        super().__init__()
        conv, norm = (nn.Conv1d, nn.BatchNorm1d) if flat else (nn.Conv2d, nn.BatchNorm2d)
        self.fc1_conv, self.fc1_bn, self.fc1_lif = conv(dim, hidden, 1), norm(hidden), LIF()
        self.fc2_conv, self.fc2_bn, self.fc2_lif = conv(hidden, dim, 1), norm(dim), LIF()

    def forward(self, x):
        x = self.fc1_lif(per_step(x, self.fc1_conv, self.fc1_bn))
        return self.fc2_lif(per_step(x, self.fc2_conv, self.fc2_bn))


class Block(nn.Module):
    """x + SSA(x), then x + MLP(x): sums of spikes, hence small integers."""

    def __init__(self, dim, num_heads, mlp_ratio, variant):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)  # stored, never called
        attention = LinearAttention if variant.linear else ConvAttention
        self.attn = attention(dim, num_heads, variant.scale)
        self.mlp = LinearMLP(dim, hidden) if variant.linear else ConvMLP(dim, hidden, variant.flat_mlp)

    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(x)


class Spikformer(nn.Module):
    """The whole network.

    Parameters
    ----------
    variant : str
        'cifar10', 'imagenet' or 'cifar10dvs': which official model file.
    in_channels, num_classes, dim, num_heads, layer, mlp_ratio : int
        Sizes, in the official words (`layer` = number of blocks).
    time_step : int
        How often an image is shown; frames bring their own number (every variant takes both here).
    """

    def __init__(
        self,
        variant="cifar10",
        *,
        in_channels=3,
        num_classes=10,
        dim=384,
        num_heads=12,
        layer=4,
        mlp_ratio=4,
        time_step=4,
    ):
        super().__init__()
        self.time_step, self.variant = time_step, VARIANTS[variant]
        self.patch_embed = PatchEmbed(in_channels, dim, self.variant.pools)
        if self.variant.pos_embed:
            self.pos_embed = nn.Parameter(torch.zeros(1, 64, dim))
            self.norm = nn.LayerNorm(dim)
        self.block = nn.ModuleList(Block(dim, num_heads, mlp_ratio, self.variant) for _ in range(layer))
        self.head = nn.Linear(dim, num_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Token means [T, B, D] of the integer stream."""
        x = self.patch_embed(to_steps(x, self.time_step))  # [T, B, D, H, W]
        if self.variant.linear:
            x = x.flatten(3).transpose(2, 3)  # [T, B, N, D]
        elif self.variant.flat_mlp:
            x = x.flatten(3)  # [T, B, D, N]
        for block in self.block:
            x = block(x)
        return x.mean(2) if self.variant.linear else x.flatten(3).mean(3)

    def steps(self, x):
        """Logits of each step [T, B, classes]."""
        return self.head(self.features(x))

    def forward(self, x):
        return self.head(self.features(x).mean(0))
