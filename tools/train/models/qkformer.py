"""QKFormer: stages of spiking Q-K token attention, then spiking self-attention, in the official repository's forms."""

from dataclasses import dataclass

import torch
from torch import nn

from tools.train.models.neurons import LIF
from tools.train.models.spikformer import spiking_attention
from tools.train.models.steps import per_step, to_steps

__all__ = ["VARIANTS", "QKFormer"]

Layer = tuple[str, float, int, bool]
"""Of a patch embedding: its name, its width as a share of the embedding's, its kernel, whether a max-pool follows."""


@dataclass(frozen=True)
class Variant:
    """What differs between the model files.

    Parameters
    ----------
    widths : tuple of float
        Of each stage, as a share of the embedding's dimension.
    depths : tuple of int
        Blocks of every stage but the last.
    stem : tuple of Layer
        The main path of the first embedding.
    fork : int
        Behind how many layers of the stem its shortcut leaves.
    step : tuple of Layer
        The main path of the later embeddings.
    attention, mlp : str
        Names of the self-attention of the last stage, and of the two layers of an MLP, without their number.
    n_heads : int or None
        Written into the file; None: an argument.
    """

    widths: tuple[float, ...]
    depths: tuple[int, ...]
    stem: tuple[Layer, ...]
    fork: int
    step: tuple[Layer, ...]
    attention: str
    mlp: str
    n_heads: int | None


VARIANTS = {
    "cifar10": Variant(
        widths=(0.25, 0.5, 1),
        depths=(1, 1),
        stem=(("proj", 0.5, 3, False), ("proj1", 1, 3, False)),
        fork=1,
        step=(("proj3", 1, 3, False), ("proj4", 1, 3, True)),
        attention="ssa",
        mlp="mlp",
        n_heads=8,
    ),
    "imagenet": Variant(
        widths=(0.25, 0.5, 1),
        depths=(1, 2),
        stem=(("proj", 0.5, 3, True), ("proj1", 1, 3, True), ("proj2", 1, 3, False)),
        fork=1,
        step=(("proj3", 1, 3, True), ("proj4", 1, 3, False)),
        attention="attn",
        mlp="fc",
        n_heads=None,
    ),
    "cifar10dvs": Variant(
        widths=(0.5, 1),
        depths=(1,),
        stem=(("proj", 0.125, 3, False), ("proj1", 0.25, 3, True), ("proj2", 0.5, 3, True), ("proj3", 1, 3, True)),
        fork=2,
        step=(("proj", 1, 3, False), ("proj4", 1, 3, True)),
        attention="ssa",
        mlp="mlp",
        n_heads=16,
    ),
}


class PatchEmbed(nn.Module):
    """Convolutions that may pool before their neurons, and a strided 1x1 convolution around them: a SEW sum."""

    def __init__(self, n_in: int, dim: int, layers: tuple[Layer, ...], fork: int):
        super().__init__()
        self.layers, self.fork, self.maxpool = layers, fork, nn.MaxPool2d(3, 2, 1)
        n_fork = n_in
        for i, (name, share, kernel, _) in enumerate(layers):
            n_out = int(dim * share)
            setattr(self, f"{name}_conv", nn.Conv2d(n_in, n_out, kernel, 1, kernel // 2, bias=False))
            setattr(self, f"{name}_bn", nn.BatchNorm2d(n_out))
            setattr(self, f"{name}_lif", LIF())
            n_in = n_out
            n_fork = n_out if i + 1 == fork else n_fork
        stride = 2 ** sum(pools for *_, pools in layers[fork:])
        self.proj_res_conv = nn.Conv2d(n_fork, dim, 1, stride, bias=False)
        self.proj_res_bn, self.proj_res_lif = nn.BatchNorm2d(dim), LIF()

    def _layer(self, x, name, pools):
        conv, bn = getattr(self, f"{name}_conv"), getattr(self, f"{name}_bn")
        current = per_step(x, conv, bn, self.maxpool) if pools else per_step(x, conv, bn)
        return getattr(self, f"{name}_lif")(current)

    def forward(self, x):
        forked = x
        for i, (name, _, _, pools) in enumerate(self.layers):
            x = self._layer(x, name, pools)
            forked = x if i + 1 == self.fork else forked
        return x + self._layer(forked, "proj_res", False)


class TokenAttention(nn.Module):
    """QKTA: the spikes of Q, summed over the channels of a head, open or close the token's K."""

    roles = ("q", "k")

    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        for name in (*self.roles, "proj"):
            setattr(self, f"{name}_conv", nn.Conv1d(dim, dim, 1, bias=name == "proj"))
            setattr(self, f"{name}_bn", nn.BatchNorm1d(dim))
            setattr(self, f"{name}_lif", LIF())
        self.attn_lif = LIF(0.5)

    def _spikes(self, tokens, name):
        current = per_step(tokens, getattr(self, f"{name}_conv"), getattr(self, f"{name}_bn"))
        return getattr(self, f"{name}_lif")(current)

    def _heads(self, tokens):
        """Q, K (and V), each [T, B, heads, d, N]."""
        return (self._spikes(tokens, name).unflatten(2, (self.num_heads, -1)) for name in self.roles)

    def mix(self, tokens):
        q, k = self._heads(tokens)
        return (self.attn_lif(q.sum(3, keepdim=True)) * k).flatten(2, 3)

    def forward(self, x):
        return self._spikes(self.mix(x.flatten(3)), "proj").view(x.shape)


class SelfAttention(TokenAttention):
    """SSA, as in Spikformer: 1/8 of Q K^T V."""

    roles = ("q", "k", "v")

    def mix(self, tokens):
        q, k, v = (heads.transpose(-1, -2) for heads in self._heads(tokens))
        return self.attn_lif(spiking_attention(q, k, v, 0.125).transpose(-1, -2).flatten(2, 3))


class MLP(nn.Module):
    """Two 1x1 convolutions, neurons behind each; `name` is what they are called, without their number."""

    def __init__(self, dim, hidden, name):
        super().__init__()
        self.names = (f"{name}1", f"{name}2")
        for layer, n_in, n_out in zip(self.names, (dim, hidden), (hidden, dim), strict=True):
            setattr(self, f"{layer}_conv", nn.Conv2d(n_in, n_out, 1))
            setattr(self, f"{layer}_bn", nn.BatchNorm2d(n_out))
            setattr(self, f"{layer}_lif", LIF())

    def forward(self, x):
        for layer in self.names:
            current = per_step(x, getattr(self, f"{layer}_conv"), getattr(self, f"{layer}_bn"))
            x = getattr(self, f"{layer}_lif")(current)
        return x


class Block(nn.Module):
    """x + attention(x), then x + MLP(x): sums of spikes. The name of the attention is its module's."""

    def __init__(self, dim, num_heads, mlp_ratio, attention, mlp):
        super().__init__()
        self.attention = attention
        setattr(self, attention, (TokenAttention if attention == "tssa" else SelfAttention)(dim, num_heads))
        self.mlp = MLP(dim, int(dim * mlp_ratio), mlp)

    def forward(self, x):
        x = x + getattr(self, self.attention)(x)
        return x + self.mlp(x)


class QKFormer(nn.Module):
    """The whole network.

    Parameters
    ----------
    variant : str
        'cifar10', 'imagenet' or 'cifar10dvs': which official model file.
    in_channels, num_classes, dim, num_heads, layer, mlp_ratio : int
        Sizes, in the official words (`layer` = number of blocks of all stages); the files other than ImageNet's have
        their own number of heads, whatever `num_heads` says.
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
        num_heads=8,
        layer=4,
        mlp_ratio=4,
        time_step=4,
    ):
        super().__init__()
        form = VARIANTS[variant]
        self.time_step, self.n_stages = time_step, len(form.widths)
        depths, heads, n_in = (*form.depths, layer - sum(form.depths)), form.n_heads or num_heads, in_channels
        for i, (share, depth) in enumerate(zip(form.widths, depths, strict=True)):
            width = int(dim * share)
            embed = (form.stem, form.fork) if i == 0 else (form.step, 0)
            setattr(self, f"patch_embed{i + 1}", PatchEmbed(n_in, width, *embed))
            attention = form.attention if i + 1 == self.n_stages else "tssa"
            blocks = (Block(width, heads, mlp_ratio, attention, form.mlp) for _ in range(depth))
            setattr(self, f"stage{i + 1}", nn.ModuleList(blocks))
            n_in = width
        self.head = nn.Linear(dim, num_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Token means [T, B, D] of the integer stream."""
        x = to_steps(x, self.time_step)
        for i in range(1, self.n_stages + 1):
            x = getattr(self, f"patch_embed{i}")(x)
            for block in getattr(self, f"stage{i}"):
                x = block(x)
        return x.flatten(3).mean(3)

    def steps(self, x):
        """Logits of each step [T, B, classes]."""
        return self.head(self.features(x))

    def forward(self, x):
        return self.head(self.features(x).mean(0))
