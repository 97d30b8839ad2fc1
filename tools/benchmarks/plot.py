"""The ratios of every workload as points with their extremes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.benchmarks.table import DENSE, best_dense, ratio
from tools.benchmarks.timing import Measurement

__all__ = ["plot_ratios"]

_COLOURS = {"SpikingJelly 2": "C0", "plain torch": "C1"}
_FORM = {"SpikingJelly 2": " (its model, or its neurons)", "plain torch": ", folded"}
_LARGEST = 20
"""Beyond, a round says that the machine stood still."""


def plot_ratios(measurements: Sequence[Measurement], path: Path) -> None:
    """One row a workload and number of threads; a point for the fastest form of each dense model, compiled or not."""
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

    height = 1.2 + 0.42 * len(measurements)
    figure, ax = pyplot.subplots(figsize=(8, height), layout="constrained")
    labelled = set()
    for row, m in enumerate(measurements):
        for place, (prefix, compiled) in enumerate([(p, c) for p in DENSE for c in (False, True)]):
            dense = best_dense(m.seconds, prefix, compiled)
            if dense is None:
                continue
            r = ratio(m.seconds, dense)
            label = f"{prefix}{_FORM[prefix]}{', compiled' if compiled else ''}"
            style = {"color": _COLOURS[prefix], "fmt": "s" if compiled else "o", "capsize": 3, "markersize": 5}
            if compiled:
                style["markerfacecolor"] = "white"
            ax.errorbar(
                r.median, row + 0.12 * (place - 1.5), xerr=[[r.median - r.low], [r.high - r.median]],
                label=None if label in labelled else label, **style,
            )  # fmt: skip
            labelled.add(label)
    ax.axvline(1, color="0.6", linewidth=0.8)
    ax.set_yticks(range(len(measurements)), [f"{m.workload}, {_threads(m.threads)}" for m in measurements])
    ax.set(xscale="log", xlabel="time of dense PyTorch / evsim (median and extremes)")
    ax.set_xlim(right=min(_LARGEST, ax.get_xlim()[1]))
    ax.xaxis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    ax.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=len(labelled), fontsize="small")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"
