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

from evsim.engine.current import Current
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.dssa import MapProduct
from evsim.handlers.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.neurons import LIF
from evsim.handlers.pooling import SpikeMaxPool
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear
from evsim.handlers.spike_sum import SpikeMean
from tools.benchmarks.table import machine
from tools.benchmarks.torch_models import FusedNeurons
from tools.train.models.neurons import LIF as Dense

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
        print(f"{layer}: {_verdict([row for row in rows if row.layer == layer], density)}")
    if options.json:
        result = {"machine": machine(), "rows": [asdict(row) for row in rows], "break_even": even}
        result = {"kind": "layers", **result}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        _plot(rows, options.plot)


def _sweep(layer: str, rounds: int) -> Iterator[Row]:
    for density in DENSITIES:
        ours, theirs, acs = LAYERS[layer](np.random.default_rng(0), density)
        times: tuple[list[float], list[float]] = ([], [])
        prepare = getattr(ours, "prepare", lambda: None)
        prepare(), ours(), theirs()
        for _ in range(rounds):  # interleaved
            for run, seconds in zip((ours, theirs), times, strict=True):
                prepare()
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
        n_additions[0] = sum(count.event_acs for count in counts)

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


def _neurons(rng, density, n_channels=128, side=32):
    """Neurons whose current was touched at `density` of the places; dense PyTorch updates all, in one fused loop.

    Both find their currents there; evsim clears what it has read, and copies what fired.
    """
    touched = rng.random((N_STEPS, side * side)) < density
    values = rng.standard_normal((N_STEPS, side * side, n_channels)).astype(np.float32) * touched[..., None]
    current = Current(side * side, n_channels)
    current.join_writer("benchmark")
    population = LIF("lif", current, (side, side, n_channels), "row,col,channel")

    def prepare() -> None:
        population.reset()
        for step in range(N_STEPS):
            rows = current.rows(step)
            rows.value[...], rows.touched[...] = values[step], touched[step]

    def ours() -> None:
        for step in range(N_STEPS):
            population.handle(step, {})

    ours.prepare = prepare
    fused, x = FusedNeurons(Dense()), torch.from_numpy(values)

    @torch.inference_mode()
    def theirs() -> None:
        fused(x)

    return ours, theirs, lambda: 0


def _attention(rng, density, make, dense, n_operands, n_tokens=196, n_channels=256):
    """Handlers of an attention on spikes against the same products of zeros and ones."""
    operands = rng.random((n_operands, N_STEPS, n_tokens, n_channels)) < density
    steps = [[Spikes.from_dense(step) for step in operand] for operand in operands]
    handle, n_additions = make(n_tokens, n_channels), [0]

    def ours() -> None:
        n_additions[0] = sum(handle(step, *spikes) for step, spikes in enumerate(zip(*steps, strict=True)))

    tensors = [torch.from_numpy(operand.astype(np.float32)) for operand in operands]

    @torch.inference_mode()
    def theirs() -> None:
        dense(*tensors)

    return ours, theirs, lambda: n_additions[0]


def _sdsa(rng, density):
    def make(n_tokens, n_channels):
        column = Current(1, n_channels)
        meet, total = Coincidence("kv", n_tokens, n_channels), TokenSum("sum", n_tokens, column)
        gate = LIF("gate", column, (n_channels,), "channel", 0.5)
        passes = Gate("qkv", n_tokens, n_channels)

        def handle(step, q, k, v):
            met, _ = meet.handle(step, {"k": k, "v": v})
            counts = total.handle(step, {"spikes": met})[1]
            opened, _ = gate.handle(step, {})
            passes.handle(step, {"q": q, "gate": opened})
            if step == N_STEPS - 1:
                gate.reset()
            return counts.event_acs

        return handle

    fused = FusedNeurons(Dense(0.5))
    return _attention(rng, density, make, lambda q, k, v: q * fused((k * v).sum(1, keepdim=True)), 3)


def _ssa(rng, density, n_heads=8):
    def make(n_tokens, n_channels):
        current = Current(n_tokens, n_channels)
        ssa = SSA("ssa", n_heads, 0.125, current)
        current.join_reader("benchmark")

        def handle(step, q, k, v):
            counts = ssa.handle(step, {"q": q, "k": k, "v": v})[1]
            current.release(step, "benchmark")
            return counts.event_acs

        return handle

    def dense(*tensors):
        q, k, v = (t.unflatten(2, (n_heads, -1)).transpose(1, 2) for t in tensors)
        return q @ (k.transpose(-1, -2) @ v) * 0.125

    return _attention(rng, density, make, dense, 3)


def _dssa(rng, density, n_heads=4, n_patches=49):
    def make(n_tokens, n_channels):
        y, current = Current(n_patches, 2 * n_channels), Current(n_tokens, n_heads * n_patches)
        y.join_writer("benchmark", np.ones(2 * n_channels))
        product = MapProduct("product", y, np.ones(n_heads), n_tokens, current)
        current.join_reader("benchmark")

        def handle(step, x):
            counts = product.handle(step, {"spikes": x})[1]
            current.release(step, "benchmark")
            return counts.event_acs

        return handle

    y1 = torch.ones(N_STEPS, n_heads, n_patches, 256 // n_heads)
    return _attention(rng, density, make, lambda x: y1 @ x.unflatten(2, (n_heads, -1)).permute(0, 2, 3, 1), 1)


def _token_mean(rng, density):
    def make(n_tokens, n_channels):
        current = Current(1, n_channels)
        mean = SpikeMean("mean", n_tokens, current)
        current.join_reader("benchmark")

        def handle(step, x):
            counts = mean.handle(step, {"spikes": x})[1]
            current.release(step, "benchmark")
            return counts.event_acs

        return handle

    return _attention(rng, density, make, lambda x: x.mean(1), 1)


LAYERS: dict[str, Callable] = {
    "conv 3x3, 64 to 128, 32x32": _conv,
    "linear, 256 to 1024, 256 tokens": _linear,
    "max-pool 3x3 / 2, 64, 64x64": _max_pool,
    "LIF, 128, 32x32 (places touched)": _neurons,
    "SDSA, 196 tokens, 256": _sdsa,
    "SSA, 196 tokens, 256, 8 heads": _ssa,
    "DSSA map, 196 tokens, 49 patches": _dssa,
    "token mean, 196 tokens, 256": _token_mean,
}


def _break_even(rows: list[Row]) -> float | None:
    """The density at which both take as long, between two measured ones; None if one is ahead throughout."""
    for before, after in pairwise(rows):
        if after.evsim >= after.dense and before.evsim < before.dense:
            gain = np.log([before.dense / before.evsim, after.dense / after.evsim])
            return float(np.exp(np.interp(0, -gain, np.log([before.density, after.density]))))
    return None


def _verdict(rows: list[Row], density: float | None) -> str:
    if density is not None:
        return f"dense PyTorch is as fast at a density of {100 * density:.2g} %"
    ahead = "evsim" if rows[0].evsim < rows[0].dense else "dense PyTorch"
    return f"{ahead} is ahead at every density"


def _plot(rows: list[Row], path: Path) -> None:
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

    figure, ax = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
    for i, layer in enumerate(LAYERS):
        points = [row for row in rows if row.layer == layer]
        x, y = [100 * row.density for row in points], [row.dense / row.evsim for row in points]
        ax.plot(x, y, "os^vDPX*"[i % 8] + "-", markersize=5, linewidth=1.2, label=layer)
    ax.axhline(1, color="0.4", linewidth=1)
    ax.set(xscale="log", yscale="log", xlabel="density of the input, %", ylabel="time of dense PyTorch / evsim")
    ax.xaxis.set_major_locator(FixedLocator([100 * density for density in DENSITIES]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.grid(color="0.93")
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser


if __name__ == "__main__":
    main()
