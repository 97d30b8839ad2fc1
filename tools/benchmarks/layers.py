"""One layer of each kind over densities from 0.1 % to 50 %: time against density, and where dense PyTorch catches up.

python -m tools.benchmarks.layers --json layers.json --plot layers.png
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.nn import functional

from evsim.current import Current
from evsim.pooling import SpikeMaxPool
from evsim.projections.conv import Conv2d, Window
from evsim.projections.linear import Linear
from evsim.spikes import Spikes
from tools.benchmarks.table import machine

DENSITIES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
N_STEPS = 4
"""Steps in a run: dense PyTorch takes them as one batch."""


@dataclass(frozen=True)
class Row:
    """One layer at one density: medians of a run of `N_STEPS` steps, in seconds, and additions really done."""

    layer: str
    density: float
    evsim: float
    dense: float
    acs: int


def main() -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    rows = [row for layer in LAYERS for row in _sweep(layer, options.rounds)]
    for row in rows:
        rate = f"{row.acs / row.evsim / 1e9:6.1f} G additions/s" if row.acs else ""
        print(
            f"{row.layer:34} {100 * row.density:5.1f} %  evsim {1e3 * row.evsim:8.3f} ms"
            f"  dense {1e3 * row.dense:8.3f} ms  dense/evsim {row.dense / row.evsim:7.2f}  {rate}"
        )
    even = {layer: _break_even([row for row in rows if row.layer == layer]) for layer in LAYERS}
    for layer, density in even.items():
        found = "above 50 %" if density is None else f"{100 * density:.0f} %"
        print(f"{layer}: dense PyTorch is as fast at a density of {found}")
    if options.json:
        result = {"machine": machine(), "rows": [asdict(row) for row in rows], "break_even": even}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        _plot(rows, options.plot)


def _sweep(layer: str, rounds: int) -> Iterator[Row]:
    for density in DENSITIES:
        ours, theirs, acs = LAYERS[layer](np.random.default_rng(0), density)
        times: tuple[list[float], list[float]] = ([], [])
        ours(), theirs()
        for _ in range(rounds):  # interleaved
            for run, seconds in zip((ours, theirs), times, strict=True):
                begin = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - begin)
        yield Row(layer, density, median(times[0]), median(times[1]), acs())


def _projection(rng, density, weight, layer, side) -> tuple[Callable, Callable, Callable]:
    """evsim's layer on spikes against conv2d on the same spikes as zeros and ones."""
    n_in = weight.shape[1]
    dense = rng.random((N_STEPS, side, side, n_in)) < density
    steps = [Spikes.from_dense(step) for step in dense]
    current = layer.current
    current.join_reader("benchmark")
    n_additions = [0]

    def ours() -> None:
        counts = []
        for step, spikes in enumerate(steps):
            counts.append(layer.handle(step, {"spikes": spikes})[1])
            current.release(step, "benchmark")
        n_additions[0] = sum(count.acs for count in counts)

    x = torch.from_numpy(dense.transpose(0, 3, 1, 2).astype(np.float32)).contiguous(memory_format=torch.channels_last)
    w = torch.from_numpy(weight).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def theirs() -> None:
        functional.conv2d(x, w, padding=weight.shape[2] // 2)

    return ours, theirs, lambda: n_additions[0]


def _conv(rng, density, n_in=64, n_out=128, side=32):
    weight = rng.standard_normal((n_out, n_in, 3, 3)).astype(np.float32)
    layer = Conv2d("conv", weight, None, Window(side, side, 3, 1, 1), Current(side * side, n_out))
    return _projection(rng, density, weight, layer, side)


def _linear(rng, density, n_in=256, n_out=1024, side=16):
    weight = rng.standard_normal((n_out, n_in, 1, 1)).astype(np.float32)
    layer = Linear("linear", weight, None, side * side, Current(side * side, n_out))
    return _projection(rng, density, weight, layer, side)


def _max_pool(rng, density, n_channels=64, side=64):
    dense = rng.random((N_STEPS, side, side, n_channels)) < density
    steps = [Spikes.from_dense(step) for step in dense]
    pool = SpikeMaxPool("pool", Window(side, side, 3, 2, 1), n_channels)
    x = torch.from_numpy(dense.transpose(0, 3, 1, 2).astype(np.float32)).contiguous(memory_format=torch.channels_last)

    def ours() -> None:
        for step, spikes in enumerate(steps):
            pool.handle(step, {"spikes": spikes})

    @torch.inference_mode()
    def theirs() -> None:
        functional.max_pool2d(x, 3, 2, 1)

    return ours, theirs, lambda: 0


LAYERS: dict[str, Callable] = {
    "conv 3x3, 64 to 128, 32x32": _conv,
    "linear, 256 to 1024, 256 tokens": _linear,
    "max-pool 3x3 / 2, 64, 64x64": _max_pool,
}


def _break_even(rows: list[Row]) -> float | None:
    """The density at which both take as long, between two measured ones; None if evsim is ahead throughout."""
    for before, after in pairwise(rows):
        if after.evsim >= after.dense and before.evsim < before.dense:
            gain = np.log([before.dense / before.evsim, after.dense / after.evsim])
            return float(np.exp(np.interp(0, -gain, np.log([before.density, after.density]))))
    return None


def _plot(rows: list[Row], path: Path) -> None:
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    for layer in LAYERS:
        points = [row for row in rows if row.layer == layer]
        ax.plot([100 * row.density for row in points], [row.dense / row.evsim for row in points], "o-", label=layer)
    ax.axhline(1, color="0.6", linewidth=0.8)
    ax.set(xscale="log", yscale="log", xlabel="density of the input, %", ylabel="time of dense PyTorch / evsim")
    ax.legend(fontsize="small")
    figure.savefig(path, dpi=200)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser


if __name__ == "__main__":
    main()
