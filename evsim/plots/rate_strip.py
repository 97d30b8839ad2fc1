"""The rate of a population, step by step, as a thin strip above its raster."""

from __future__ import annotations

import math

import numpy as np

from evsim.plots.sizes import small_font
from evsim.plots.theme import LIGHT, Theme
from evsim.traces.trace import Trace

__all__ = ["plot_rate_strip", "rates_by_step"]


def rates_by_step(trace: Trace, layer: str) -> np.ndarray:
    """Spikes per neuron at each step."""
    data = trace.layers[layer]
    return np.bincount(data.step, minlength=trace.n_steps) / max(1, math.prod(data.shape))


def plot_rate_strip(ax, trace: Trace, layer: str, theme: Theme = LIGHT, most: float | None = None, n_steps: int = 0):
    """Bars of the share of neurons that fired at each step, the mean over `n_steps` (those of the trace) written out.

    The axis ends at `most` percent.
    """
    rates = 100 * rates_by_step(trace, layer)
    ax.bar(range(trace.n_steps), rates, width=0.84, color=theme.spike)
    top = most or rates.max() or 1.0
    ax.set(xlim=(-0.5, trace.n_steps - 0.5), ylim=(0, 1.05 * top), xticks=[])
    ax.set_yticks([top], [f"{top:.3g} %"])
    ax.tick_params(axis="y", length=2)
    ax.set_title(
        f"mean {rates.sum() / (n_steps or trace.n_steps):.3g} %",
        loc="right",
        fontsize=small_font(),
        fontweight="normal",
        pad=2,
    )
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax
