"""The bundled networks without layer barriers: accuracy, spikes, additions and the moment of decision by schedule.

    python -m tools.measure_asynchronous --mnist mnist.npz --rows rows.jsonl          measures; again: goes on
    python -m tools.measure_asynchronous --rows rows.jsonl --tables tables.md --figures docs/figures

Each row is one network in one configuration, in int16. The recordings are the bundled 100 of N-MNIST, and the first
images of the MNIST test set in an .npz that `evsim evaluate --dataset mnist` reads. A run that is stopped keeps its
rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from evsim.asynchronous import Asynchrony, simulate_asynchronously
from evsim.engine.simulator import simulate
from evsim.evaluation import FindOptions, find_dataset
from evsim.evaluation.examiner import Examiner, Plan
from evsim.evaluation.wilson import wilson_interval
from evsim.loading.zoo import find_recording
from evsim.traces.trace import Probe

FAMILIES = ("sdt", "spikformer", "spikformer-v2", "spikingresformer")
NETWORKS = (*(f"{family}-nmnist" for family in FAMILIES), *(f"{family}-mnist" for family in FAMILIES))
GROUPS = (1, 64, 4096, None)


@dataclass(frozen=True)
class Row:
    """One network in one configuration, summed over its recordings.

    Parameters
    ----------
    network : str
    how : dict
        `Asynchrony`.
    n, correct, differ : int
        Recordings; right predictions; predictions other than the synchronous ones.
    low, high : float
        95 % Wilson interval of the accuracy.
    spikes, differing : int
        Spikes of all populations; those that only one of the two modes sent.
    deliveries, withdrawn, micro_steps, most_waiting : int
    additions, membrane_additions : int
        Synaptic (a payload of n as n) and into membranes.
    decisions : list of float
        For recordings with the synchronous prediction, the share of deliveries after which the class stayed.
    barriers : list of str
    seconds : float
        Of the processor, this mode alone.
    """

    network: str
    how: dict
    n: int
    correct: int
    differ: int
    low: float
    high: float
    spikes: int
    differing: int
    deliveries: int
    withdrawn: int
    micro_steps: int
    most_waiting: int
    additions: int
    membrane_additions: int
    decisions: list[float]
    barriers: list[str]
    seconds: float


def configurations(seeds: int) -> Iterator[Asynchrony]:
    """The synchronous mode, then first come, first served at both ends of F, then the other schedules and groups.

    With F = all every schedule is the same.
    """
    yield Asynchrony("layer")
    for schedule, groups in (
        ("fifo", (1, None)), ("depth", (1,)), ("momentum", (1,)), ("random", (1,)), ("fifo", (64, 4096)),
        ("depth", (64, 4096)), ("momentum", (64, 4096)), ("random", (64, 4096)),
    ):  # fmt: skip
        for group in groups:
            for bias in ("start", "late"):
                for commit in ("delivery", "crossing"):
                    for seed in range(seeds) if schedule == "random" else (0,):
                        yield Asynchrony(schedule, group, commit, bias, seed=seed)


class Bench:
    """A network and its recordings, each run synchronously once."""

    def __init__(self, name: str, mnist: str | None, recordings: int, images: int) -> None:
        self.name = name
        is_image = not name.endswith("nmnist")
        found = ("mnist", mnist) if is_image else (find_recording("nmnist_test_100.h5"), None)
        dataset = find_dataset(*found, FindOptions())
        self.examiner = Examiner.load(Plan(name, dataset.kind, precision="int16"))
        self.items = dataset.items[: images if is_image else recordings]
        self.steps = [self.examiner.steps(item) for item in self.items]
        self.arrivals = [steps.arrival() if steps.arrival else None for steps in self.steps]
        self.names = [p.name for p in self.examiner.network.populations()]
        self.expected = [self._synchronous(steps) for steps in self.steps]

    def measure(self, how: Asynchrony) -> Row:
        """Every recording in one configuration."""
        totals = dict.fromkeys(_SUMMED, 0)
        decisions, barriers, most_waiting, seconds = [], (), 0, 0.0
        for item, steps, entry, (theirs, prediction) in zip(
            self.items, self.steps, self.arrivals, self.expected, strict=True
        ):
            probe, begin = Probe(self.names), time.process_time()
            result = simulate_asynchronously(
                self.examiner.network, steps.spikes, how, [probe], entry=entry, keeps_order=False
            )
            seconds += time.process_time() - begin
            counts = result.ledger.total()
            sent = self._spikes(probe, len(steps))
            found = (
                1, result.prediction == item.label, result.prediction != prediction, sum(map(len, sent)),
                sum(np.setxor1d(a, b, assume_unique=True).size for a, b in zip(sent, theirs, strict=True)),
                result.deliveries, result.withdrawn, result.micro_steps, counts.acs, counts.membrane_adds,
            )  # fmt: skip
            for name, value in zip(_SUMMED, found, strict=True):
                totals[name] += int(value)
            most_waiting, barriers = max(most_waiting, result.most_waiting), result.barriers
            if result.prediction == prediction:
                decisions.append(round(result.decision.share, 4))
        low, high = wilson_interval(totals["correct"], totals["n"])
        told = {"decisions": decisions, "barriers": list(barriers), "most_waiting": most_waiting, "seconds": seconds}
        return Row(self.name, how.as_dict(), low=low, high=high, **totals, **told)

    def _synchronous(self, steps) -> tuple[list[np.ndarray], int]:
        probe = Probe(self.names)
        result = simulate(self.examiner.network, steps.spikes, [probe])
        return self._spikes(probe, len(steps)), result.prediction

    def _spikes(self, probe: Probe, n_steps: int) -> list[np.ndarray]:
        return [probe.spikes(name, step).address for name in self.names for step in range(n_steps)]


_SUMMED = (
    "n", "correct", "differ", "spikes", "differing", "deliveries", "withdrawn", "micro_steps", "additions",
    "membrane_additions",
)  # fmt: skip


def read_rows(path: Path) -> list[Row]:
    """The rows that were measured so far."""
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def measure(options: argparse.Namespace) -> None:
    """What the file of rows does not hold yet, configuration by configuration."""
    known = {(row.network, json.dumps(row.how)) for row in read_rows(options.rows)}
    names = [name for name in NETWORKS if options.mnist or name.endswith("nmnist")]
    benches: dict[str, Bench] = {}
    for how in configurations(options.seeds):
        for name in options.network or names:
            if (name, json.dumps(how.as_dict())) in known:
                continue
            if name not in benches:
                benches[name] = Bench(name, options.mnist, options.recordings, options.images)
            row = benches[name].measure(how)
            with options.rows.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            decided = median(row.decisions) if row.decisions else float("nan")
            print(
                f"{name:24} {how.schedule:8} F {how.group!s:5} {how.commit:8} {how.bias:5} seed {how.seed}: "
                f"{row.correct} of {row.n}, {row.spikes:,} spikes, {row.differing:,} differ, decision {decided:.2f}, "
                f"{row.deliveries / row.seconds / 1e6:.2f} M deliveries/s",
                flush=True,
            )


def main() -> int:
    """Measure, or write tables and figures of what was measured."""
    options = _parser().parse_args()
    if options.tables or options.figures:
        from tools.asynchronous_page import write_figures, write_tables

        rows = read_rows(options.rows)
        if options.tables:
            options.tables.write_text(write_tables(rows))
        if options.figures:
            write_figures(rows, options.figures)
        return 0
    measure(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True, help="One JSON object a line; grows.")
    parser.add_argument("--mnist", help=".npz of MNIST; without it only N-MNIST is measured.")
    parser.add_argument("--network", action="append", help="Only this network; may be repeated.")
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1, help="Seeds of the random schedule.")
    parser.add_argument("--tables", type=Path, help="Write the tables of the rows, in Markdown.")
    parser.add_argument("--figures", type=Path, help="Write the figures of the rows to this folder.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
