"""plot_rates: how many neurons of each layer fire at each step."""

from __future__ import annotations

import numpy as np

from evsim.engine.network import INPUT
from evsim.plots.color_bar import add_color_bar
from evsim.plots.rate_strip import rates_by_step
from evsim.plots.room import keep_in_slot, name_rows
from evsim.plots.sizes import small_font
from evsim.plots.theme import LIGHT, Theme, density_map
from evsim.traces.trace import Trace

__all__ = ["plot_rates"]


def plot_rates(ax, trace: Trace, theme: Theme = LIGHT, most: float | None = None):
    """A heat map, layers down and steps across; the mean over steps stands at the right of each line.

    Parameters
    ----------
    ax : matplotlib Axes
    trace : Trace
        The input is left out: its values need not be spikes.
    theme : Theme
    most : float, optional
        Percent at the dark end of the colours, to share them with another picture; else the largest drawn.

    Returns
    -------
    Axes
        Its attribute ``evsim_rates`` is the array drawn, [n_layers, n_steps] in percent.
    """
    names = [name for name in trace.layers if name != INPUT]
    rates = 100 * np.array([rates_by_step(trace, name) for name in names]).reshape(len(names), trace.n_steps)
    top = most or rates.max(initial=0.0) or 1.0
    image = ax.imshow(rates, aspect="auto", interpolation="nearest", cmap=density_map(theme), vmin=0, vmax=top)
    name_rows(ax, names, n_lines_above=1)
    ax.set_xticks(range(0, trace.n_steps, max(1, trace.n_steps // 8)))
    ax.set_xlabel("step")
    add_color_bar(ax, image, "neurons that fire, %", gap=_write_means(ax, rates.mean(axis=1)))
    ax.evsim_rates = rates
    keep_in_slot(ax)
    return ax


def _write_means(ax, means: np.ndarray) -> float:
    """The mean over steps at the right of each line that has a name; the points that they take."""
    shown, size = (
        [round(place) for place in ax.get_yticks()],
        ax.get_yticklabels()[0].get_fontsize() if len(means) else 6,
    )
    words = {line: f"{means[line]:.1f}" for line in shown}
    marks = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "annotation_clip": False}
    for line, word in words.items():
        ax.annotate(word, (1, line), xytext=(3, 0), va="center", fontsize=size, **marks)
    ax.annotate("mean", (1, -0.5), xytext=(3, 3), va="bottom", fontsize=min(size, small_font()), **marks)
    return 8 + 0.6 * size * max([4, *map(len, words.values())])
