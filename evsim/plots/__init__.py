"""Pictures of a run: each ``plot_*`` draws into the Axes it is given and returns it."""

from __future__ import annotations

import importlib

_WHERE = {
    "embedded_fonts": "theme",
    "plot_attention": "attention",
    "plot_conventions": "operations",
    "plot_decision": "decision",
    "plot_energy": "energy",
    "plot_events": "events",
    "plot_operations": "operations",
    "plot_raster": "raster",
    "plot_rates": "rates",
    "raster_figure": "panels",
}
__all__ = list(_WHERE)


def __getattr__(name: str):
    """matplotlib is imported when a picture is asked for, not before."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"evsim.plots.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'evsim.plots' has no attribute {name!r}")
