"""plot_operations: what was computed, by layer and kind, or by one way to count and another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evsim.engine.ledger import Ledger, OpCounts
from evsim.plain_text import plain
from evsim.plots.theme import PALETTE

__all__ = ["KINDS", "plot_conventions", "plot_operations"]

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


def plot_operations(ax, ledger: Ledger | Mapping[str, OpCounts], kinds: Sequence[str] = tuple(KINDS)):
    """One bar a layer, stacked by kind of operation: the literal counts of the ledger.

    Parameters
    ----------
    ax : matplotlib Axes
    ledger : Ledger, or dict of str to OpCounts
        Layers from top to bottom. A layer that did none of the operations has no bar.
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
    table = np.array(list(done.values()), dtype=np.int64).reshape(len(done), len(kinds))
    used = [(kind, list(KINDS).index(kind), table[:, i]) for i, kind in enumerate(kinds) if table[:, i].any()]
    _stack(ax, list(done), [(KINDS[kind], PALETTE[colour], column) for kind, colour, column in used])
    ax.set_xlabel("operations")
    ax.evsim_operations = int(table.sum())
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
                fontsize="small",
            )  # fmt: skip
        ax.set_xlim(0, 1.12 * total.max())
    ax.set_xlabel("additions and products; dashed: literal")
    return ax


def _stack(ax, names: list[str], columns: list[tuple[str, str, np.ndarray]]) -> None:
    """Horizontal bars, the first on top; no gap between the parts."""
    begin = np.zeros(len(names))
    for label, colour, lengths in columns:
        ax.barh(range(len(names)), lengths, left=begin, height=0.72, label=label, color=colour)
        begin = begin + lengths
    ax.set_yticks(range(len(names)), map(plain, names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(_engineering())
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if columns:
        ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)


def _engineering():
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")
