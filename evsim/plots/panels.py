"""raster_figure: one panel a layer, input first, each with the population's rate on top."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from evsim.errors import TraceError
from evsim.plots.raster import LINES_DRAWN, plot_raster
from evsim.plots.rate_strip import plot_rate_strip
from evsim.plots.sequence import in_sequence
from evsim.plots.theme import LIGHT, Theme, drawn_with
from evsim.traces.trace import Trace

__all__ = ["choose_layers", "raster_figure"]

_COLUMN = 3.5
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.5, 0.1, 0.06, 0.34
_NAME, _STRIP, _NOTE, _RASTER, _GAP = 0.15, 0.17, 0.15, 0.6, 0.09
_PANEL = _NAME + _STRIP + _NOTE + _RASTER + _GAP
_TITLE = 0.25
"""Inches. Places are computed, not left to a layout engine, which takes minutes for the hundred axes of a deep net."""


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
    trace: Trace, patterns: Sequence[str] = (), width: float = _COLUMN, by: str | None = None,
    theme: Theme = LIGHT, title: str | None = None, dpi: float = 200,
):  # fmt: skip
    """A figure of rasters; wide ones set their panels in as many paper columns as fit.

    Parameters
    ----------
    trace : Trace
    patterns : sequence of str
        Shell patterns for layer names.
    width : float
        Inches.
    by : str, optional
        What to group neurons by, where a layer has such an axis; "order" puts the sequence of spikes on x.
    theme : Theme
    title : str, optional
    dpi : float
        Of the bitmap to come: no row of a density is drawn thinner than a pixel.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    layers = choose_layers(trace, patterns)
    sequenced = in_sequence(trace) if by == "order" else None
    shown = trace if sequenced is None else sequenced.trace
    n_columns = max(1, min(int(width / (_COLUMN - 0.2)), len(layers)))
    n_rows = -(-len(layers) // n_columns)
    top = _TOP + (_TITLE if title else 0)
    height = top + n_rows * _PANEL + _BOTTOM
    lines = max(8, min(LINES_DRAWN, int(_RASTER * dpi)))
    with drawn_with(theme):
        figure = Figure(figsize=(width, height))
        for i, name in enumerate(layers):
            column, row = divmod(i, n_rows)
            place = _Place(figure, column * width / n_columns, width / n_columns, height - top - row * _PANEL)
            is_last = row == n_rows - 1 or i == len(layers) - 1
            panel = _draw_panel(place, shown, name, _grouping_for(trace, name, by), theme, lines, is_last)
            if sequenced is not None:
                sequenced.mark_steps(panel)
            if sequenced is not None and is_last:
                panel.set_xlabel(f"step; within it {sequenced.spikes_a_column:,} spikes a column, in their order")
        if title:
            figure.suptitle(title, x=0.02, y=1 - 0.06 / height, ha="left", va="top")
    return figure


class _Place:
    """A panel's rectangle, in inches from the figure's lower left corner."""

    def __init__(self, figure, left: float, width: float, top: float) -> None:
        self._figure, self._left, self._width, self._top = figure, left + _LEFT, width - _LEFT - _RIGHT, top

    def axes(self, down: float, tall: float):
        """Axes `tall` inches high, `down` inches below the top of the panel."""
        width, height = self._figure.get_size_inches()
        bottom = self._top - down - tall
        return self._figure.add_axes((self._left / width, bottom / height, self._width / width, tall / height))

    @property
    def n_characters(self) -> int:
        """Bold characters that fit beside the mean rate."""
        return max(6, int((self._width - 0.62) / 0.0735))


def _draw_panel(place: _Place, trace: Trace, name: str, by: str | None, theme: Theme, lines: int, is_last: bool):
    """A layer's strip and raster; returns the Axes of the latter."""
    strip = place.axes(_NAME, _STRIP)
    plot_rate_strip(strip, trace, name, theme)
    strip.set_title(_shortened(name, place.n_characters), loc="left", fontweight="bold", pad=2)
    panel = place.axes(_NAME + _STRIP + _NOTE, _RASTER)
    plot_raster(panel, trace, name, by, theme, lines)
    panel.yaxis.set_label_coords(-0.36 / panel.get_position().width / panel.figure.get_size_inches()[0], 0.5)
    panel.tick_params(labelbottom=is_last)
    if is_last:
        panel.set_xlabel("step")
    return panel


def _shortened(name: str, most: int) -> str:
    """The end of a name tells more than its middle."""
    return name if len(name) <= most else f"{name[: most // 3]}\u2026{name[len(name) - most + most // 3 + 1 :]}"


def _grouping_for(trace: Trace, name: str, by: str | None) -> str | None:
    """The wish of the user where the layer has such an axis, else the layer's own default."""
    axes = trace.layers[name].axes.split(",")
    return by if by in axes or (by == "token" and {"row", "col"} <= set(axes)) else None
