"""Spike-driven Transformer: spike-driven self-attention and membrane shortcuts."""

import torch
from torch import nn

from tools.train.models.neurons import spiking
from tools.train.models.steps import per_step, to_steps

__all__ = ["SpikeDrivenTransformer"]


class PatchEmbed(nn.Module):
    """MS_SPS: four convolutions, then a position convolution added on the membrane."""

    def __init__(self, in_channels, dim, pooling_stat, spike_mode):
        super().__init__()
        node = spiking(spike_mode)
        self.pools = [stat == "1" for stat in pooling_stat]
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [in_channels, dim // 8, dim // 4, dim // 2, dim]
        for i, suffix in enumerate(("", "1", "2", "3")):
            setattr(self, f"proj_conv{suffix}", nn.Conv2d(widths[i], widths[i + 1], 3, 1, 1, bias=False))
            setattr(self, f"proj_bn{suffix}", nn.BatchNorm2d(widths[i + 1]))
            setattr(self, f"proj_lif{suffix}", node())
        self.rpe_conv = nn.Conv2d(dim, dim, 3, 1, 1, bias=False)
        self.rpe_bn = nn.BatchNorm2d(dim)
        self.rpe_lif = node()  # never called; a PLIF checkpoint stores its w

    def _pooled(self, x, i):
        return per_step(x, self.maxpool) if self.pools[i] else x

    def forward(self, x):
        for i, suffix in enumerate(("", "1", "2")):
            x = per_step(x, getattr(self, f"proj_conv{suffix}"), getattr(self, f"proj_bn{suffix}"))
            x = self._pooled(getattr(self, f"proj_lif{suffix}")(x), i)
        membrane = self._pooled(per_step(x, self.proj_conv3, self.proj_bn3), 3)  # pooled before it fires
        return membrane + per_step(self.proj_lif3(membrane), self.rpe_conv, self.rpe_bn)


class SpikeDrivenAttention(nn.Module):
    """SDSA: a channel of q passes where k and v met in any token."""

    def __init__(self, dim, num_heads, spike_mode, dvs_mode):
        super().__init__()
        node = spiking(spike_mode)
        self.num_heads, self.dvs_mode = num_heads, dvs_mode
        for name in ("q", "k", "v"):
            setattr(self, f"{name}_conv", nn.Conv2d(dim, dim, 1, bias=False))
            setattr(self, f"{name}_bn", nn.BatchNorm2d(dim))
            setattr(self, f"{name}_lif", node())
        self.attn_lif = node(0.5)  # never called
        self.talking_heads = nn.Conv1d(num_heads, num_heads, 1, bias=False)  # never called, stored all the same
        self.talking_heads_lif = node(0.5)
        self.proj_conv = nn.Conv2d(dim, dim, 1)
        self.proj_bn = nn.BatchNorm2d(dim)
        self.shortcut_lif = node()
        self.dilate = nn.MaxPool2d(3, 1, 1)

    def _dilated(self, x):
        return self.dilate(x.flatten(0, -4)).view_as(x)

    def _spikes(self, z, name):
        return getattr(self, f"{name}_lif")(per_step(z, getattr(self, f"{name}_conv"), getattr(self, f"{name}_bn")))

    def _heads(self, x):
        """[T, B, D, H, W] to [T, B, heads, N, d]; channel = head * d + j."""
        return x.flatten(3).unflatten(2, (self.num_heads, -1)).transpose(-1, -2)

    def forward(self, u):
        z = self.shortcut_lif(u)
        q, k, v = (self._spikes(z, name) for name in ("q", "k", "v"))
        if self.dvs_mode:
            k, v = self._dilated(k), self._dilated(v)
        met = self._heads(k) * self._heads(v)
        if self.dvs_mode:
            met = self._dilated(met)  # on the (token, channel) plane of a head
        gate = self.talking_heads_lif(met.sum(-2, keepdim=True))
        passed = self._heads(q) * gate
        if self.dvs_mode:
            passed = self._dilated(passed)
        passed = passed.transpose(-1, -2).reshape(u.shape)
        return u + per_step(passed, self.proj_conv, self.proj_bn)


class MLP(nn.Module):
    """Two 1x1 convolutions, each after its population."""

    def __init__(self, dim, hidden, spike_mode):
        super().__init__()
        node = spiking(spike_mode)
        self.narrow = hidden == dim  # the official code adds one more shortcut only then
        self.fc1_conv, self.fc1_bn, self.fc1_lif = nn.Conv2d(dim, hidden, 1), nn.BatchNorm2d(hidden), node()
        self.fc2_conv, self.fc2_bn, self.fc2_lif = nn.Conv2d(hidden, dim, 1), nn.BatchNorm2d(dim), node()

    def forward(self, u):
        y = per_step(self.fc1_lif(u), self.fc1_conv, self.fc1_bn)
        if self.narrow:
            y = u = u + y
        return u + per_step(self.fc2_lif(y), self.fc2_conv, self.fc2_bn)


class Block(nn.Module):
    """Attention, then MLP."""

    def __init__(self, dim, num_heads, mlp_ratio, spike_mode, dvs_mode):
        super().__init__()
        self.attn = SpikeDrivenAttention(dim, num_heads, spike_mode, dvs_mode)
        self.mlp = MLP(dim, int(dim * mlp_ratio), spike_mode)

    def forward(self, u):
        return self.mlp(self.attn(u))


class SpikeDrivenTransformer(nn.Module):
    """The whole network.

    Parameters
    ----------
    in_channels, num_classes, dim, num_heads, layer, mlp_ratio : int
        Sizes, in the official words (`layer` = number of blocks).
    time_steps : int
        How often an image is shown; frames bring their own number.
    pooling_stat : str
        Four characters, '1' where a stage pools.
    spike_mode : str
        'lif' or 'plif'.
    dvs_mode : bool
        Dilate spikes inside the attention (CIFAR10-DVS only).
    TET : bool
        Return the logits of each step [T, B, classes] instead of their mean.
    """

    def __init__(
        self,
        *,
        in_channels=3,
        num_classes=10,
        dim=256,
        num_heads=8,
        layer=2,
        mlp_ratio=4,
        time_steps=4,
        pooling_stat="0011",
        spike_mode="lif",
        dvs_mode=False,
        TET=False,
    ):
        super().__init__()
        self.time_steps, self.TET = time_steps, TET
        self.patch_embed = PatchEmbed(in_channels, dim, pooling_stat, spike_mode)
        self.block = nn.ModuleList(Block(dim, num_heads, mlp_ratio, spike_mode, dvs_mode) for _ in range(layer))
        self.head_lif = spiking(spike_mode)()
        self.head = nn.Linear(dim, num_classes)

    def steps(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of each step [T, B, classes]."""
        u = self.patch_embed(to_steps(x, self.time_steps))  # [T, B, D, H, W], real
        for block in self.block:
            u = block(u)
        return self.head(self.head_lif(u.flatten(3).mean(3)))

    def forward(self, x):
        y = self.steps(x)
        return y if self.TET else y.mean(0)
