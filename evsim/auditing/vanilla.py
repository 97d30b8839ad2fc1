"""The vanilla vision transformer of the same size: what a spiking transformer is compared with, by formula alone.

The twin keeps the stem's convolutions and every linear layer, works on real values once (no steps), and has softmax
attention (VSA) where the spiking network has its own. Nothing is simulated. Counted are multiply-accumulates of
convolutions, linear layers and matrix products, borders taken as if padding held values, as the literature does;
softmax, normalisation, activation, pooling and biases are not.

    E = E_MAC * (convolutions + depth * (3 N D^2 + 2 N^2 D + N D^2 + 2 r N D^2))     [+ head]

Source: Yao et al., Spike-driven Transformer (NeurIPS 2023), energy of the ANN, with N tokens, D channels and an MLP of
ratio r (theirs is 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from evsim.errors import NetworkError

__all__ = ["TransformerSize", "attention_macs", "vanilla_transformer_macs"]


@dataclass(frozen=True)
class TransformerSize:
    """The sizes that the Spike-driven Transformer and Spikformer share with their twin.

    Parameters
    ----------
    height, width, in_channels : int
        The input.
    n_channels : int
        D, width of the blocks; the stem has D/8, D/4, D/2, D and D.
    depth : int
        Blocks.
    n_classes : int
    mlp_ratio : int
    pooling_stat : str
        Four characters, "1" where a 3x3 max-pool of stride 2 follows a convolution of the stem.
    """

    height: int
    width: int
    in_channels: int
    n_channels: int
    depth: int
    n_classes: int
    mlp_ratio: int = 4
    pooling_stat: str = "1111"

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, self.in_channels, self.n_channels, self.depth, self.n_classes, self.mlp_ratio)
        if min(sizes) < 1 or self.n_channels % 8:
            raise NetworkError(f"vanilla transformer: sizes {sizes} must be positive, channels divisible by 8")
        if len(self.pooling_stat) != 4 or set(self.pooling_stat) - {"0", "1"}:
            raise NetworkError(f"vanilla transformer: pooling_stat {self.pooling_stat!r}, expected four of 0 and 1")


def vanilla_transformer_macs(size: TransformerSize) -> dict[str, int]:
    """Multiply-accumulates of each layer for one input, in the order of the network.

    The names are those of the spiking network where the layer is the same; ``attn.qkv`` is q, k and v together,
    ``attn.scores`` is Q K^T and ``attn.mix`` the product of the attention with V, all heads together.

    Parameters
    ----------
    size : TransformerSize

    Returns
    -------
    dict of str to int
    """
    macs, n_tokens = _stem_macs(size)
    for i in range(size.depth):
        macs |= {f"block.{i}.{layer}": n for layer, n in _block_macs(size, n_tokens).items()}
    return macs | {"head": size.n_channels * size.n_classes}


def _stem_macs(size: TransformerSize) -> tuple[dict[str, int], int]:
    """Five 3x3 convolutions, the fifth on the final map; and the number of tokens they leave."""
    height, width, n_in, macs = size.height, size.width, size.in_channels, {}
    for suffix, divisor, pools in zip(("", "1", "2", "3"), (8, 4, 2, 1), size.pooling_stat, strict=True):
        n_out = size.n_channels // divisor
        macs[f"patch_embed.proj_conv{suffix}"] = 9 * height * width * n_in * n_out
        n_in = n_out
        if pools == "1":
            height, width = (height + 1) // 2, (width + 1) // 2
    return macs | {"patch_embed.rpe_conv": 9 * height * width * n_in * n_in}, height * width


def _block_macs(size: TransformerSize, n_tokens: int) -> dict[str, int]:
    linear = n_tokens * size.n_channels**2
    attention = {f"attn.{part}": n for part, n in attention_macs(n_tokens, size.n_channels).items()}
    return attention | {"mlp.fc1": size.mlp_ratio * linear, "mlp.fc2": size.mlp_ratio * linear}


def attention_macs(n_tokens: int, n_channels: int) -> dict[str, int]:
    """Multiply-accumulates of one vanilla self-attention, all heads: qkv, scores (Q K^T), mix (A V), proj."""
    linear, product = n_tokens * n_channels**2, n_tokens**2 * n_channels
    return {"qkv": 3 * linear, "scores": product, "mix": product, "proj": linear}
