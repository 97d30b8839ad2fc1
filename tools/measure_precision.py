"""How much faster fixed point is than float32: interleaved runs of one workload, medians, ratios round by round.

python -m tools.measure_precision --workload gesture --shared FOLDER
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median

from evsim.arithmetic.fixed_point import fix
from evsim.arithmetic.precision import FLOAT, PRECISIONS
from evsim.engine.simulator import simulate
from tools.benchmarks.workload import Workload, find, names


def measure(workload: Workload, rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds of each round, by precision; the first run of each, which compiles, is not counted."""
    networks = {precision: fix(workload.network(), precision) for precision in PRECISIONS}
    recording = workload.recording(0)
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for network in networks.values():
        simulate(network, recording, threads=threads)
    for _ in range(rounds):
        for precision, network in networks.items():
            begin = time.perf_counter()
            simulate(network, recording, threads=threads)
            seconds[precision].append(time.perf_counter() - begin)
    return seconds


def main() -> None:
    """Print a line a precision."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workload", nargs="+", default=["nmnist"], choices=names())
    options.add_argument("--shared", type=Path, default=os.environ.get("EVSIM_SHARED"))
    options.add_argument("--rounds", type=int, default=11)
    options.add_argument("--threads", type=int, default=1)
    told = options.parse_args()
    for name in told.workload:
        workload = find(name, told.shared and Path(told.shared))
        print(workload.title)
        seconds = measure(workload, told.rounds, told.threads)
        for precision, rounds in seconds.items():
            ratio = median(real / fixed for real, fixed in zip(seconds[FLOAT], rounds, strict=True))
            print(f"  {precision:8} {median(rounds):.4f} s, float32 takes {ratio:.2f} times as long")


if __name__ == "__main__":
    main()
