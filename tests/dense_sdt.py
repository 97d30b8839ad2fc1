"""The Spike-driven Transformer as its paper and official code write it: dense, float64, BatchNorm as a layer.

It shares nothing with evsim's networks, kernels or twins but the operations of `naive`. Maps are
[height, width, channels]; `record(name, map)` is called with the spikes of every population.
"""

from __future__ import annotations

import numpy as np

from tests import naive


class DenseSdt:
    """logits[step] = model(frames[step]); `spikes[name]` collects [n_steps, ...] bool."""

    def __init__(self, tensors, hp):
        self.tensors, self.hp = tensors, hp
        self.v = {}
        self.spikes = {}

    def run(self, frames):
        """frames [n_steps, height, width, channels] -> logits [n_steps, n_classes]."""
        return np.stack([self._step(frame) for frame in frames])

    def _step(self, frame):
        x = self._blocks(self._patch_splitting(frame))
        x = self._lif("head_lif", x.mean(axis=(0, 1)))
        return x @ self.tensors["head.weight"].T + self.tensors["head.bias"]

    def _patch_splitting(self, x):
        for suffix, pools in zip(("", "1", "2"), self.hp.pooling_stat, strict=False):
            x = self._conv(f"patch_embed.proj_conv{suffix}", f"patch_embed.proj_bn{suffix}", x)
            x = self._lif(f"patch_embed.proj_lif{suffix}", x)
            x = self._max_pool(x) if pools == "1" else x
        x = self._conv("patch_embed.proj_conv3", "patch_embed.proj_bn3", x)
        x = self._max_pool(x) if self.hp.pooling_stat[3] == "1" else x
        return x + self._conv("patch_embed.rpe_conv", "patch_embed.rpe_bn", self._lif("patch_embed.proj_lif3", x))

    def _blocks(self, u):
        for i in range(self.hp.depth):
            u = u + self._attention(f"block.{i}.attn", u)
            u = u + self._mlp(f"block.{i}.mlp", u)
        return u

    def _attention(self, name, u):
        z = self._lif(f"{name}.shortcut_lif", u)
        q, k, v = (self._lif(f"{name}.{r}_lif", self._conv(f"{name}.{r}_conv", f"{name}.{r}_bn", z)) for r in "qkv")
        if self.hp.dvs_mode:
            k, v = (naive.spike_max_pool(x, 3, 1, 1)[0] for x in (k, v))
        heads = (-1, self.hp.n_heads, self.hp.n_channels // self.hp.n_heads)
        q, k, v = (x.reshape(heads) for x in (q, k, v))  # tokens, heads, channels of a head
        kv = k & v
        kv = naive.plane_dilation(kv)[0] if self.hp.dvs_mode else kv
        x = q & self._lif(f"{name}.talking_heads_lif", kv.sum(axis=0), self.hp.attn_v_threshold)
        x = naive.plane_dilation(x)[0] if self.hp.dvs_mode else x
        return self._conv(f"{name}.proj_conv", f"{name}.proj_bn", x.reshape(u.shape))

    def _mlp(self, name, u):
        """What it adds to the stream u; with mlp_ratio 1 the official code adds the hidden layer as well."""
        hidden = self._conv(f"{name}.fc1_conv", f"{name}.fc1_bn", self._lif(f"{name}.fc1_lif", u))
        residue = hidden if self.hp.mlp_ratio == 1 else 0.0
        hidden = hidden + u if self.hp.mlp_ratio == 1 else hidden
        return residue + self._conv(f"{name}.fc2_conv", f"{name}.fc2_bn", self._lif(f"{name}.fc2_lif", hidden))

    def _conv(self, layer, norm, x):
        weight, bias = self.tensors[f"{layer}.weight"], self.tensors.get(f"{layer}.bias", 0.0)
        y = naive.conv2d(x, weight, padding=weight.shape[-1] // 2) + bias
        gamma, beta, mean, var = (
            self.tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (y - mean) / np.sqrt(var + 1e-5) * gamma + beta

    def _max_pool(self, x):
        everywhere = np.ones(x.shape[:2], bool)
        pooled, _, _ = naive.current_max_pool(x.astype(np.float64), everywhere, 3, 2, 1)
        return pooled.astype(x.dtype)

    def _lif(self, name, x, v_threshold=None):
        """The membrane is float32, as in the official code; the currents are exact in either."""
        w = self.tensors.get(f"{name}.w")
        rate, v_reset = np.float32(1 / self.hp.tau) if w is None else naive.sigmoid(w), np.float32(self.hp.v_reset)
        v = self.v.get(name, v_reset)
        h = v + (np.float32(x) - (v - v_reset)) * rate
        spikes = h >= (self.hp.v_threshold if v_threshold is None else v_threshold)
        self.v[name] = np.where(spikes, v_reset, h)
        self.spikes.setdefault(name, []).append(spikes)
        return spikes
