"""plot_energy: what a run would cost by one energy model, beside its dense twins."""

from __future__ import annotations

import numpy as np

from evsim.plain_text import plain
from evsim.plots.theme import PALETTE

__all__ = ["plot_energy"]


def plot_energy(ax, panel):
    """One bar a way to run the network, stacked by where the energy goes.

    Parameters
    ----------
    ax : matplotlib Axes
    panel : evsim.auditing.panel.Panel
        Of one run and one model. A part that the model has no price for is left out, and the title says so.

    Returns
    -------
    Axes
        Its attribute ``evsim_microjoules`` are the lengths of the bars.
    """
    parts = list(panel.rows[0].parts)
    begin = np.zeros(len(panel.rows))
    for part, colour in zip(parts, PALETTE, strict=False):
        lengths = np.array([(row.parts[part] or 0.0) / 1e6 for row in panel.rows])
        if lengths.any():
            ax.barh(range(len(panel.rows)), lengths, left=begin, height=0.62, label=part, color=colour)
            begin = begin + lengths
    for line, row in enumerate(panel.rows):
        words = _microjoules(begin[line]) + (f"  ({row.ratio:.3g}x)" if line and row.ratio else "")
        ax.annotate(words, (begin[line], line), xytext=(3, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(panel.rows)), [plain(row.name) for row in panel.rows])
    ax.set_ylim(len(panel.rows) - 0.4, -0.6)
    ax.set_xlim(0, 1.3 * (begin.max() or 1.0))
    ax.set_xlabel("energy, \u00b5J")
    without = [part for part in parts if all(row.parts[part] is None for row in panel.rows)]
    ax.set_title(plain(panel.model.name) + (f": no price for {', '.join(without)}" if without else ""), loc="left")
    if begin.any():
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, -0.32), ncols=4, borderaxespad=0)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.evsim_microjoules = begin
    return ax


def _microjoules(value: float) -> str:
    """Three digits, and no powers of ten."""
    return "no price" if not value else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
