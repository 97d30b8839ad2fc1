"""SpikingResformers of the published sizes with random weights that fire at realistic rates."""

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.engine.network import Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.networks.spikingresformer import HyperParameters, tensor_shapes

SIZES = {
    "ti": ((64, 192, 384), (1, 3, 6)),
    "s": ((64, 256, 512), (1, 4, 8)),
    "m": ((64, 384, 768), (1, 6, 12)),
    "l": ((128, 512, 1024), (2, 8, 16)),
    "cifar": ((64, 192, 384), (1, 3, 6)),
    "dvsg": ((32, 96, 192), (1, 3, 6)),
}
"""Widths and heads of the three stages."""

RATE = 0.12


def published(size: str, n_classes: int = 1000, img_size: int = 224) -> HyperParameters:
    """The hyper-parameters of a published configuration."""
    n_channels, n_heads = SIZES[size]
    return HyperParameters(
        n_channels=n_channels,
        n_heads=n_heads,
        patches=(4, 2, 1),
        depths=(1, 2, 3),
        mlp_ratio=4,
        group_size=32 if size == "dvsg" else 64,
        in_channels=3,
        n_classes=n_classes,
        stem="3x3" if size in ("cifar", "dvsg") else "7x7",
        neuron="plif" if size == "dvsg" else "lif",
        n_steps=4,
        height=img_size,
        width=img_size,
        scale_size=img_size,
    )


def n_parameters(hp: HyperParameters) -> int:
    """Trainable values: every live tensor but running statistics and firing rates."""
    buffers = ("running_mean", "running_var", "firing_rate_x", "firing_rate_attn")
    return sum(int(np.prod(shape)) for name, shape in tensor_shapes(hp)[0].items() if not name.endswith(buffers))


def random_tensors(hp: HyperParameters, seed: int = 1) -> dict[str, np.ndarray]:
    """Weights that give currents of unit variance where the input spikes fire at `RATE`.

    The stored rates of the attention set its scales. They are high in the first stage, whose input hardly changes from
    step to step and drives neurons harder, and low in the others: every population then fires in 5 to 25 % of the
    steps (tested).
    """
    rng = np.random.default_rng(seed)
    return {name: _random_tensor(rng, name, shape) for name, shape in tensor_shapes(hp)[0].items()}


def firing_rates(net: Network, recording: list[Spikes]) -> dict[str, float]:
    """Mean rate of every population over all neurons and steps."""
    ledger = simulate(net, recording).ledger.by_handler()
    return {
        p.name: ledger.get(p.name, OpCounts()).events_out / (p.n_neurons * len(recording)) for p in net.populations()
    }


def random_image(hp: HyperParameters, seed: int = 1) -> list[Spikes]:
    """A normalised still image of coloured 8x8 blocks, the same object at every step."""
    blocks = np.random.default_rng(seed).standard_normal((hp.height // 8, hp.width // 8, hp.in_channels))
    return [Spikes.from_dense(np.kron(blocks, np.ones((8, 8, 1))).astype(np.float32))] * hp.n_steps


def _random_tensor(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if "firing_rate" in name:
        return np.full(shape, _attention_rate(name), np.float32)
    if name.endswith("running_var"):
        return np.full(shape, 1.0 if name.startswith("prologue") else RATE, np.float32)
    if name.endswith(("running_mean", ".w")):
        return np.zeros(shape, np.float32)
    if ".bn." in name:
        return _random_affine(rng, name, shape)
    fan_in = max(int(np.prod(shape[1:])), 1)
    return rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in))


def _attention_rate(name: str) -> float:
    if name.startswith("layers.0."):
        return 0.3 if name.endswith("_x") else 0.9
    return 0.05


def _random_affine(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Gains near 1, or 0.3 where a layer adds to a residual stream; offsets that lift neurons towards threshold."""
    adds = any(part in name for part in ("norm_proj", "down.2", "conv.0.2"))
    if name.endswith("bias"):
        mean = 0.3 if "up.2" in name or name.endswith("0.norm.bn.bias") else 0.0
        return np.float32(mean) + np.float32(0.05) * rng.standard_normal(shape, np.float32)
    return np.float32(0.3 if adds else 1.0) * rng.uniform(0.8, 1.2, shape).astype(np.float32)
