"""raster_figure: one panel a layer, input first, each with the population's rate on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from evsim.errors import EvsimError, TraceError
from evsim.plain_text import plain
from evsim.plots.panel_bars import draw_color_bars
from evsim.plots.raster import LINES_DRAWN, draw_raster, largest_density
from evsim.plots.rate_strip import plot_rate_strip, rates_by_step
from evsim.plots.room import shortened
from evsim.plots.sequence import in_sequence
from evsim.plots.sizes import Size, find_size, small_font
from evsim.plots.theme import LIGHT, Theme, drawn_with
from evsim.traces.trace import Trace

__all__ = ["SCALES", "choose_layers", "raster_figure"]

SCALES = ("shared", "panel")

_LEFT, _RIGHT, _TOP, _BOTTOM, _BAR = 0.5, 0.1, 0.06, 0.34, 0.46
_NAME, _STRIP, _NOTE, _RASTER, _GAP = 0.15, 0.17, 0.15, 0.6, 0.09
_PANEL = _NAME + _STRIP + _NOTE + _RASTER + _GAP
_TITLE, _NARROWEST = 0.25, 2.9
"""Inches in print. Places are computed, not left to a layout engine, which takes minutes for the hundred axes of a
deep net."""


def choose_layers(trace: Trace, patterns: Sequence[str]) -> list[str]:
    """Layers whose names match one of the shell patterns, in run order; all when there is no pattern.

    Raises
    ------
    TraceError
        A pattern matches nothing, or there is no layer at all.
    """
    if not trace.layers:
        raise TraceError("the trace holds no layers")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in trace.layers):
            raise TraceError(f"no layer matches {pattern!r}; the trace has {', '.join(list(trace.layers)[:6])}, ...")
    return [name for name in trace.layers if not patterns or any(fnmatchcase(name, p) for p in patterns)]


def raster_figure(
    trace: Trace, patterns: Sequence[str] = (), width: float | None = None, by: str | None = None,
    theme: Theme = LIGHT, title: str | None = None, dpi: float = 200, size: str | Size = "column",
    style: str = "auto", scale: str = "shared",
):  # fmt: skip
    """A figure of rasters; wide ones set their panels in as many paper columns as fit.

    Parameters
    ----------
    trace : Trace
    patterns : sequence of str
        Shell patterns for layer names.
    width : float, optional
        Inches; that of the size when left out.
    by : str, optional
        What to group neurons by, where a layer has such an axis; "order" puts the sequence of spikes on x.
    theme : Theme
    title : str, optional
    dpi : float
        Of the bitmap to come: no row of a density is drawn thinner than a pixel.
    size : {"column", "text", "slide"} or Size
        Fonts and heights.
    style : {"auto", "dots", "density"}
        As `plot_raster` takes it.
    scale : {"shared", "panel"}
        Whether colours and rates of all panels end at the same value, or each at its own largest.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TraceError
        A pattern matches nothing.
    EvsimError
        No such size, style or scale.
    """
    from matplotlib.figure import Figure

    if scale not in SCALES:
        raise EvsimError(f"--scale {scale}: expected {' or '.join(SCALES)}")
    size = find_size(size) if isinstance(size, str) else size
    width, unit = width or size.width, size.scale
    layers = choose_layers(trace, patterns)
    sequenced = in_sequence(trace) if by == "order" else None
    shown = trace if sequenced is None else sequenced.trace
    lines = max(8, min(LINES_DRAWN, int(_RASTER * unit * dpi)))
    groupings = {name: _grouping_for(trace, name, by) for name in layers}
    tops = {name: largest_density(shown, name, groupings[name], lines, style) for name in layers}
    look = _Look(theme, lines, style, unit, *_shared(shown, tops, scale), trace.n_steps)
    n_columns = max(1, min(int(width / (_NARROWEST * unit)), len(layers)))
    n_rows = -(-len(layers) // n_columns)
    above = _TOP + (_TITLE if title else 0)
    below = _BOTTOM + (_BAR if any(top is not None for top in tops.values()) else 0)
    height = unit * (above + n_rows * _PANEL + below)
    with drawn_with(theme, size.font):
        figure = Figure(figsize=(width, height))
        images = []
        for i, name in enumerate(layers):
            column, row = divmod(i, n_rows)
            top = height - unit * (above + row * _PANEL)
            place = _Place(figure, column * width / n_columns, width / n_columns, top, unit)
            is_last = row == n_rows - 1 or i == len(layers) - 1
            images.append(_draw_panel(place, shown, name, groupings[name], look, is_last))
            panel = figure.axes[-1]
            if sequenced is not None:
                sequenced.mark_steps(panel)
            if sequenced is not None and is_last:
                panel.set_xlabel(f"step; within it {sequenced.spikes_a_column:,} spikes a column, in their order")
        draw_color_bars(figure, images, look.most is None, unit, "step" if sequenced is None else "column")
        if title:
            figure.suptitle(title, x=0.02, y=1 - 0.06 * unit / height, ha="left", va="top")
    return figure


@dataclass(frozen=True)
class _Look:
    """What all panels have in common; `most` and `most_rate` are None where each has its own scale."""

    theme: Theme
    lines: int
    style: str
    unit: float
    most: float | None
    most_rate: float | None
    n_steps: int


def _shared(trace: Trace, tops: dict[str, float | None], scale: str) -> tuple[float | None, float | None]:
    """Largest density, and largest rate in percent, of all panels."""
    if scale == "panel":
        return None, None
    most = max((top for top in tops.values() if top is not None), default=0.0)
    return most or 1.0, 100 * max(rates_by_step(trace, name).max(initial=0.0) for name in tops) or 1.0


class _Place:
    """A panel's rectangle, in inches from the figure's lower left corner; `unit` inches are an inch in print."""

    def __init__(self, figure, left: float, width: float, top: float, unit: float) -> None:
        self._figure, self._top, self.unit = figure, top, unit
        self._left, self._width = left + _LEFT * unit, width - (_LEFT + _RIGHT) * unit

    def axes(self, down: float, tall: float):
        """Axes `tall` inches high, `down` inches below the top of the panel."""
        width, height = self._figure.get_size_inches()
        bottom = self._top - (down + tall) * self.unit
        box = (self._left / width, bottom / height, self._width / width, tall * self.unit / height)
        return self._figure.add_axes(box)

    def n_letters(self, inches_each: float, reserved: float = 0.0) -> int:
        """Letters that fit in a line, but for the inches `reserved`."""
        return max(6, int((self._width / self.unit - reserved) / inches_each))


def _draw_panel(place: _Place, trace: Trace, name: str, by: str | None, look: _Look, is_last: bool):
    """The image, if the panel shows a density."""
    strip = place.axes(_NAME, _STRIP)
    plot_rate_strip(strip, trace, name, look.theme, look.most_rate, look.n_steps)
    strip.set_title(shortened(plain(name), place.n_letters(0.0735, 0.62)), loc="left", fontweight="bold", pad=2)
    panel = place.axes(_NAME + _STRIP + _NOTE, _RASTER)
    image = draw_raster(panel, trace, name, by, look.theme, look.lines, look.style, look.most)
    panel.set_title(_note(panel, image, look, place), loc="left", fontsize=small_font(), fontweight="normal", pad=2)
    inches = panel.get_position().width * panel.figure.get_size_inches()[0]
    panel.yaxis.set_label_coords(-0.36 * look.unit / inches, 0.5)
    panel.tick_params(labelbottom=is_last)
    if not is_last:
        panel.set_xlabel("")
    return image


def _note(panel, image, look: _Look, place: _Place) -> str:
    """How the neurons are ordered; with a scale of its own, where that ends."""
    said = panel.evsim_caption
    if image is not None and look.most is None:
        said += f"; maximum {image.get_clim()[1]:.2g}"
    most = place.n_letters(0.0485)
    return said if len(said) <= most else shortened(said.partition("; ")[2], most)


def _grouping_for(trace: Trace, name: str, by: str | None) -> str | None:
    """The wish of the user where the layer has such an axis, else the layer's own default."""
    axes = trace.layers[name].axes.split(",")
    return by if by in axes or (by == "token" and {"row", "col"} <= set(axes)) else None
