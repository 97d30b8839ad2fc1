"""raster_figure: one panel a layer, input first, each with the population's rate on top."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from evsim.errors import TraceError
from evsim.plots.raster import plot_raster
from evsim.plots.rate_strip import plot_rate_strip
from evsim.plots.theme import LIGHT, Theme, drawn_with
from evsim.trace import Trace

__all__ = ["choose_layers", "raster_figure"]

_PANEL_INCHES = 1.05
_COLUMN_INCHES = 3.5


def choose_layers(trace: Trace, patterns: Sequence[str]) -> list[str]:
    """Layers whose names match one of the shell patterns, in run order; all when there is no pattern.

    Raises
    ------
    TraceError
        A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in trace.layers):
            raise TraceError(f"no layer matches {pattern!r}; the trace has {', '.join(list(trace.layers)[:6])}, ...")
    return [name for name in trace.layers if not patterns or any(fnmatchcase(name, p) for p in patterns)]


def raster_figure(
    trace: Trace, patterns: Sequence[str] = (), width: float = _COLUMN_INCHES, by: str | None = None,
    theme: Theme = LIGHT, title: str | None = None,
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
        What to group neurons by, where a layer has such an axis.
    theme : Theme
    title : str, optional

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    layers = choose_layers(trace, patterns)
    n_columns = max(1, min(int(width / (_COLUMN_INCHES - 0.2)), len(layers)))
    n_rows = -(-len(layers) // n_columns)
    with drawn_with(theme):
        figure = Figure(figsize=(width, 0.5 + n_rows * _PANEL_INCHES), layout="constrained")
        columns = figure.subfigures(1, n_columns, squeeze=False)[0]
        for i, column in enumerate(columns):
            part = layers[i * n_rows : (i + 1) * n_rows]
            if part:
                _draw_column(column, trace, part, n_rows, by, theme)
        if title:
            figure.suptitle(title)
    return figure


def _draw_column(column, trace: Trace, layers: Sequence[str], n_rows: int, by: str | None, theme: Theme) -> None:
    grid = column.add_gridspec(2 * n_rows, 1, height_ratios=[0.28, 1] * n_rows)
    for i, name in enumerate(layers):
        strip = column.add_subplot(grid[2 * i])
        plot_rate_strip(strip, trace, name, theme)
        strip.set_title(name, loc="left", fontweight="bold", pad=2)
        panel = column.add_subplot(grid[2 * i + 1])
        plot_raster(panel, trace, name, _grouping_for(trace, name, by), theme)
        if i < len(layers) - 1:
            panel.tick_params(labelbottom=False)
    panel.set_xlabel("step")


def _grouping_for(trace: Trace, name: str, by: str | None) -> str | None:
    """The wish of the user where the layer has such an axis, else the layer's own default."""
    axes = trace.layers[name].axes.split(",")
    return by if by in axes or (by == "token" and {"row", "col"} <= set(axes)) else None
