"""Measure what docs/scaling.md plans with: seconds and memory for a recording, with one worker and with several.

    python tools/measure_scaling.py [--images 4] [--workers 1 2] [--repeat 3]

Two networks: the bundled one on its hundred recordings, and an untrained Spike-driven Transformer of ImageNet size
(8-512, 224x224, 4 steps) on random images. Its weights are drawn so that it fires about as much as a trained network
(the rates are printed); accuracy means nothing there. Decoding JPEG files is not part of it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from evsim import networks
from evsim.checkpoints.weights import Weights, write_weights
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.evaluation import Plan, Threads, find_dataset
from evsim.evaluation.evaluate import Choice, Evaluation
from evsim.evaluation.labelled_images import find_images
from evsim.loading.warm_up import warm_up
from evsim.loading.zoo import zoo_folder
from evsim.runs.measures import peak_memory_bytes
from evsim.runs.run_report import layer_rows

SDT_8_512 = {
    "depth": 8, "n_channels": 512, "n_heads": 8, "mlp_ratio": 4, "in_channels": 3, "n_classes": 1000,
    "spike_mode": "lif", "n_steps": 4, "pooling_stat": "1111", "dvs_mode": False, "height": 224, "width": 224,
}  # fmt: skip
ASSUMED_RATE = 0.2
"""Share of a layer's inputs that spike, for the size of the weights."""
SPREAD = {"proj_conv.": 0.3, "fc2": 0.3, "q_conv": 0.8, "k_conv": 0.8, "v_conv": 0.8}
"""Standard deviation of the current a layer makes, by a part of its name; 1 for any other."""


def random_weights() -> Weights:
    """Tensors of the right shapes with currents of the right size; BatchNorm does nothing."""
    rng = np.random.default_rng(0)
    family = networks.family("sdt")
    shapes, _ = family.tensor_shapes(family.HyperParameters(**SDT_8_512))
    tensors = {name: _tensor(rng, name, shape) for name, shape in shapes.items()}
    return Weights(tensors, {"family": "sdt", "hyper_parameters": SDT_8_512})


def _tensor(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) < 2:  # a BatchNorm that changes nothing, and no bias
        is_scale = name.endswith("running_var") or ("_bn" in name and name.endswith(".weight"))
        return np.full(shape, float(is_scale), np.float32)
    input_rate = 1.0 if name == "patch_embed.proj_conv.weight" else ASSUMED_RATE
    spread = next((size for part, size in SPREAD.items() if part in name and "block" in name), 1.0)
    return rng.normal(0, spread / np.sqrt(np.prod(shape[1:]) * input_rate), shape).astype(np.float32)


def measure(title: str, evaluation: Evaluation, workers: list[int], repeat: int) -> None:
    """The best of several runs for each number of workers, alternating: other programs only ever make it slower.

    CPU seconds are of all threads together; they hardly depend on what else the machine does.
    """
    warm_up(evaluation.examiner.network)
    best = dict.fromkeys(workers, (np.inf, np.inf))
    n_items = len(evaluation.dataset.items)
    for _ in range(repeat):
        for n in workers:
            begin = time.process_time()
            wall = evaluation.run(Threads(n)).timing["seconds"]
            best[n] = tuple(np.minimum(best[n], (wall / n_items, (time.process_time() - begin) / n_items)))
    print(f"\n{title}")
    for n, (wall, cpu) in best.items():
        print(f"  {n} workers: {1 / wall:.2f} recordings a second, {cpu:.4f} CPU seconds a recording")
    weights, state = _memory(evaluation)
    print(
        f"  weights {weights / 1e6:.1f} MB once, {state / 1e6:.1f} MB a worker; process {_megabytes():.0f} MB at most"
    )


def _memory(evaluation: Evaluation) -> tuple[int, int]:
    """Bytes of the shared weights, and of one more worker that has run once."""
    network = evaluation.examiner.network
    weights = sum(getattr(h, name).nbytes for h in network.handlers for name in getattr(h, "constants", ()))
    tracemalloc.start()
    worker = evaluation.examiner.twin()
    warm_up(worker.network)
    state = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return weights, state


def _megabytes() -> float:
    return peak_memory_bytes() / 1e6


def _print_rates(evaluation: Evaluation) -> None:
    """Mean firing rates of the network on one image, by the kind of population."""
    network = evaluation.examiner.network
    height, width, n_channels = network.input_shape
    image = np.random.default_rng(1).normal(size=height * width * n_channels).astype(np.float32)
    spikes = Spikes(np.arange(image.size, dtype=np.int32), image)
    rows = layer_rows(network, simulate(network, [spikes] * network.n_steps))
    rates: dict[str, list[float]] = {}
    for row in rows:
        if row.firing_rate is not None:
            rates.setdefault(row.name.split(".")[-1], []).append(100 * row.firing_rate)
    print("  firing rates %: " + ", ".join(f"{name} {np.mean(values):.1f}" for name, values in rates.items()))
    total = sum(row.counts.event_acs + row.counts.macs for row in rows)
    print(f"  {total / 1e9:.2f} G additions and multiplications an image")


def main() -> None:
    """Both networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=3)
    told = parser.parse_args()
    print(f"load average at the beginning: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    digits = find_dataset(str(zoo_folder() / "nmnist_test_100.h5"))
    measure("sdt-nmnist", Evaluation(Plan("sdt-nmnist", digits.kind), digits), told.workers, told.repeat)
    with tempfile.TemporaryDirectory() as folder:
        weights, images = Path(folder) / "sdt_8_512.npz", Path(folder) / "images.npz"
        write_weights(weights, random_weights())
        pixels = np.random.default_rng(2).integers(0, 256, (told.images, 224, 224, 3), np.uint8)
        np.savez(images, x=pixels, y=np.zeros(told.images, np.int64))
        plan = Plan(str(weights), "mnist", normalise="imagenet")
        evaluation = Evaluation(plan, find_images("mnist", images, "test", ()), Choice())
        measure("SDT-8-512, 224x224, 4 steps, untrained", evaluation, told.workers, told.repeat)
        _print_rates(evaluation)
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
