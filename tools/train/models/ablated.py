"""One skeleton, three attentions: the Spike-driven Transformer with SDSA, SSA or DSSA in its blocks."""

from torch import nn

from tools.train.models.neurons import LIF
from tools.train.models.sdt import SpikeDrivenAttention, SpikeDrivenTransformer
from tools.train.models.spikformer import spiking_attention
from tools.train.models.spikingresformer import DSSA
from tools.train.models.steps import per_step

__all__ = ["AblatedTransformer"]


class SpikingAttention(SpikeDrivenAttention):
    """SSA with the parameters of SDSA, name by name: only what happens between q, k, v and proj differs."""

    def forward(self, u):
        z = self.shortcut_lif(u)
        q, k, v = (self._heads(self._spikes(z, name)) for name in ("q", "k", "v"))
        a = self.attn_lif(spiking_attention(q, k, v, 0.125))
        return u + per_step(a.transpose(-1, -2).reshape(u.shape), self.proj_conv, self.proj_bn)


def _attention(kind: str, dim: int, num_heads: int, n_tokens: int) -> nn.Module:
    if kind == "dssa":
        return DSSA(dim, num_heads, 1, n_tokens, LIF)
    return {"sdsa": SpikeDrivenAttention, "ssa": SpikingAttention}[kind](dim, num_heads, "lif", False)


class AblatedTransformer(SpikeDrivenTransformer):
    """The Spike-driven Transformer with another attention.

    Parameters
    ----------
    attention : str
        'sdsa', 'ssa' or 'dssa'. DSSA has 3 D^2 weights where the others have 4: an mlp_ratio of 4.5 instead of
        4 makes the blocks equal in size.
    n_tokens : int
        Tokens of the map, which scale the second product of DSSA.
    **sizes
        Of SpikeDrivenTransformer.
    """

    def __init__(self, *, attention="sdsa", n_tokens=64, **sizes):
        super().__init__(**sizes)
        for block in self.block:
            block.attn = _attention(attention, sizes["dim"], sizes["num_heads"], n_tokens)
