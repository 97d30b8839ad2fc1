"""evsim against dense PyTorch on the same weights and inputs, interleaved, in one process tree.

    python -m tools.benchmark                 the bundled network; needs torch, and SpikingJelly 2 if it is there
    python -m tools.benchmark --workload all --shared FOLDER --json workloads.json --plot workloads.png
    python -m tools.benchmark --target avx2   both sides held to the instructions of a processor without AVX-512

Each workload is prepared, compared with PyTorch spike by spike, timed at each number of threads, and its memory is
measured. How to read the result, and the results on one machine: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.benchmarks.equality import check_equality
from tools.benchmarks.memory import peak_memory
from tools.benchmarks.table import Results, as_json, table
from tools.benchmarks.target import HOST, TARGETS, TargetError, hold
from tools.benchmarks.timing import FEWEST_ROUNDS, measure, prepare
from tools.benchmarks.workload import Unavailable, names, read_rates

ALL = "all"


def main() -> int:
    """Measure, print the table, write the JSON, draw the plot."""
    options = _parser().parse_args()
    results = Results(target=options.target)
    try:
        hold(options.target)
    except TargetError as error:
        print(error, file=sys.stderr)
        return 2
    with TemporaryDirectory() as folder:
        for name in names() if ALL in options.workload else options.workload:
            path = Path(folder) / f"{name}.npz"
            try:
                _say(f"{name}: preparing")
                prepare(name, options.shared, path)
            except Unavailable as reason:
                print(reason, file=sys.stderr)
                continue
            _measure(name, path, options, results)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results), indent=1) + "\n")
    if options.plot and results.measurements:
        from tools.benchmarks.plot import plot_ratios

        plot_ratios(results.measurements, options.plot)
    return 0 if results.measurements else 2


def _measure(name: str, path: Path, options: argparse.Namespace, results: Results) -> None:
    results.rates[name] = read_rates(path)
    _say(f"{name}: comparing with PyTorch")
    results.equality[name] = check_equality(path)
    for threads in options.threads:
        _say(f"{name}: {threads} thread(s)")
        results.measurements.append(measure(path, threads, options.rounds, options.compile))
    _say(f"{name}: memory")
    results.memory[name] = peak_memory(path)


def _say(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("EVSIM_SHARED")
    parser.add_argument("--workload", nargs="+", choices=[*names(), ALL], default=["nmnist"])
    parser.add_argument("--threads", nargs="+", type=_at_least(1), default=[1, 2])
    parser.add_argument(
        "--rounds", type=_at_least(FEWEST_ROUNDS), default=7, help=f"timed runs of each ({FEWEST_ROUNDS} or more)"
    )
    parser.add_argument(
        "--target",
        choices=[HOST, *TARGETS],
        default=HOST,
        help="instructions both sides are held to (default: no limit)",
    )
    parser.add_argument("--compile", action="store_true", help="also torch.compile (minutes of compilation)")
    parser.add_argument(
        "--shared", type=Path, default=Path(shared) if shared else None, help="folder of reference data"
    )
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--plot", type=Path, help="draw the ratios to this file")
    return parser


def _at_least(least: int):
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of {least} or more")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
