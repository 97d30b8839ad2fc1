"""SpikingResformer-Ti, official ImageNet layout, T=4, 224x224: random weights, one random image.

Nobody has published the firing rates of its layers. Each population fires as often as the one of the same place in the
bundled SpikingResformer, which was trained on N-MNIST (mean over the ten bundled recordings): the only trained
network of this family at hand. Inside the attention rates follow from those around it, since no BatchNorm stands
before its two populations; the rates that a checkpoint stores for its scales are those of the network itself.
"""

from dataclasses import replace

import numpy as np

from evsim.networks import spikingresformer
from tools.benchmarks.densities import Densities
from tools.benchmarks.random_weights import random_tensors
from tools.benchmarks.rates import check_rates, tune
from tools.benchmarks.workload import Workload

# Percent, by stage and place; measured on networks/zoo/spikingresformer-nmnist.npz.
RATES = (
    {"activation_in": 7.13, "up.0": 7.92, "conv.0.0": 4.69, "down.0": 6.87},
    {"activation": 9.23, "activation_in": 5.67, "up.0": 8.33, "conv.0.0": 4.84, "down.0": 8.70},
    {"activation": 13.59, "activation_in": 7.25, "up.0": 11.74, "conv.0.0": 5.20, "down.0": 7.71},
)
_SIZES = {"n_channels": (64, 192, 384), "n_heads": (1, 3, 6), "patches": (4, 2, 1), "depths": (1, 2, 3)}


def load(name, shared):
    hp = spikingresformer.HyperParameters(
        **_SIZES, mlp_ratio=4, group_size=64, in_channels=3, n_classes=1000, stem="7x7", neuron="lif", n_steps=4,
        height=224, width=224, scale_size=224,
    )  # fmt: skip
    rng = np.random.default_rng(224)
    tensors = random_tensors(spikingresformer.tensor_shapes(hp)[0], rng)
    image = rng.standard_normal((1, 3, hp.height, hp.width)).astype(np.float32)
    title = "SpikingResformer-Ti, T=4, 224x224, random weights, a trained network's rates"
    return check_rates(settle(Workload(name, title, spikingresformer, tensors, hp, image)))


def wanted(network) -> dict[str, float]:
    """Percent by population."""
    rates = {}
    for population in network.populations():
        _, stage, _, place = population.name.split(".", 3)
        if place in RATES[int(stage)]:
            rates[population.name] = RATES[int(stage)][place]
    return rates


def settle(workload: Workload, rounds: int = 3) -> Workload:
    """Tuned, with the firing rates that scale the attention equal to those that arise: found by tuning repeatedly."""
    stored = [key for key in workload.tensors if "firing_rate_" in key]
    populations = {key: key.replace("firing_rate_x", "activation_in") for key in stored}
    populations = {key: name.replace("firing_rate_attn", "activation_attn") for key, name in populations.items()}
    tuned = _with_firing_rates(workload, dict.fromkeys(stored, 0.05))
    rates = wanted(tuned.network())
    for _ in range(rounds):
        tuned = tune(tuned, rates)
        found = Densities.of(tuned.network(), tuned.recording(0)).of_names(populations.values())
        tuned = _with_firing_rates(tuned, {key: found[name] / 100 for key, name in populations.items()})
    return tune(tuned, rates)


def _with_firing_rates(workload: Workload, rates: dict[str, float]) -> Workload:
    """All heads alike."""
    filled = {key: np.full_like(workload.tensors[key], rate) for key, rate in rates.items()}
    return replace(workload, tensors={**workload.tensors, **filled})
