"""plot_raster: who fired when."""

from __future__ import annotations

import numpy as np

from evsim.engine.network import INPUT
from evsim.errors import TraceError
from evsim.plots.grouping import Grouping, group_neurons
from evsim.plots.sequence import in_sequence
from evsim.plots.theme import LIGHT, Theme, density_map, polarity_map
from evsim.traces.trace import Layer, Trace

__all__ = ["LINES_DRAWN", "MOST_MARKS", "plot_raster", "raster_counts"]

MOST_MARKS = 4000
"""More spikes than this, or more neurons than `lines`, are drawn as a density."""

LINES_DRAWN = 96
"""Rows of a density image: in a panel of half an inch each still has a pixel of its own at 200 dots an inch."""


def plot_raster(ax, trace: Trace, layer: str, by: str | None = None, theme: Theme = LIGHT, lines: int = LINES_DRAWN):
    """Steps on x, neurons on y, grouped by what they are; millions of spikes become a density, and it is said.

    Parameters
    ----------
    ax : matplotlib Axes
    trace : Trace
    layer : str
        Name of a layer of the trace. Events of the input are coloured by their polarity.
    by : str, optional
        What to group neurons by, see `group_neurons`; "order" puts the sequence of spikes on x in place of steps (of
        a run without layer barriers, see `evsim.plots.sequence`).
    theme : Theme
    lines : int
        Most rows of the picture; with more neurons a row stands for several.

    Returns
    -------
    Axes
        Its attribute ``evsim_spikes_drawn`` is the number of spikes in the picture.

    Raises
    ------
    TraceError
        No such layer, a layer without neurons, or no such axis to group by.
    """
    if layer not in trace.layers:
        raise TraceError(f"the trace has no layer {layer!r}")
    if by == "order":
        sequenced = in_sequence(trace)
        plot_raster(ax, sequenced.trace, layer, None, theme, lines)
        sequenced.mark_steps(ax)
        return ax
    data = trace.layers[layer]
    grouping = group_neurons(data, by, _heads_of(trace, layer))
    polar = _shows_polarity(layer, data, grouping)
    if data.step.size <= MOST_MARKS and grouping.n_lines <= lines:
        drawn, said = _draw_marks(ax, data, grouping, theme, polar)
    else:
        drawn, said = _draw_density(ax, data, grouping, trace.n_steps, theme, lines, polar)
        said = said.replace("neuron", "place") if layer == INPUT else said
    if _is_real(data):
        said += "; real values"
    ax.evsim_spikes_drawn = drawn
    ax.set_xlim(-0.5, trace.n_steps - 0.5)
    ax.set_ylim(grouping.n_lines, 0)
    ax.set_xticks(range(0, trace.n_steps, max(1, trace.n_steps // 8)))
    _label_groups(ax, grouping, polar)
    ax.set_ylabel("polarity" if polar else grouping.by)
    ax.set_title(f"{grouping.label}; {said}", loc="left", fontsize="x-small", fontweight="normal", pad=2)
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


def _draw_marks(ax, data: Layer, grouping: Grouping, theme: Theme, polar: bool) -> tuple[int, str]:
    from matplotlib.collections import PolyCollection

    left, right, top = data.step - 0.42, data.step + 0.42, grouping.line
    corners = np.stack([[left, top], [right, top], [right, top + 1], [left, top + 1]]).transpose(2, 0, 1)
    is_off = polar & (top < grouping.group_size)
    colours = np.where(is_off, theme.off, theme.spike)
    ax.add_collection(PolyCollection(corners, facecolors=colours, edgecolor="none"))
    return data.step.size, "a mark is a spike" if data.step.size else "no spikes"


def _draw_density(
    ax, data: Layer, grouping: Grouping, n_steps: int, theme: Theme, lines: int, polar: bool
) -> tuple[int, str]:
    """OFF rows are drawn as negative densities, so that one image holds both polarities."""
    counts, per_row = raster_counts(data, grouping, n_steps, lines)
    in_row = np.minimum(per_row, grouping.n_lines - per_row * np.arange(len(counts)))[:, None]
    density = counts / in_row
    top = float(density.max()) or 1.0
    signed = np.where(np.arange(len(counts))[:, None] * per_row < grouping.group_size, -density, density)
    extent = (-0.5, n_steps - 0.5, counts.shape[0] * per_row, 0)
    ax.imshow(
        signed if polar else density, aspect="auto", interpolation="nearest", extent=extent,
        cmap=polarity_map(theme) if polar else density_map(theme), vmin=-top if polar else 0, vmax=top,
    )  # fmt: skip
    neurons = "1 neuron" if per_row == 1 else f"{per_row:,} neurons"
    said = f"strongest {top:.2g}" if data.step.size else "no spikes"
    return int(counts.sum()), f"row = {neurons}; {said}"


def _label_groups(ax, grouping: Grouping, polar: bool) -> None:
    """A tick at the middle of some groups, with their numbers."""
    every = max(1, -(-grouping.n_groups // 4))
    groups = np.arange(0, grouping.n_groups, every)
    words = ["off", "on"] if polar else [str(group) for group in groups]
    ax.set_yticks((groups + 0.5) * grouping.group_size, words)
    ax.tick_params(axis="y", length=2)


def _shows_polarity(layer: str, data: Layer, grouping: Grouping) -> bool:
    """An event camera's input has two channels, OFF and ON; an image's values are real numbers."""
    return layer == INPUT and grouping.by == "channel" and grouping.n_groups == 2 and not _is_real(data)


def _is_real(data: Layer) -> bool:
    return data.payload is not None and np.issubdtype(data.payload.dtype, np.floating)


def _heads_of(trace: Trace, layer: str) -> int | None:
    """Queries, keys and values belong to heads, as the network's hyper-parameters say how many."""
    known = trace.provenance.get("hyper_parameters")
    n_heads = known.get("n_heads") if isinstance(known, dict) else None
    is_operand = layer.rsplit(".", 1)[-1] in ("q_lif", "k_lif", "v_lif", "attn_lif")
    return n_heads if is_operand and type(n_heads) is int and n_heads > 0 else None
