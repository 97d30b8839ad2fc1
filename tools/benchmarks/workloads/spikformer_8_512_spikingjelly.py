"""The Spikformer of `spikformer_8_512` as SpikingJelly 2 builds it: the stem pools currents, and nothing has a bias.

The same sizes and rates; tuned under the official names, then given SpikingJelly's.
"""

from dataclasses import replace

import numpy as np

from evsim.checkpoints.key_map import their_name
from evsim.networks import spikformer, spikformer_spikingjelly
from tools.benchmarks.random_weights import random_tensors
from tools.benchmarks.rates import check_rates, tune
from tools.benchmarks.workload import Workload
from tools.benchmarks.workloads.spikformer_8_512 import PUBLISHED, wanted


def load(name, shared):
    sizes = (8, 512, 8, 4, 3, 1000, 4, 224, 224, 1 / 8, "1111", "currents")
    hp = spikformer.HyperParameters("cifar10dvs", *sizes)  # of the official layouts, the one with tensors of these axes
    rng = np.random.default_rng(8512)
    tensors = random_tensors(spikformer.tensor_shapes(hp)[0], rng)
    image = rng.standard_normal((1, 3, hp.height, hp.width)).astype(np.float32)
    title = "Spikformer 8-512 (SpikingJelly 2's), T=4, 224x224, random weights, published input rates"
    tuned = check_rates(tune(Workload(name, title, spikformer, tensors, hp, image), wanted(PUBLISHED, hp.depth)))
    hp = replace(hp, variant="spikingjelly")
    return replace(tuned, family=spikformer_spikingjelly, tensors=renamed(tuned.tensors, hp), hp=hp)


def renamed(tensors, hp):
    """Under SpikingJelly's names; queries, keys and values are one layer there, and biases of layers are left out."""
    theirs = {}
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        is_bias = part == "bias" and not module.endswith(("_bn", "head", *(f"_bn{i}" for i in range(4))))
        if not is_bias and "attn.q_" not in name and "attn.k_" not in name and "attn.v_" not in name:
            theirs[f"{their_name(module, spikformer_spikingjelly.NAMES)}.{part}"] = tensor
    for i in range(hp.depth):
        parts = {f"bn.{part}": f"1.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
        for part, other in (parts | {"conv.weight": "0.weight"}).items():
            thirds = [tensors[f"block.{i}.attn.{role}_{part}"] for role in "qkv"]
            theirs[f"blocks.{i}.attn.qkv_conv_bn.{other}"] = np.concatenate(thirds)
    return theirs
