"""How near the kernels come to the machine: additions a second of each projection, over the size of its weights.

    python -m tools.benchmarks.roofline --json roofline.json --plot roofline.png

First the limits: the inner loop (`add_rows`) alone on weights that fit the first cache, the second, or neither, rows
taken in random order, and the memory's bandwidth by a triad a = b + s * c (three words moved an element). Then one run
of each network with a clock around every projection. An addition reads one weight of four bytes, wherever it is: the
bandwidth of memory divided by four is what additions on weights from memory could not pass.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numba import njit

from evsim.arithmetic import lanes
from evsim.engine.simulator import simulate
from evsim.handlers.projections.conv import Conv2d
from tools.benchmarks.table import machine
from tools.benchmarks.workload import Unavailable, Workload, find, names

__all__ = ["Limit", "Projection", "limits", "projections"]

SIZES = {"first cache": 16 << 10, "second cache": 512 << 10, "beyond": 256 << 20}
"""Bytes of weights: of what a core of today has in each cache, well inside; and more than the last one holds."""
TRIAD_BYTES = 256 << 20
WIDTH, EVENTS = 64, 64
"""A panel of output channels, and events of a receptive field."""


@dataclass(frozen=True)
class Limit:
    """The inner loop on weights of one size."""

    place: str
    weight_bytes: int
    additions_per_second: float


@dataclass(frozen=True)
class Projection:
    """One projection of a network over a run: medians of the rounds.

    Parameters
    ----------
    name : str
    weight_bytes : int
    density : float
        Of what it read, mean over the steps.
    acs : int
        Additions of a run.
    intensity : float
        Additions for each byte of weights: how often a weight is used in a run.
    seconds : float
    """

    name: str
    weight_bytes: int
    density: float
    acs: int
    intensity: float
    seconds: float

    @property
    def additions_per_second(self) -> float:
        return self.acs / self.seconds


def main() -> int:
    """Measure, print, write the JSON, draw the plot."""
    options = _parser().parse_args()
    found, bandwidth = limits(options.rounds), triad(options.rounds)
    for limit in found:
        print(
            f"add_rows, {limit.place:13} {limit.weight_bytes >> 10:8,} KiB {limit.additions_per_second / 1e9:7.1f} G/s"
        )
    print(f"triad {bandwidth / 1e9:.1f} GB/s: {bandwidth / 4e9:.1f} G weights/s")
    networks = {}
    for name in options.workload:
        try:
            networks[name] = projections(find(name, options.shared), options.rounds)
        except Unavailable as reason:
            print(reason, file=sys.stderr)
            continue
        print(name)
        for p in networks[name]:
            print(
                f"  {p.name:32} {p.weight_bytes >> 10:8,} KiB  {100 * p.density:5.1f} %  {p.intensity:9.1f} a byte"
                f"  {p.acs / 1e6:9.1f} M  {p.additions_per_second / 1e9:6.1f} G/s"
            )
    if options.json:
        rows = {name: [_row(p) for p in found_there] for name, found_there in networks.items()}
        content = {"kind": "roofline", "machine": machine(), "limits": [asdict(limit) for limit in found]}
        content |= {"triad_bytes_per_second": bandwidth, "networks": rows}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.plot:
        _plot(found, bandwidth, networks, options.plot)
    return 0


def limits(rounds: int, sizes: dict[str, int] = SIZES) -> list[Limit]:
    """The inner loop alone, on weights of each size."""
    return [Limit(place, size, _inner_loop(size, rounds)) for place, size in sizes.items()]


def triad(rounds: int, n_bytes: int = TRIAD_BYTES) -> float:
    """Bytes a second of a = b + s * c, on arrays larger than the caches."""
    a, b, c = (lanes.aligned_zeros((n_bytes // 4,)) for _ in range(3))
    b.fill(1), c.fill(2)
    return 3 * n_bytes / _median_seconds(lambda: _triad(a, b, c, np.float32(3)), rounds)


def projections(workload: Workload, rounds: int) -> list[Projection]:
    """Each projection that added anything, with its own time in the network: no population takes bands from it."""
    network, recording = workload.network(), workload.recording(0)
    clocks = [_Clocked(handler) for handler in network.handlers if isinstance(handler, Conv2d)]
    simulate(network, recording)
    for _ in range(rounds):
        for clock in clocks:
            clock.seconds.append(0.0)
        ledger = simulate(network, recording).ledger
    found = []
    for clock in clocks:
        counts = ledger.total(clock.handler.name)
        if counts.event_acs and not counts.macs:
            n_bytes = clock.handler.blocks.values.nbytes
            density = counts.events_in / (clock.handler.n_inputs * len(recording))
            sizes = (n_bytes, density, int(counts.event_acs), counts.event_acs / n_bytes)
            found.append(Projection(clock.handler.name, *sizes, median(clock.seconds)))
    return found


class _Clocked:
    """A clock around one projection; what its population takes from it band by band is not its time."""

    def __init__(self, handler: Conv2d) -> None:
        self.handler = handler
        self.seconds: list[float] = [0.0]
        self._handle = handler.handle
        handler.handle = self.handle
        handler.current.taker = lambda step: None  # whole maps: the projection alone

    def handle(self, step, inbox):
        begin = time.perf_counter()
        found = self._handle(step, inbox)
        self.seconds[-1] += time.perf_counter() - begin
        return found


def _inner_loop(n_bytes: int, rounds: int) -> float:
    rng = np.random.default_rng(0)
    n_rows = n_bytes // (4 * WIDTH)
    weights = lanes.aligned_zeros((n_rows * WIDTH,))
    weights.fill(1)
    calls = max(1, min(20_000, 4 * n_rows // EVENTS))
    address = rng.integers(0, n_rows, (calls, EVENTS)).astype(np.int32)
    address.sort(axis=1)
    target = lanes.aligned_zeros((WIDTH,))
    repeats = max(1, 20_000 // calls)
    seconds = _median_seconds(lambda: _add(weights, address, target, repeats), rounds)
    return repeats * address.size * WIDTH / seconds


def _median_seconds(call: Callable, rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return median(times)


@njit(nogil=True)
def _add(weights, address, target, repeats):
    nothing = np.empty(0, np.float32)
    for _ in range(repeats):
        for call in range(address.shape[0]):
            lanes.add_rows(weights, 0, address[call], nothing, 0, address.shape[1], 0, target, 0, WIDTH)


@njit(nogil=True)
def _triad(a, b, c, s):
    for i in range(a.size):
        a[i] = b[i] + s * c[i]


def _row(projection: Projection) -> dict:
    return {**asdict(projection), "additions_per_second": projection.additions_per_second}


def _plot(found: Sequence[Limit], bandwidth: float, networks: dict[str, list[Projection]], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.3), layout="constrained", sharey=True)
    sides = (("weight_bytes", 1024, "weights of the projection, KiB"), ("density", 0.01, "density of its input, %"))
    for ax, (axis, unit, label) in zip(axes, sides, strict=True):
        for i, (name, rows) in enumerate(networks.items()):
            x = [getattr(p, axis) / unit for p in rows]
            ax.plot(
                x, [p.additions_per_second / 1e9 for p in rows], "o^svD"[i % 5], alpha=0.7, markersize=5, label=name
            )
        for i, limit in enumerate(found):
            ax.axhline(limit.additions_per_second / 1e9, color="0.4", linestyle=("-", "--", ":")[i % 3], linewidth=1)
        ax.axhline(bandwidth / 4e9, color="C3", linestyle="-.", linewidth=1)
        ax.set(xscale="log", yscale="log", xlabel=label)
        ax.grid(color="0.93")
    styles = [*(f"add_rows, weights: {limit.place}" for limit in found), "memory bandwidth / 4 bytes"]
    lines = [pyplot.Line2D([], [], color="0.4", linestyle=("-", "--", ":")[i % 3]) for i in range(len(found))]
    lines.append(pyplot.Line2D([], [], color="C3", linestyle="-."))
    points, labels = axes[0].get_legend_handles_labels()
    figure.legend(points + lines, labels + styles, loc="outside right upper", fontsize="small", frameon=False)
    axes[0].set_ylabel("additions a second, G")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("EVSIM_SHARED")
    default = ["nmnist", "gesture_trained_rates", "sdt_8_384", "spikformer_8_512", "spikingresformer_ti"]
    parser.add_argument("--workload", nargs="+", choices=names(), default=default)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shared", type=Path, default=Path(shared) if shared else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
