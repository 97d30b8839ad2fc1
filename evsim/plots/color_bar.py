"""A colour bar with a label and a unit, which belongs to its Axes: it goes where they go, in every layout."""

from __future__ import annotations

from evsim.plots.room import in_lines, inches_of
from evsim.plots.sizes import small_font

__all__ = ["add_color_bar"]

_WIDTH, _GAP = 6.0, 5.0
"""Points."""


def add_color_bar(ax, image, label: str, ticks=None, words=None, gap: float = _GAP, extend: str = "neither"):
    """At the right of `ax`, as high as they are.

    Parameters
    ----------
    ax : matplotlib Axes
    image : matplotlib ScalarMappable
    label : str
        What the colours stand for, with its unit. Where the Axes are too low for a line, it takes two.
    ticks : sequence of float, optional
    words : sequence of str, optional
        In place of the ticks' numbers.
    gap : float
        Points between Axes and bar.
    extend : {"neither", "both", "max"}

    Returns
    -------
    matplotlib Colorbar
    """
    size = small_font()
    place = ax.inset_axes((1.03, 0, 0.04, 1))
    place.set_axes_locator(_beside(ax, gap))
    bar = ax.figure.colorbar(image, cax=place, extend=extend)
    if ticks is not None:
        bar.set_ticks(ticks, labels=words)
    bar.ax.tick_params(length=2, pad=2, labelsize=size)
    bar.set_label(in_lines(label, 72 * inches_of(ax)[1] / (0.55 * size)), fontsize=size, labelpad=2)
    bar.outline.set_linewidth(0.5)
    ax.evsim_color_bar = bar
    return bar


def _beside(ax, gap: float):
    """Where the bar stands, whatever becomes of the Axes until they are drawn."""

    def locate(place, renderer):
        from matplotlib.transforms import Bbox

        box, figure = ax.get_position(), ax.figure.bbox
        point = ax.figure.dpi / 72 / figure.width
        left = box.x1 + gap * point
        return Bbox.from_extents(left, box.y0, left + _WIDTH * point, box.y1)

    return locate
