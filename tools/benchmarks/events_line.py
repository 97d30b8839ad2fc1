"""Does the cost grow with the events, not with the size? Time against events, on recordings thinned at random.

    python -m tools.benchmarks.events_line --shared FOLDER --plot events.png --json events.json

Of each subject's recording the same random order of events is cut off at 0 to 100 %. All thinned recordings are run in
turn, round after round; a line is fitted to the medians, over the input's events and over the additions of the ledger.
Without `--shared` the gesture network is left out. A blank recording's time as a share of a full one's is the
claim's other half; where biases wake neurons without any input, it says how much of the work they are.
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
from scipy.optimize import nnls
from scipy.stats import linregress

from tools.benchmarks.table import machine
from tools.benchmarks.thinned import SUBJECTS, Run
from tools.benchmarks.timing import FEWEST_ROUNDS
from tools.benchmarks.workload import Unavailable

__all__ = ["FRACTIONS", "Line", "Plane", "Point", "Subject", "fit", "fit_both", "measure"]

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_FOR_A_BLANK = 0.05
"""The claim: a blank recording takes less than this share of a full one's time."""


@dataclass(frozen=True)
class Point:
    """One thinned recording: events of the input, additions and updates in the ledger, seconds of each round."""

    fraction: float
    events: int
    acs: int
    updates: int
    seconds: list[float]


@dataclass(frozen=True)
class Line:
    """seconds = intercept + slope * x, and how much of the variance that explains."""

    slope: float
    intercept: float
    r_squared: float


@dataclass(frozen=True)
class Plane:
    """seconds = intercept + an_addition * acs + an_update * updates; an_update is 0 where there are no updates."""

    an_addition: float
    an_update: float
    intercept: float
    r_squared: float


@dataclass(frozen=True)
class Subject:
    """What was measured, over both axes.

    Parameters
    ----------
    name, title : str
    points : list of Point
        By growing fraction.
    over_events, over_acs : Line
    over_both : Plane
        Over additions and membrane updates together: an update costs many times what an addition does.
    blank_share : float
        Median time without any event over that with all.
    """

    name: str
    title: str
    points: list[Point]
    over_events: Line
    over_acs: Line
    over_both: Plane
    blank_share: float


def main() -> int:
    """Measure, print, write the JSON, draw the plot."""
    options = _parser().parse_args()
    subjects = []
    for name, make in SUBJECTS.items():
        try:
            title, runs = make(FRACTIONS, options.shared)
        except Unavailable as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            continue
        subjects.append(measure(name, title, runs, options.rounds))
        print(describe(subjects[-1]), flush=True)
    if options.json:
        found = {"kind": "events_line", "machine": machine(), "subjects": [asdict(subject) for subject in subjects]}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.plot:
        _plot(subjects, options.plot)
    return 0


def measure(name: str, title: str, runs: Sequence[Run], rounds: int, clock: Callable = time.perf_counter) -> Subject:
    """Run all in turn, `rounds` times over, after one run each to warm up."""
    for run in runs:
        run.call()
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, times in zip(runs, seconds, strict=True):
            begin = clock()
            run.call()
            times.append(clock() - begin)
    points = [Point(r.fraction, r.events, *r.counts(), t) for r, t in zip(runs, seconds, strict=True)]
    medians = [median(point.seconds) for point in points]
    over_events, over_acs = (fit([getattr(p, axis) for p in points], medians) for axis in ("events", "acs"))
    over_both = fit_both([p.acs for p in points], [p.updates for p in points], medians)
    return Subject(name, title, points, over_events, over_acs, over_both, medians[0] / medians[-1])


def fit(x: Sequence[float], seconds: Sequence[float]) -> Line:
    """Least squares."""
    found = linregress(x, seconds)
    return Line(float(found.slope), float(found.intercept), float(found.rvalue**2))


def fit_both(acs: Sequence[int], updates: Sequence[int], seconds: Sequence[float]) -> Plane:
    """Least squares over two axes, no cost below zero; the columns are scaled to their largest."""
    columns = [np.asarray(column, float) for column in (acs, updates, np.ones(len(seconds)))]
    scales = [max(1.0, column.max()) for column in columns]
    matrix = np.stack([column / scale for column, scale in zip(columns, scales, strict=True)], axis=1)
    y = np.asarray(seconds)
    found = nnls(matrix, y)[0]
    r_squared = 1 - np.sum((y - matrix @ found) ** 2) / np.sum((y - y.mean()) ** 2)
    return Plane(*(float(f / scale) for f, scale in zip(found, scales, strict=True)), float(r_squared))


def describe(subject: Subject) -> str:
    """The points, both lines, and the blank recording."""
    lines = [subject.title]
    for p in subject.points:
        times = f"{1e3 * median(p.seconds):9.3f} ms ({1e3 * min(p.seconds):.3f}-{1e3 * max(p.seconds):.3f})"
        lines.append(f"  {100 * p.fraction:5.0f} %  {p.events:9,} events  {p.acs / 1e6:10.2f} M additions  {times}")
    for axis, line in (("input events", subject.over_events), ("additions", subject.over_acs)):
        cost = f"{1e9 * line.slope:.3g} ns each, intercept {1e3 * line.intercept:.3g} ms"
        lines.append(f"  over {axis}: R2 = {line.r_squared:.4f}, {cost}")
    both = subject.over_both
    if both.an_update:
        cost = (
            f"{1e9 * both.an_addition:.3g} and {1e9 * both.an_update:.3g} ns, intercept {1e3 * both.intercept:.3g} ms"
        )
        lines.append(f"  over additions and membrane updates: R2 = {both.r_squared:.4f}, {cost}")
    verdict = "below" if subject.blank_share < MOST_FOR_A_BLANK else "NOT below"
    share = f"{100 * subject.blank_share:.2f} % of a full one's time, {verdict} {100 * MOST_FOR_A_BLANK:.0f} %"
    alone = subject.points[0].acs / max(1, subject.points[-1].acs)
    return "\n".join([*lines, f"  a blank recording: {share}; it causes {100 * alone:.1f} % of the additions"])


def _plot(subjects: Sequence[Subject], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(subjects), 2, figsize=(8.5, 2.3 * len(subjects)), layout="constrained", squeeze=False
    )
    for row, subject in zip(axes, subjects, strict=True):
        row[0].set_title(subject.title, fontsize="medium", loc="left")
        row[0].set_ylabel("ms")
        sides = (("events", 1e3, subject.over_events), ("acs", 1e6, subject.over_acs))
        for ax, (axis, unit, line) in zip(row, sides, strict=True):
            x = np.array([getattr(point, axis) for point in subject.points])
            y = 1e3 * np.array([[median(p.seconds), min(p.seconds), max(p.seconds)] for p in subject.points]).T
            ax.errorbar(x / unit, y[0], yerr=[y[0] - y[1], y[2] - y[0]], fmt="o", markersize=4, capsize=2)
            label = f"R² = {line.r_squared:.4f}"
            ax.plot(x / unit, 1e3 * (line.intercept + line.slope * x), color="0.5", linewidth=1, label=label)
            ax.set_ylim(bottom=0, top=1.25 * max(y[0].max(), y[0][-1]))
            ax.set_xlim(left=0 if x.min() < 0.2 * x.max() else None)
            ax.legend(loc="lower right", fontsize="small", frameon=False)
    axes[-1][0].set_xlabel("input events, thousands")
    axes[-1][1].set_xlabel("additions (ledger), millions")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("EVSIM_SHARED")
    parser.add_argument("--rounds", type=_rounds, default=9, help=f"timed runs of each ({FEWEST_ROUNDS} or more)")
    parser.add_argument("--shared", type=Path, default=Path(shared) if shared else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of {FEWEST_ROUNDS} or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
