"""RunPlots: the pictures of a run, each in the Axes it is given or in a new one."""

from __future__ import annotations

from collections.abc import Callable

from evsim import plots
from evsim.api.counts import Counts
from evsim.traces.trace import Trace

__all__ = ["RunPlots"]


class RunPlots:
    """Every method draws one picture and returns its Axes; `options` go to the function of `evsim.plots` it names."""

    def __init__(self, trace: Callable[[], Trace], counts: Counts) -> None:
        self._trace, self._counts = trace, counts

    def raster(self, layer: str | None = None, *, ax=None, **options):
        """Who fired when, see `evsim.plots.plot_raster`; the first population when no layer is named."""
        layer = layer or next(name for name in self._trace().layers if name != "input")
        return plots.plot_raster(_axes(ax), self._trace(), layer, **options)

    def rates(self, *, ax=None, **options):
        """Spikes per neuron and step of every population, see `evsim.plots.plot_rates`."""
        return plots.plot_rates(_axes(ax), self._trace(), **options)

    def operations(self, *, ax=None, **options):
        """One bar a layer, stacked by kind of operation, see `evsim.plots.plot_operations`."""
        counts = {row.name: row.counts for row in self._counts}
        return plots.plot_operations(_axes(ax), counts, **options)

    def attention(self, block: int = 0, *, ax=None, **options):
        """Which tokens pass the gate of a block, see `evsim.plots.plot_attention`."""
        return plots.plot_attention(_axes(ax), self._trace(), block, **options)

    def rasters(self, layers=(), **options):
        """A figure with a raster for each layer, see `evsim.plots.raster_figure`."""
        return plots.raster_figure(self._trace(), layers, **options)


def _axes(ax):
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()
