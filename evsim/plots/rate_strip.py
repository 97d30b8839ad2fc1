"""The rate of a population, step by step, as a thin strip above its raster."""

from __future__ import annotations

import numpy as np

from evsim.plots.theme import LIGHT, Theme
from evsim.trace import Trace

__all__ = ["plot_rate_strip", "rates_by_step"]


def rates_by_step(trace: Trace, layer: str) -> np.ndarray:
    """Spikes per neuron at each step."""
    data = trace.layers[layer]
    return np.bincount(data.step, minlength=trace.n_steps) / np.prod(data.shape)


def plot_rate_strip(ax, trace: Trace, layer: str, theme: Theme = LIGHT):
    """Bars of the share of neurons that fired at each step, in percent; the mean is written beside them."""
    rates = 100 * rates_by_step(trace, layer)
    ax.bar(range(trace.n_steps), rates, width=0.9, color=theme.spike)
    top = rates.max() or 1.0
    ax.set(xlim=(-0.5, trace.n_steps - 0.5), ylim=(0, 1.05 * top), xticks=[], yticks=[])
    note = f"rate: mean {rates.mean():.3g} %, largest {rates.max():.3g} %"
    ax.text(1.0, 1.02, note, transform=ax.transAxes, ha="right", va="bottom", fontsize="x-small")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax
