"""plot_rates: how many neurons of each layer fire at each step."""

from __future__ import annotations

import numpy as np

from evsim.engine.network import INPUT
from evsim.plain_text import plain
from evsim.plots.rate_strip import rates_by_step
from evsim.plots.theme import LIGHT, Theme, density_map
from evsim.traces.trace import Trace

__all__ = ["plot_rates"]


def plot_rates(ax, trace: Trace, theme: Theme = LIGHT):
    """A heat map, layers down and steps across; the mean over steps stands at the right of each line.

    Parameters
    ----------
    ax : matplotlib Axes
    trace : Trace
        The input is left out: its values need not be spikes.
    theme : Theme

    Returns
    -------
    Axes
        Its attribute ``evsim_rates`` is the array drawn, [n_layers, n_steps] in percent.
    """
    names = [name for name in trace.layers if name != INPUT]
    rates = 100 * np.array([rates_by_step(trace, name) for name in names]).reshape(len(names), trace.n_steps)
    top = rates.max(initial=0.0) or 1.0
    image = ax.imshow(rates, aspect="auto", interpolation="nearest", cmap=density_map(theme), vmin=0, vmax=top)
    ax.set_yticks(range(len(names)), map(plain, names))
    ax.set_xticks(range(0, trace.n_steps, max(1, trace.n_steps // 8)))
    ax.set_xlabel("step")
    for line, mean in enumerate(rates.mean(axis=1)):
        ax.annotate(
            f"{mean:.1f}", (1, line), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize="x-small",
        )  # fmt: skip
    ax.set_title("neurons that fire, %; mean at the right", loc="left")
    bar = ax.figure.colorbar(image, ax=ax, pad=0.12, fraction=0.05)
    bar.ax.tick_params(length=2)
    ax.evsim_rates = rates
    return ax
