"""Spikformer 8-512, official ImageNet layout, T=4, 224x224: random weights, published input rates, one random image.

The rates are the input densities that the Spikingformer authors measured layer by layer on ImageNet-1k (their energy
log of Spikingformer 8-512, the same sizes). Two things differ in a Spikformer. Its residual stream is a sum of spikes,
whose density can only grow from block to block, while the published one falls at the end: the stream is given the
nearest rates (least squares) that grow a little at each sum, so that no branch is silent; `LARGEST_MISFIT` is how far
they are from the published ones at the worst. And v, which no layer but the attention reads, fires as often as brings
the layer behind the attention to its rate.
"""

import csv
from pathlib import Path

import numpy as np
from scipy.optimize import isotonic_regression

from evsim.networks import spikformer
from tools.benchmarks.random_weights import random_tensors
from tools.benchmarks.rates import check_rates, tune
from tools.benchmarks.workload import Workload

PUBLISHED = Path(__file__).parents[3] / "tests" / "data" / "spikingformer_8_512_energy.csv"
GROWTH = 0.2
"""Percentage points that each SEW sum adds at least to the density of the stream."""
LARGEST_MISFIT = 7.0
"""Percentage points between a published input rate and the one wanted here, at most."""


def load(name, shared):
    hp = spikformer.HyperParameters("imagenet", 8, 512, 8, 4, 3, 1000, 4, 224, 224, 1 / 8, "1111")
    rng = np.random.default_rng(8512)
    tensors = random_tensors(spikformer.tensor_shapes(hp)[0], rng)
    image = rng.standard_normal((1, 3, hp.height, hp.width)).astype(np.float32)
    title = "Spikformer 8-512, T=4, 224x224, random weights, published input rates"
    return check_rates(tune(Workload(name, title, spikformer, tensors, hp, image), wanted(PUBLISHED, hp.depth)))


def wanted(path: Path, depth: int) -> dict[str, float]:
    """Percent by layer (what it reads), and by population for q and k of each block."""
    published, pairs = read_published(path)
    rates = {name: rate for name, rate in published.items() if name not in ("patch_embed.proj_conv", "head")}
    readers = [f"block.{i}.{layer}_conv" for i in range(depth) for layer in ("attn.q", "mlp.fc1")]
    grown = GROWTH * np.arange(len(readers))
    stream = isotonic_regression([published[r] for r in readers] - grown).x + grown
    rates |= dict(zip(readers, map(float, stream), strict=True))
    for i in range(depth):
        rates |= {f"block.{i}.attn.{role}_conv": rates[f"block.{i}.attn.q_conv"] for role in "kv"}
        rates |= {f"block.{i}.attn.{role}_lif": pairs[i][role] for role in "qk"}
    return rates


def read_published(path: Path) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Input rate in percent by layer, and the firing rates of q, k and v in percent, block by block."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    split = next(i for i, line in enumerate(lines) if line.startswith("block,"))
    layers = {
        row["layer"].replace("block[", "block.").replace("]", ""): float(row["input_rate_percent"])
        for row in csv.DictReader(lines[:split])
    }
    pairs = [{role: 100 * float(row[f"{role}_rate"]) for role in "qkv"} for row in csv.DictReader(lines[split:])]
    return layers, pairs
