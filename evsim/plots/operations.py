"""plot_operations: what was computed, by layer and kind, or by one way to count and another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evsim.engine.ledger import Ledger, OpCounts
from evsim.plots.room import keep_in_slot, name_rows, points_for_rows, slot_inches
from evsim.plots.sizes import SMALLEST_FONT, small_font
from evsim.plots.theme import PALETTE

__all__ = ["KINDS", "legend_above", "plot_conventions", "plot_operations"]

KINDS = {
    "acs": "additions (AC)",
    "macs": "products (MAC)",
    "masks": "masks",
    "bias_adds": "bias additions",
    "residual_adds": "residual additions",
    "scalings": "scalings",
    "updates": "membrane updates",
    "comparisons": "comparisons",
}
"""Columns of the ledger that are arithmetic, and their names; one colour each."""


_LEGEND_LINES = 4


def plot_operations(ax, ledger: Ledger | Mapping[str, OpCounts], kinds: Sequence[str] = tuple(KINDS)):
    """One bar a layer, stacked by kind of operation: the literal counts of the ledger.

    Parameters
    ----------
    ax : matplotlib Axes
    ledger : Ledger, or dict of str to OpCounts
        Layers from top to bottom. A layer that did none of the operations has no bar. Of more layers than have room
        for a name, the smallest are one bar, "n other layers".
    kinds : sequence of str
        Keys of `KINDS`.

    Returns
    -------
    Axes
        Its attribute ``evsim_operations`` is the sum of all bars.
    """
    counts = ledger.by_handler() if isinstance(ledger, Ledger) else dict(ledger)
    done = {name: [getattr(row, kind) for kind in kinds] for name, row in counts.items()}
    done = {name: row for name, row in done.items() if any(row)}
    done = _most_of(done, int(points_for_rows(ax, _LEGEND_LINES) / (1.1 * SMALLEST_FONT)))
    table = np.array(list(done.values()), dtype=np.int64).reshape(len(done), len(kinds))
    used = [(kind, list(KINDS).index(kind), table[:, i]) for i, kind in enumerate(kinds) if table[:, i].any()]
    _stack(ax, list(done), [(KINDS[kind], PALETTE[colour], column) for kind, colour, column in used])
    ax.set_xlabel("operations")
    ax.evsim_operations = int(table.sum())
    keep_in_slot(ax)
    return ax


def plot_conventions(ax, tallies: Sequence):
    """One bar a counting convention, additions and products stacked, on the same spikes.

    Parameters
    ----------
    ax : matplotlib Axes
    tallies : sequence of evsim.auditing.tally.Tally
        The literal one first; a line at its length runs through the others, with their ratios to it.

    Returns
    -------
    Axes
    """
    acs, macs = np.array([t.acs for t in tallies]), np.array([t.macs for t in tallies])
    columns = [(KINDS["acs"], PALETTE[0], acs), (KINDS["macs"], PALETTE[1], macs)]
    _stack(ax, [t.title for t in tallies], columns)
    total = acs + macs
    if len(total) and total[0]:
        ax.axvline(total[0], color="0.5", linewidth=0.7, linestyle="--", zorder=0)
        for line, value in enumerate(total):
            ax.annotate(
                f"{value / total[0]:.3g}x", (value, line), xytext=(3, 0), textcoords="offset points", va="center",
                fontsize=small_font(),
            )  # fmt: skip
        ax.set_xlim(0, 1.12 * total.max())
    ax.set_xlabel("additions and products\n(dashed: literal)", loc="right")
    keep_in_slot(ax)
    return ax


def _stack(ax, names: list[str], columns: list[tuple[str, str, np.ndarray]]) -> None:
    """Horizontal bars, the first on top; no gap between the parts."""
    begin = np.zeros(len(names))
    for label, colour, lengths in columns:
        ax.barh(range(len(names)), lengths, left=begin, height=0.72, label=label, color=colour)
        begin = begin + lengths
    name_rows(ax, names, (len(names) - 0.4, -0.6), _LEGEND_LINES)
    ax.xaxis.set_major_formatter(_engineering())
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if columns:
        legend_above(ax)


def _most_of(done: dict[str, list[int]], most: int) -> dict[str, list[int]]:
    """The `most` - 1 layers that did most, in their order, and the sum of the others."""
    if len(done) <= max(2, most):
        return done
    kept = set(sorted(done, key=lambda name: sum(done[name]), reverse=True)[: max(1, most - 1)])
    others = [row for name, row in done.items() if name not in kept]
    rows = {name: row for name, row in done.items() if name in kept}
    return rows | {f"{len(others)} other layers": [sum(column) for column in zip(*others, strict=True)]}


def legend_above(ax) -> None:
    """In as many columns as have room between the left end of the names and the right end of the Axes."""
    labels = ax.get_legend_handles_labels()[1]
    size = small_font()
    letters = 0.9 * 72 * slot_inches(ax)[0] / (0.55 * size)
    n = max(1, min(len(labels), int(letters / (max(map(len, labels)) + 5))))
    ax.legend(
        frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=n, fontsize=size,
        handlelength=1.2, columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def _engineering():
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")
