"""Every family of networks, small and with random weights, and recordings for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evsim.engine.spikes import Spikes
from evsim.networks import qkformer, sdt, spikformer, spikformer_v2, spikingformer, spikingresformer
from tests.contract import random_spikes
from tests.random_resformer import published
from tests.random_spikformer import spikformer_v2_8_512


def small_sdt(**options):
    sizes = {"depth": 1, "n_channels": 16, "n_heads": 4, "mlp_ratio": 2, "in_channels": 2, "n_classes": 5, "n_steps": 3}
    stem = {"height": 16, "width": 16, "pooling_stat": "0111", "spike_mode": "lif", "dvs_mode": False}
    return sdt, sdt.HyperParameters(**(sizes | stem | options))


def small_spikformer(variant, pool="spikes"):
    constants = spikformer.VARIANTS[variant]
    return spikformer, spikformer.HyperParameters(
        variant=variant, depth=1, n_channels=16, n_heads=2, mlp_ratio=2, in_channels=2, n_classes=5, n_steps=3,
        height=16, width=16, attn_scale=constants.attn_scale, pooling_stat=constants.pooling_stat, pool=pool,
    )  # fmt: skip


def small_qkformer(variant, depths):
    side = 8 if variant == "cifar10" else 16
    return qkformer, qkformer.HyperParameters(
        variant, depths, n_channels=16, n_heads=2, mlp_ratio=2, in_channels=2, n_classes=5, n_steps=3, height=side,
        width=side,
    )  # fmt: skip


def small_spikingformer(variant):
    return spikingformer, spikingformer.HyperParameters(
        variant, depth=1, n_channels=16, n_heads=2, mlp_ratio=2, in_channels=2, n_classes=5, n_steps=3, height=16,
        width=16, tau=spikingformer.VARIANTS[variant].tau,
    )  # fmt: skip


def small_v2(shortcut):
    hp = spikformer_v2_8_512(32, depth=1, n_channels=16, shortcut=shortcut)
    return spikformer_v2, replace(hp, n_classes=5, n_heads=2, n_steps=3, in_channels=2)


def small_resformer(size, stem, n_groups=16):
    hp = replace(published(size, 5, 32), n_channels=(16, 16), n_heads=(1, 2), patches=(4, 2), depths=(1, 1))
    return spikingresformer, replace(hp, group_size=n_groups, stem=stem, n_steps=3, in_channels=2, mlp_ratio=2)


FAMILIES = {  # but Meta-SpikeFormer, which multiplies real values: it has no fixed point
    "sdt": small_sdt(),
    "sdt for event cameras, plif": small_sdt(spike_mode="plif", dvs_mode=True, pooling_stat="0011"),
    "spikformer cifar10": small_spikformer("cifar10"),
    "spikformer cifar10dvs": small_spikformer("cifar10dvs"),
    "spikformer, pooled currents": small_spikformer("cifar10", "currents"),
    "qkformer cifar10": small_qkformer("cifar10", (1, 1, 1)),
    "qkformer imagenet": small_qkformer("imagenet", (1, 2, 1)),
    "qkformer cifar10dvs": small_qkformer("cifar10dvs", (1, 1)),
    "spikingformer cifar10": small_spikingformer("cifar10"),
    "cml-spikingformer for event cameras": small_spikingformer("cml_events"),
    "spikformer-v2 sew": small_v2("sew"),
    "spikformer-v2 ms": small_v2("ms"),
    "spikingresformer 7x7": small_resformer("ti", "7x7"),
    "spikingresformer 3x3 plif": small_resformer("dvsg", "3x3"),
}


def random_tensors(rng, shapes):
    """Weights of any value, scaled so that some neurons fire everywhere."""
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith("running_var"):
            tensors[name] = rng.uniform(0.5, 2, shape)
        elif name.endswith((".bias", "running_mean")):
            tensors[name] = rng.normal(0, 0.2, shape)
        elif name.endswith(".w"):
            tensors[name] = rng.normal()
        elif "firing_rate" in name:
            tensors[name] = rng.uniform(0.05, 0.4, shape)
        elif len(shape) == 1:
            tensors[name] = rng.uniform(0.5, 2, shape)
        else:
            tensors[name] = rng.normal(0, 8 / np.sqrt(np.prod(shape[1:]) or 1), shape)
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


def recording_for(net, seed, kind):
    rng, n_inputs = np.random.default_rng(seed), int(np.prod(net.input_shape))
    if kind == "image":
        address = np.flatnonzero(rng.random(n_inputs) < 0.9).astype(np.int32)
        return [Spikes(address, rng.normal(0, 1, address.size).astype(np.float32))] * net.n_steps
    return [random_spikes(rng, n_inputs, density, kind) for density in (0.3, 0.0, 0.1)]
