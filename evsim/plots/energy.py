"""plot_energy: what a run would cost by one energy model, beside its dense twins."""

from __future__ import annotations

import numpy as np

from evsim.plots.operations import legend_above
from evsim.plots.room import in_lines, keep_in_slot, name_rows, slot_inches
from evsim.plots.sizes import small_font
from evsim.plots.theme import PALETTE

__all__ = ["plot_energy"]


def plot_energy(ax, panel):
    """One bar a way to run the network, stacked by where the energy goes.

    Parameters
    ----------
    ax : matplotlib Axes
    panel : evsim.auditing.panel.Panel
        Of one run and one model. A part that the model has no price for is left out, and the label of x says so.

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
        words = _microjoules(begin[line]) + (f"\n({row.ratio:.3g}x)" if line and row.ratio else "")
        place = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(words, (begin[line], line), fontsize=small_font(), **place)
    name_rows(ax, [row.name for row in panel.rows], (len(panel.rows) - 0.4, -0.6), 2)
    ax.set_xlim(0, 1.4 * (begin.max() or 1.0))
    without = [part for part in parts if all(row.parts[part] is None for row in panel.rows)]
    no_price = f"\n(no price for {', '.join(without)})" if without else ""
    n_letters = 0.7 * 72 * slot_inches(ax)[0] / (0.55 * ax.xaxis.label.get_fontsize())
    ax.set_xlabel(in_lines(f"energy by {panel.model.name}, \u00b5J{no_price}", n_letters), loc="right")
    if begin.any():
        legend_above(ax)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.evsim_microjoules = begin
    keep_in_slot(ax)
    return ax


def _microjoules(value: float) -> str:
    """Three digits, and no powers of ten."""
    return "no price" if not value else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
