"""Where the values of a product go in a current."""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.errors import NetworkError
from evsim.handlers.views.address_map import AddressMap

__all__ = ["result_table"]


def result_table(name: str, result: AddressMap | None, n_results: int, current: Current) -> np.ndarray:
    """The address in `current` of each value of a product, int32 [n_results]; empty where it is the value's own place.

    Raises
    ------
    NetworkError
        The map does not fit, drops a value or writes it twice.
    """
    n_places = current.n_places * current.n_channels
    if result is None and n_results == n_places:
        return np.empty(0, np.int32)
    if result is None or (result.n_sources, result.n_targets) != (n_results, n_places):
        found = n_results if result is None else (result.n_sources, result.n_targets)
        raise NetworkError(f"{name}: {n_results} products go to {found} places, its current has {n_places}")
    if result.is_identity:
        return np.empty(0, np.int32)
    if result.target.size != n_results or result.fan_out > 1:
        raise NetworkError(f"{name}: {result.target.size} places for {n_results} products, expected one for each")
    return result.target
