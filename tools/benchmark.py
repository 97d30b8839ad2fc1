"""evsim against dense PyTorch on the same weights and inputs, interleaved, in one process tree.

    python -m tools.benchmark                 the bundled network; needs torch, and SpikingJelly 2 if it is there
    python -m tools.benchmark --shared FOLDER --workload gesture gesture_trained_rates --threads 1 2 --json out.json

How to read the result, and the results on one machine: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.benchmarks.table import as_json, table
from tools.benchmarks.timing import measure, peak_memory, prepare
from tools.benchmarks.workload import Unavailable, names


def main() -> int:
    """Measure, print the table, write the JSON."""
    options = _parser().parse_args()
    measurements, memory = [], {}
    with TemporaryDirectory() as folder:
        for name in options.workload:
            path = Path(folder) / f"{name}.npz"
            try:
                prepare(name, options.shared, path)
            except Unavailable as reason:
                print(reason, file=sys.stderr)
                continue
            for threads in options.threads:
                print(f"{name}, {threads} thread(s) ...", file=sys.stderr, flush=True)
                measurements.append(measure(path, threads, options.rounds, options.compile))
            memory[name] = {who: peak_memory(path, who) for who in ("evsim", "torch")}
    print(table(measurements))
    for name, bytes_of in memory.items():
        print(f"peak memory, {name}: " + ", ".join(f"{who} {size / 2**20:.0f} MiB" for who, size in bytes_of.items()))
    if options.json:
        options.json.write_text(json.dumps(as_json(measurements, memory), indent=1) + "\n")
    return 0 if measurements else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("EVSIM_SHARED")
    parser.add_argument("--workload", nargs="+", choices=names(), default=["nmnist"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each contestant (at least 5)")
    parser.add_argument("--compile", action="store_true", help="also torch.compile (minutes of compilation)")
    parser.add_argument(
        "--shared", type=Path, default=Path(shared) if shared else None, help="folder of reference data"
    )
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
