"""SpikingResformer: dual spike self-attention (DSSA) and group-wise spiking feed-forward (GWFFN)."""

import torch
from torch import nn

from tools.train.models.neurons import spiking
from tools.train.models.steps import per_step, to_steps

__all__ = ["CONFIGS", "SpikingResformer"]

MOMENTUM = 0.999  # of the firing-rate averages

_STAGES = ("DSSA", "GWFFN")
_LAYERS = [list(_STAGES) * n for n in (1, 2, 3)]
CONFIGS = {
    "ti": {"planes": (64, 192, 384), "num_heads": (1, 3, 6), "img_size": 224, "num_classes": 1000},
    "s": {"planes": (64, 256, 512), "num_heads": (1, 4, 8), "img_size": 224, "num_classes": 1000},
    "m": {"planes": (64, 384, 768), "num_heads": (1, 6, 12), "img_size": 224, "num_classes": 1000},
    "l": {"planes": (128, 512, 1024), "num_heads": (2, 8, 16), "img_size": 224, "num_classes": 1000},
    "cifar": {"planes": (64, 192, 384), "num_heads": (1, 3, 6), "img_size": 32, "prologue": "conv3x3"},
    "dvsg": {
        "planes": (32, 96, 192),
        "num_heads": (1, 3, 6),
        "img_size": 64,
        "prologue": "conv3x3",
        "group_size": 32,
        "spike_mode": "plif",
        "num_classes": 11,
    },
}


class StepConv2d(nn.Conv2d):
    """Conv2d without bias on [T, B, C, H, W]."""

    def __init__(self, c_in, c_out, kernel, stride=1, padding=0, groups=1):
        super().__init__(c_in, c_out, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x):
        return per_step(x, super().forward)


class Norm(nn.Module):
    """BatchNorm2d on [T, B, C, H, W], one level down as in the official keys."""

    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return per_step(x, self.bn)


class StepMaxPool(nn.Module):
    """The 3x3 stride 2 pooling of the ImageNet prologue, on the real map."""

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x):
        return per_step(x, self.pool)


class DSSA(nn.Module):
    """Dual spike self-attention: a down-sampled real map asks, all pixels' spikes answer.

    Parameters
    ----------
    dim, num_heads, patch : int
        Channels, heads, and the side of the patches that become the P asking tokens.
    length : int
        P at construction: it scales the second product and is stored nowhere.
    node : type
        Population class.
    """

    def __init__(self, dim, num_heads, patch, length, node):
        super().__init__()
        self.num_heads, self.d, self.length = num_heads, dim // num_heads, length
        self.register_buffer("firing_rate_x", torch.zeros(1, 1, num_heads, 1, 1))
        self.register_buffer("firing_rate_attn", torch.zeros(1, 1, num_heads, 1, 1))
        self.activation_in = node()
        self.W = StepConv2d(dim, 2 * dim, patch, patch)
        self.norm = Norm(2 * dim)
        self.activation_attn, self.activation_out = node(), node()
        self.Wproj = StepConv2d(dim, dim, 1)
        self.norm_proj = Norm(dim)

    def _average(self, rate, spikes):
        """Follow the mean spikes of each head; the first batch is copied."""
        if self.training:
            mean = spikes.detach().mean((0, 1, 3, 4), keepdim=True)
            rate.copy_(mean if not rate.any() else rate * MOMENTUM + mean * (1 - MOMENTUM))
        return rate.clone()

    def forward(self, u):
        spikes = self.activation_in(u)
        y = self.norm(self.W(spikes)).flatten(3).unflatten(2, (self.num_heads, -1))  # [T, B, h, 2d, P]
        y1, y2 = y.split(self.d, dim=3)  # inside each head, not across them
        x = spikes.flatten(3).unflatten(2, (self.num_heads, -1))  # [T, B, h, d, N]
        c1 = 1.0 / torch.sqrt(self._average(self.firing_rate_x, x) * self.d)
        a = self.activation_attn((y1.transpose(-1, -2) @ x) * c1)  # [T, B, h, P, N]
        c2 = 1.0 / torch.sqrt(self._average(self.firing_rate_attn, a) * self.length)
        out = self.activation_out(((y2 @ a) * c2).flatten(2, 3).view(u.shape))
        return u + self.norm_proj(self.Wproj(out))


class GWFFN(nn.Module):
    """Widen, mix neighbours inside groups of channels (n_convs times, officially once), narrow.

    Membrane shortcuts around every mixing and around the whole.
    """

    def __init__(self, dim, group_size, node, n_convs=1, ratio=4):
        super().__init__()
        inner = dim * ratio
        self.up = nn.Sequential(node(), StepConv2d(dim, inner, 1), Norm(inner))
        self.conv = nn.ModuleList(
            nn.Sequential(node(), StepConv2d(inner, inner, 3, 1, 1, groups=inner // group_size), Norm(inner))
            for _ in range(n_convs)
        )
        self.down = nn.Sequential(node(), StepConv2d(inner, dim, 1), Norm(dim))

    def forward(self, u):
        a = self.up(u)
        for conv in self.conv:
            a = a + conv(a)
        return u + self.down(a)


class Downsample(nn.Module):
    """LIF, 3x3 stride 2, BN; no shortcut."""

    def __init__(self, c_in, c_out, node):
        super().__init__()
        self.conv, self.norm, self.activation = StepConv2d(c_in, c_out, 3, 2, 1), Norm(c_out), node()

    def forward(self, u):
        return self.norm(self.conv(self.activation(u)))


def _prologue(kind, in_channels, channels):
    if kind == "default":
        return nn.Sequential(StepConv2d(in_channels, channels, 7, 2, 3), Norm(channels), StepMaxPool())
    return nn.Sequential(StepConv2d(in_channels, channels, 3, 1, 1), Norm(channels))


class SpikingResformer(nn.Module):
    """The whole network; its forward returns the logits of each step.

    Parameters
    ----------
    layers : list of list of str
        'DSSA' and 'GWFFN' in order, one list a stage.
    planes, num_heads, patch_sizes : sequence of int
        One entry a stage.
    img_size : int
        Fixes the scale of the second attention product; stored in no checkpoint key.
    in_channels, num_classes, time_steps, group_size : int
        Sizes; an image is shown time_steps times, frames bring their own number.
    prologue : str
        'default' (7x7 stride 2, then pooling) or 'conv3x3'.
    spike_mode : str
        'lif' or 'plif'.
    n_convs : int
        Group-wise convolutions in a feed-forward; 1 in every official network, 0 to do without.
    """

    def __init__(
        self,
        *,
        layers=_LAYERS,
        planes=(64, 192, 384),
        num_heads=(1, 3, 6),
        patch_sizes=(4, 2, 1),
        img_size=224,
        in_channels=3,
        num_classes=10,
        time_steps=4,
        group_size=64,
        prologue="default",
        spike_mode="lif",
        n_convs=1,
    ):
        super().__init__()
        node = spiking(spike_mode)
        self.time_steps = time_steps
        self.prologue = _prologue(prologue, in_channels, planes[0])
        side = img_size // 4 if prologue == "default" else img_size
        stages = []
        for i, (dim, heads, patch) in enumerate(zip(planes, num_heads, patch_sizes, strict=True)):
            stage = [Downsample(planes[i - 1], dim, node)] if i else []
            length = ((side >> i) // patch) ** 2
            for kind in layers[i]:
                stage.append(
                    DSSA(dim, heads, patch, length, node) if kind == "DSSA" else GWFFN(dim, group_size, node, n_convs)
                )
            stages.append(nn.Sequential(*stage))
        self.layers = nn.Sequential(*stages)
        self.classifier = nn.Linear(planes[-1], num_classes, bias=False)

    def steps(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of each step [T, B, classes]."""
        u = self.layers(self.prologue(to_steps(x, self.time_steps)))
        return self.classifier(u.mean((3, 4)))

    forward = steps
