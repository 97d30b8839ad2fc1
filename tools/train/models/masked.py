"""Masked image modelling around the Spikformer V2 encoder: sparse stem, visible tokens, a small ANN decoder.

V2's own pre-training code is unknown; keys and scheme follow the closest public code (Spike-driven Transformer V3).
"""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from tools.train.models.spikformer_v2 import Block, Stage, stem
from tools.train.models.steps import per_step, to_steps

__all__ = ["MaskedAutoencoder", "draw_visible", "patches"]

PATCH = 16  # side of a token in pixels: the stem halves four times


class MaskedStage(Stage):
    """A stage that sees only the visible cells: masked convolution outputs, statistics over what is visible."""

    active = None  # [B, h, w] at the token grid, set before each pass

    def _current(self, x, name):
        y = per_step(x, getattr(self, f"{name}_conv"))
        scale = y.shape[-1] // self.active.shape[-1]
        cells = self.active.repeat_interleave(scale, 1).repeat_interleave(scale, 2).expand(len(y), -1, -1, -1)
        rows = cells.flatten().nonzero()[:, 0]
        y = y.movedim(2, -1)  # a row a cell
        seen = y.flatten(0, 3).index_select(0, rows)
        seen = getattr(self, f"{name}_bn")(seen[..., None, None])[..., 0, 0]
        return torch.zeros_like(y).flatten(0, 3).index_copy(0, rows, seen).view(y.shape).movedim(-1, 2)


class DecoderAttention(nn.Module):
    """Softmax attention; no biases on q, k, v."""

    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class DecoderMLP(nn.Module):
    """Two linear layers with GELU."""

    def __init__(self, dim):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class DecoderBlock(nn.Module):
    """An ordinary ViT block: the decoder is thrown away, it need not spike."""

    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), DecoderAttention(dim, num_heads)
        self.norm2, self.mlp = nn.LayerNorm(dim), DecoderMLP(dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def sincos(dim: int, side: int) -> torch.Tensor:
    """Fixed two-dimensional position codes [side * side, dim]: half for the row, half for the column."""
    omega = 10000.0 ** -(torch.arange(dim // 4) / (dim // 4))
    angle = torch.arange(side)[:, None] * omega
    line = torch.cat([angle.sin(), angle.cos()], 1)  # [side, dim / 2]
    rows, columns = line[:, None].expand(-1, side, -1), line[None].expand(side, -1, -1)
    return torch.cat([rows, columns], 2).flatten(0, 1)


def draw_visible(n: int, side: int, ratio: float, generator: torch.Generator) -> torch.Tensor:
    """Which of the side * side tokens of each sample stay visible: bool [n, side * side], equally many a sample."""
    n_visible = round(side * side * (1 - ratio))
    order = torch.rand(n, side * side, generator=generator).argsort(1)
    return order < n_visible


def patches(x: torch.Tensor) -> torch.Tensor:
    """Images [B, C, H, W] as normalised patches [B, N, PATCH * PATCH * C]."""
    p = x.unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH)).permute(0, 2, 4, 3, 5, 1).flatten(1, 2).flatten(2)
    return (p - p.mean(-1, keepdim=True)) / (p.var(-1, keepdim=True) + 1e-6).sqrt()


class MaskedAutoencoder(nn.Module):
    """Encoder with the keys of SpikformerV2, without its head, and a decoder that paints the hidden patches.

    Parameters
    ----------
    in_channels, dim, num_heads, layer, mlp_ratio, time_step, shortcut
        As in SpikformerV2.
    img_size : int
        A multiple of 16.
    decoder_dim, decoder_layer : int
        Size of the decoder.
    """

    def __init__(
        self,
        *,
        in_channels=3,
        dim=384,
        num_heads=8,
        layer=8,
        mlp_ratio=4,
        time_step=4,
        shortcut="ms",
        img_size=224,
        decoder_dim=256,
        decoder_layer=4,
    ):
        super().__init__()
        self.time_step, self.side = time_step, img_size // PATCH
        self.patch_embed = stem(MaskedStage, in_channels, dim, shortcut)
        self.block = nn.ModuleList(Block(dim, num_heads, mlp_ratio, shortcut) for _ in range(layer))
        self.norm = nn.BatchNorm1d(dim)
        self.pos_embed = nn.Parameter(sincos(dim, self.side).T[None].clone(), requires_grad=False)  # stored, unused
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dim))
        self.decoder_pos_embed = nn.Parameter(sincos(decoder_dim, self.side)[None], requires_grad=False)
        self.decoder_embed = nn.Linear(dim, decoder_dim)
        self.decoder_blocks = nn.ModuleList(DecoderBlock(decoder_dim, 4) for _ in range(decoder_layer))
        self.decoder_norm = nn.LayerNorm(decoder_dim)
        self.decoder_pred = nn.Linear(decoder_dim, PATCH * PATCH * in_channels)

    def encode(self, x: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Means over the steps of the visible tokens [B, n_visible, D]."""
        active = visible.unflatten(1, (self.side, self.side))
        cells = active.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)
        x = to_steps(x * cells[:, None], self.time_step)
        for stage in self.patch_embed.values():
            stage.active = active
            x = stage(x)
        x = x.flatten(3).movedim(2, -1)[:, visible].unflatten(1, (len(visible), -1)).movedim(-1, 2)  # [T, B, D, n]
        for block in self.block:
            x = block(x)
        return self.norm(x.mean(0)).transpose(1, 2)

    def forward(self, x, visible):
        """Mean squared error on the hidden patches."""
        seen = self.decoder_embed(self.encode(x, visible))
        tokens = self.mask_token.expand(len(x), self.side**2, -1).clone()
        tokens[visible] = seen.flatten(0, 1)
        tokens = tokens + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens)
        painted = self.decoder_pred(self.decoder_norm(tokens))
        return (painted - patches(x)).square().mean(-1)[~visible].mean()
