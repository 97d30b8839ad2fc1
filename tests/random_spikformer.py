"""Spikformers of published sizes with random weights, tuned so that they fire as sparsely as trained ones."""

import math

import numpy as np

from evsim.engine.simulator import simulate
from evsim.networks import spikformer, spikformer_v2


def spikformer_8_512(img_size=224):
    """Spikformer-8-512 of the ImageNet file."""
    return spikformer.HyperParameters(
        variant="imagenet", depth=8, n_channels=512, n_heads=8, mlp_ratio=4, in_channels=3, n_classes=1000,
        n_steps=4, height=img_size, width=img_size, attn_scale=1 / 8, pooling_stat="1111",
    )  # fmt: skip


def spikformer_v2_8_512(img_size=224, depth=8, n_channels=512, shortcut="sew"):
    """Spikformer V2 8-512, as reconstructed."""
    return spikformer_v2.HyperParameters(
        depth=depth, n_channels=n_channels, mlp_ratio=4, in_channels=3, n_classes=1000, stem_ratio=4, stem_kernel=3,
        down_kernel=2, n_heads=8, n_steps=4, height=img_size, width=img_size, shortcut=shortcut, down_stride=2,
        down_padding=0, attn_scale=1 / 8, key_map="",
    )  # fmt: skip


def n_parameters(live):
    """What PyTorch counts as parameters: the live tensors but running statistics."""
    return sum(math.prod(shape) for name, shape in live.items() if ".running_" not in name)


def random_tensors(live, rng):
    """Weights of unit gain, BatchNorms that change nothing, no biases."""
    tensors = {}
    for name, shape in live.items():
        if name.endswith(("running_var", "_bn.weight")):
            tensors[name] = np.ones(shape, np.float32)
        elif name.endswith(("running_mean", ".bias")):
            tensors[name] = np.zeros(shape, np.float32)
        else:
            tensors[name] = rng.standard_normal(shape, np.float32) / math.sqrt(math.prod(shape[1:]))
    return tensors


def tune(module, hp, tensors, steps):
    """Give every BatchNorm the statistics its layer really has on `steps`, from input to output in one run.

    In the order of stages a population is first called when its current is complete at every step. Only for
    networks whose populations each have a current of their own. Returns the run's result.
    """
    net = module.build(tensors, hp)
    for stage, handler in enumerate(net.handlers):
        if handler in net.populations() and len(handler.wakers) == 1:
            net.handlers[stage] = _Tuned(handler, tensors, len(steps))
    return simulate(net, steps, order="stage")


class _Tuned:
    """Stands in for a population: normalises its current at the first call, then lets it run."""

    wakes_itself = True

    def __init__(self, population, tensors, n_steps):
        self.name, self._population, self._tensors, self._n_steps = population.name, population, tensors, n_steps
        layer, _, kind = population.wakers[0].rpartition("_")
        number = kind.removeprefix("conv").removeprefix("linear")
        self._norm = f"{layer}_bn{number}"
        self._is_tuned = f"{self._norm}.running_mean" not in tensors

    def handle(self, step, inbox):
        if not self._is_tuned:
            self._tune()
        return self._population.handle(step, inbox)

    def reset(self):
        self._population.reset()

    def _tune(self):
        self._is_tuned = True
        rows = [self._population.current.rows(step) for step in range(self._n_steps)]
        x = np.concatenate([r.value for r in rows])
        mean, std = x.mean(axis=0), x.std(axis=0) + 1e-3
        self._tensors[f"{self._norm}.running_mean"] = mean
        self._tensors[f"{self._norm}.running_var"] = std**2
        for r in rows:
            r.value[:] = (r.value - mean) / std
            r.touched[:] = 1
