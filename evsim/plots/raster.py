"""plot_raster: who fired when."""

from __future__ import annotations

import numpy as np

from evsim.engine.network import INPUT
from evsim.errors import EvsimError, TraceError
from evsim.plain_text import plain
from evsim.plots.color_bar import add_color_bar
from evsim.plots.grouping import Grouping, group_neurons
from evsim.plots.room import keep_in_slot
from evsim.plots.sequence import in_sequence
from evsim.plots.theme import LIGHT, Theme, density_map, polarity_map
from evsim.traces.trace import Layer, Trace

__all__ = [
    "LINES_DRAWN",
    "MOST_MARKS",
    "STYLES",
    "draw_raster",
    "largest_density",
    "plot_raster",
    "raster_counts",
    "scale_ticks",
]

MOST_MARKS = 4000
"""More spikes than this, or more neurons than `lines`, are drawn as a density unless dots are asked for."""

LINES_DRAWN = 96
"""Rows of a density image: in a panel of half an inch each still has a pixel of its own at 200 dots an inch."""

STYLES = ("auto", "dots", "density")

_MOST_VECTOR_DOTS = 20_000
"""More dots are drawn as a bitmap inside a PDF or SVG."""


def plot_raster(
    ax, trace: Trace, layer: str, by: str | None = None, theme: Theme = LIGHT, lines: int = LINES_DRAWN,
    style: str = "auto", most: float | None = None,
):  # fmt: skip
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
        Most rows of a density; with more neurons a row stands for several.
    style : {"auto", "dots", "density"}
        Dots: one for each spike, at its step and neuron, however many there are. Density: the mean over the neurons
        of a row. Auto: a mark as wide as the step for each spike, or a density when there are too many.
    most : float, optional
        Density at the dark end of the colours, to share them with another picture; else the largest drawn.

    Returns
    -------
    Axes
        Its attribute ``evsim_spikes_drawn`` is the number of spikes in the picture, ``evsim_caption`` says how the
        neurons are ordered and what a row is.

    Raises
    ------
    TraceError
        No such layer, a layer without neurons, or no such axis to group by.
    EvsimError
        No such style.
    """
    if by == "order":
        sequenced = in_sequence(trace)
        image, moment = draw_raster(ax, sequenced.trace, layer, None, theme, lines, style, most), "column"
        sequenced.mark_steps(ax)
    else:
        image, moment = draw_raster(ax, trace, layer, by, theme, lines, style, most), "step"
    if image is not None:
        unit = f"events per place and {moment}" if layer == INPUT else f"spikes per neuron and {moment}"
        add_color_bar(ax, image, f"{unit}\n{ax.evsim_row}", **scale_ticks(image))
    keep_in_slot(ax)
    return ax


def scale_ticks(image) -> dict:
    """Ticks of a colour bar and their words, the ends of the scale among them."""
    low, top = image.get_clim()
    if low < 0:
        return {"ticks": [low, 0, top], "words": [f"{top:.2g} off", "0", f"{top:.2g} on"]}
    return {"ticks": [0, top / 2, top], "words": ["0", f"{top / 2:.2g}", f"{top:.2g}"]}


def draw_raster(
    ax, trace: Trace, layer: str, by: str | None, theme: Theme, lines: int, style: str = "auto",
    most: float | None = None,
):  # fmt: skip
    """As `plot_raster` without a colour bar; the image of a density, else None."""
    if style not in STYLES:
        raise EvsimError(f"--style {style}: expected {', '.join(STYLES)}")
    data, grouping = _grouped(trace, layer, by)
    polar = _shows_polarity(layer, data, grouping)
    image = None
    if _is_density(data, grouping, lines, style):
        image, said = _draw_density(ax, data, grouping, trace.n_steps, theme, lines, polar, most)
        said = ax.evsim_row = said.replace("neuron", "place") if layer == INPUT else said
    elif style == "dots":
        said = _draw_dots(ax, data, grouping, theme, polar)
    else:
        said = _draw_marks(ax, data, grouping, theme, polar)
    ax.evsim_spikes_drawn = data.step.size
    ax.evsim_caption = f"{grouping.label}{'; real values' if _is_real(data) else ''}; {said}"
    ax.set_xlim(-0.5, trace.n_steps - 0.5)
    ax.set_ylim(grouping.n_lines, 0)
    ax.set_xticks(range(0, trace.n_steps, max(1, trace.n_steps // 8)))
    ax.set_xlabel("step")
    _label_groups(ax, grouping, polar)
    ax.set_ylabel("polarity" if polar else plain(grouping.by))
    return image


def largest_density(trace: Trace, layer: str, by: str | None, lines: int, style: str = "auto") -> float | None:
    """The largest density in the raster of a layer, or None where it shows no density."""
    data, grouping = _grouped(trace, layer, by)
    if not _is_density(data, grouping, lines, style):
        return None
    return float(_densities(data, grouping, trace.n_steps, lines)[0].max())


def raster_counts(data: Layer, grouping: Grouping, n_steps: int, lines: int) -> tuple[np.ndarray, int]:
    """Spikes [n_rows, n_steps], and the number of neurons a row stands for.

    A row is a whole number of groups, or a group is a whole number of rows, so that a row never mixes parts.
    """
    per_row = _neurons_a_row(grouping, lines)
    n_rows = -(-grouping.n_lines // per_row)
    flat = (grouping.line // per_row) * n_steps + data.step
    return np.bincount(flat, minlength=n_rows * n_steps).reshape(n_rows, n_steps), per_row


def _grouped(trace: Trace, layer: str, by: str | None) -> tuple[Layer, Grouping]:
    if layer not in trace.layers:
        raise TraceError(f"the trace has no layer {layer!r}")
    data = trace.layers[layer]
    return data, group_neurons(data, by, _heads_of(trace, layer))


def _is_density(data: Layer, grouping: Grouping, lines: int, style: str) -> bool:
    is_small = data.step.size <= MOST_MARKS and grouping.n_lines <= lines
    return style == "density" or (style == "auto" and not is_small)


def _neurons_a_row(grouping: Grouping, lines: int) -> int:
    if grouping.n_lines <= lines:
        return 1
    if grouping.n_groups > lines:
        return grouping.group_size * -(-grouping.n_groups // lines)
    rows_a_group = max(1, lines // grouping.n_groups)
    divisors = [n for n in range(1, min(rows_a_group, grouping.group_size) + 1) if grouping.group_size % n == 0]
    return grouping.group_size // divisors[-1]


def _draw_marks(ax, data: Layer, grouping: Grouping, theme: Theme, polar: bool) -> str:
    from matplotlib.collections import PolyCollection

    left, right, top = data.step - 0.42, data.step + 0.42, grouping.line
    corners = np.stack([[left, top], [right, top], [right, top + 1], [left, top + 1]]).transpose(2, 0, 1)
    colours = _colours(grouping, theme, polar)
    ax.add_collection(PolyCollection(corners, facecolors=colours, edgecolor="none"))
    return "a mark is a spike" if data.step.size else "no spikes"


def _draw_dots(ax, data: Layer, grouping: Grouping, theme: Theme, polar: bool) -> str:
    ax.scatter(
        data.step, grouping.line + 0.5, s=1.2, c=_colours(grouping, theme, polar), marker="o", linewidths=0,
        rasterized=data.step.size > _MOST_VECTOR_DOTS,
    )  # fmt: skip
    return "a dot is a spike" if data.step.size else "no spikes"


def _colours(grouping: Grouping, theme: Theme, polar: bool) -> np.ndarray | str:
    return np.where(grouping.line < grouping.group_size, theme.off, theme.spike) if polar else theme.spike


def _densities(data: Layer, grouping: Grouping, n_steps: int, lines: int) -> tuple[np.ndarray, int]:
    """Spikes per neuron and step [n_rows, n_steps], and the neurons a row stands for; the last row may have fewer."""
    counts, per_row = raster_counts(data, grouping, n_steps, lines)
    in_row = np.minimum(per_row, grouping.n_lines - per_row * np.arange(len(counts)))[:, None]
    return counts / in_row, per_row


def _draw_density(
    ax, data: Layer, grouping: Grouping, n_steps: int, theme: Theme, lines: int, polar: bool, most: float | None
) -> tuple[object, str]:
    """OFF rows are drawn as negative densities, so that one image holds both polarities."""
    density, per_row = _densities(data, grouping, n_steps, lines)
    top = most or float(density.max()) or 1.0
    signed = np.where(np.arange(len(density))[:, None] * per_row < grouping.group_size, -density, density)
    extent = (-0.5, n_steps - 0.5, len(density) * per_row, 0)
    image = ax.imshow(
        signed if polar else density, aspect="auto", interpolation="nearest", extent=extent,
        cmap=polarity_map(theme) if polar else density_map(theme), vmin=-top if polar else 0, vmax=top,
    )  # fmt: skip
    neurons = "1 neuron" if per_row == 1 else f"{per_row:,} neurons"
    return image, f"{neurons} a row" + ("" if data.step.size else "; no spikes")


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
