"""Which output places see which input places: a window as weights that are all one."""

from __future__ import annotations

import numpy as np

from evsim.handlers.projections.fixed_map import Links
from evsim.handlers.window import Window

__all__ = ["links_of_taps", "window_links"]

Taps = list[list[int]]
"""For each output row (or column) the input rows it sees."""


def window_links(window: Window) -> Links:
    """From each input pixel to the output pixels whose kernel sees it."""
    return links_of_taps((window.taps(0), window.taps(1)), (window.height, window.width))


def links_of_taps(taps: tuple[Taps, Taps], shape: tuple[int, int]) -> Links:
    """The same from the taps of rows and of columns, and the rows and columns of the input."""
    rows, columns = (_pairs(axis) for axis in taps)
    source = (rows[1][:, None] * shape[1] + columns[1]).reshape(-1)
    target = (rows[0][:, None] * len(taps[1]) + columns[0]).reshape(-1)
    return Links.of(source, target, np.ones(source.size), shape[0] * shape[1], len(taps[0]) * len(taps[1]))


def _pairs(taps: Taps) -> tuple[np.ndarray, np.ndarray]:
    """(output, input) of every tap along one axis."""
    pairs = [(out, place) for out, places in enumerate(taps) for place in places]
    return tuple(np.array(pairs, np.int64).reshape(-1, 2).T)
