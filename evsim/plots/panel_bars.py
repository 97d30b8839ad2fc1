"""The colour bars of a figure of rasters: one for spikes, one for the two polarities of the input, at its foot."""

from __future__ import annotations

from collections.abc import Sequence

from evsim.plots.raster import scale_ticks
from evsim.plots.sizes import small_font

__all__ = ["draw_color_bars"]

_LEFT, _RIGHT, _GAP = 0.5, 0.1, 0.45
_UP, _TALL = 0.3, 0.06
"""Inches in print."""


def draw_color_bars(figure, images: Sequence, is_own_scale: bool, unit: float, moment: str = "step") -> None:
    """At most two bars, side by side, with label and unit.

    Parameters
    ----------
    figure : matplotlib Figure
    images : sequence of (matplotlib AxesImage or None)
        Of all panels.
    is_own_scale : bool
        Each panel ends at its own maximum; the bar then shows parts of it.
    unit : float
        Inches of the figure that are an inch in print.
    moment : str
        What a column of the panels is.
    """
    found: dict[str, object] = {}
    for image in images:
        if image is not None:
            found.setdefault("polar" if image.get_clim()[0] < 0 else "spikes", image)
    width, height = figure.get_size_inches()
    inches = min((width - unit * (_LEFT + _RIGHT + _GAP * (len(found) - 1))) / max(1, len(found)), 2.4 * unit)
    for i, (kind, image) in enumerate(found.items()):
        left = unit * _LEFT + i * (inches + unit * _GAP)
        box = (left / width, unit * _UP / height, inches / width, unit * _TALL / height)
        _draw_bar(figure, figure.add_axes(box), image, kind, is_own_scale, moment)


def _draw_bar(figure, place, image, kind: str, is_own_scale: bool, moment: str) -> None:
    unit = f"events per place and {moment}" if kind == "polar" else f"spikes per neuron and {moment}"
    bar = figure.colorbar(image, cax=place, orientation="horizontal")
    ticks = scale_ticks(image)
    if is_own_scale:
        low, top = image.get_clim()
        unit = f"{unit}, parts of\nthe panel's maximum"
        words = ["1 off", "0", "1 on"] if low < 0 else ["0", "0.5", "1"]
        ticks = {"ticks": [low, (low + top) / 2, top], "words": words}
    bar.set_ticks(ticks["ticks"], labels=ticks["words"])
    bar.ax.tick_params(length=2, pad=1.5, labelsize=small_font())
    bar.set_label(unit, fontsize=small_font(), labelpad=1)
    bar.outline.set_linewidth(0.5)
