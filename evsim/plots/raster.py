"""plot_raster: who fired when."""

from __future__ import annotations

import numpy as np

from evsim.plots.grouping import Grouping, group_neurons
from evsim.plots.theme import LIGHT, Theme, density_map
from evsim.trace import Layer, Trace

__all__ = ["MOST_MARKS", "plot_raster", "raster_counts"]

MOST_MARKS = 4000
"""More spikes than this, or more lines than the panel has room for, are drawn as a density."""

_LINES_DRAWN = 240


def plot_raster(ax, trace: Trace, layer: str, by: str | None = None, theme: Theme = LIGHT, lines: int = _LINES_DRAWN):
    """Steps on x, neurons on y, grouped by what they are; millions of spikes become a density, and it is said.

    Parameters
    ----------
    ax : matplotlib Axes
    trace : Trace
    layer : str
        Name of a layer of the trace.
    by : str, optional
        What to group neurons by, see `group_neurons`.
    theme : Theme
    lines : int
        Rows of the density image when not every neuron has a line of its own.

    Returns
    -------
    Axes
        Its attribute ``evsim_spikes_drawn`` is the number of spikes in the picture.
    """
    data = trace.layers[layer]
    grouping = group_neurons(data, by, _heads_of(trace, layer))
    if data.step.size <= MOST_MARKS and grouping.n_lines <= lines:
        drawn, said = _draw_marks(ax, data, grouping, theme)
    else:
        drawn, said = _draw_density(ax, data, grouping, trace.n_steps, theme, lines)
    ax.evsim_spikes_drawn = drawn
    ax.set_xlim(-0.5, trace.n_steps - 0.5)
    ax.set_ylim(grouping.n_lines, 0)
    ax.set_xticks(range(0, trace.n_steps, max(1, trace.n_steps // 8)))
    _label_groups(ax, grouping)
    ax.set_ylabel(grouping.by)
    note = f"{grouping.label}; {said}"
    ax.text(1.0, 1.02, note, transform=ax.transAxes, ha="right", va="bottom", fontsize="x-small")
    return ax


def raster_counts(data: Layer, grouping: Grouping, n_steps: int, lines: int) -> tuple[np.ndarray, int]:
    """Spikes [n_rows, n_steps], and the number of neurons a row stands for.

    A row is a whole number of groups, or a group is a whole number of rows, so that a row never mixes parts.
    """
    per_row = _neurons_a_row(grouping, lines)
    n_rows = -(-grouping.n_lines // per_row)
    flat = (grouping.line // per_row) * n_steps + data.step
    return np.bincount(flat, minlength=n_rows * n_steps).reshape(n_rows, n_steps), per_row


def _neurons_a_row(grouping: Grouping, lines: int) -> int:
    if grouping.n_lines <= lines:
        return 1
    if grouping.n_groups > lines:
        return grouping.group_size * -(-grouping.n_groups // lines)
    rows_a_group = max(1, lines // grouping.n_groups)
    divisors = [n for n in range(1, min(rows_a_group, grouping.group_size) + 1) if grouping.group_size % n == 0]
    return grouping.group_size // divisors[-1]


def _draw_marks(ax, data: Layer, grouping: Grouping, theme: Theme) -> tuple[int, str]:
    from matplotlib.collections import PolyCollection

    left, right, top = data.step - 0.42, data.step + 0.42, grouping.line
    corners = np.stack([[left, top], [right, top], [right, top + 1], [left, top + 1]]).transpose(2, 0, 1)
    ax.add_collection(PolyCollection(corners, facecolor=theme.spike, edgecolor="none"))
    return data.step.size, "a mark is a spike"


def _draw_density(ax, data: Layer, grouping: Grouping, n_steps: int, theme: Theme, lines: int) -> tuple[int, str]:
    counts, per_row = raster_counts(data, grouping, n_steps, lines)
    density = counts / per_row
    top = float(density.max()) or 1.0
    extent = (-0.5, n_steps - 0.5, counts.shape[0] * per_row, 0)
    ax.imshow(density, aspect="auto", interpolation="nearest", extent=extent, cmap=density_map(theme), vmin=0, vmax=top)
    neurons = "a neuron" if per_row == 1 else f"{per_row:,} neurons"
    return int(counts.sum()), f"a row is {neurons}; darkest = {top:.2g} spikes per neuron and step"


def _label_groups(ax, grouping: Grouping) -> None:
    """A tick at the middle of some groups, with their numbers."""
    every = max(1, -(-grouping.n_groups // 4))
    groups = np.arange(0, grouping.n_groups, every)
    ax.set_yticks((groups + 0.5) * grouping.group_size, [str(group) for group in groups])
    ax.tick_params(axis="y", length=2)


def _heads_of(trace: Trace, layer: str) -> int | None:
    """Queries, keys and values belong to heads, as the network's hyper-parameters say how many."""
    is_operand = layer.rsplit(".", 1)[-1] in ("q_lif", "k_lif", "v_lif", "attn_lif")
    return trace.provenance.get("hyper_parameters", {}).get("n_heads") if is_operand else None
