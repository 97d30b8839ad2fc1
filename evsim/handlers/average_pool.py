"""Means over windows: of spikes (AveragePool) and of real currents (CurrentAveragePool)."""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.errors import NetworkError
from evsim.handlers.projections.fixed_map import FixedMap, Links
from evsim.handlers.projections.real_map import RealMap
from evsim.handlers.projections.window_links import links_of_taps
from evsim.handlers.window import Window

__all__ = ["AveragePool", "CurrentAveragePool"]

Means = tuple[Links, np.ndarray]
"""Weights that are all one, and what each sum is divided by."""


class AveragePool(FixedMap):
    """X[y, x, c] += (sum of the events of channel c in the window) / divisor: one addition an event, one scaling a sum.

    Parameters
    ----------
    name : str
    window : Window
    n_channels : int
    current : Current or None
        [out_height * out_width, n_channels]. None: the sums leave as spikes, in units of 1 / divisor.
    count_padding : bool
        Whether the padding counts as zeros (PyTorch's `count_include_pad`).
    divisor : int, optional
        In place of the number of values (PyTorch's `divisor_override`).

    Raises
    ------
    NetworkError
        The sizes do not fit, or sums should leave as spikes and are divided by different numbers.

    Incs `current` if it has one, reads nothing but its inbox.
    """

    def __init__(
        self,
        name: str,
        window: Window,
        n_channels: int,
        current: Current | None,
        count_padding: bool = True,
        divisor: int | None = None,
    ) -> None:
        links, divisors = _window_means(name, window, count_padding, divisor)
        super().__init__(name, links, n_channels, current, divisors)

    @classmethod
    def adaptive(
        cls, name: str, shape: tuple[int, int], out: tuple[int, int], n_channels: int, current: Current | None
    ) -> AveragePool:
        """Output row y is the mean of rows floor(y H / H_out) to ceil((y + 1) H / H_out), and so for columns.

        Parameters
        ----------
        name : str
        shape, out : (int, int)
            Rows and columns of the input and of the output.
        n_channels, current
            As above.
        """
        pool = cls.__new__(cls)
        links, divisors = _adaptive_means(name, shape, out)
        FixedMap.__init__(pool, name, links, n_channels, current, divisors)
        return pool


class CurrentAveragePool(RealMap):
    """target[y, x, c] += mean over the window of the real-valued current of channel c.

    Parameters
    ----------
    name : str
    window : Window
    source, target : Current
        [height * width, n_channels] and [out_height * out_width, n_channels].
    count_padding, divisor
        As in `AveragePool`.

    Incs `target`, reads `source`.
    """

    def __init__(
        self,
        name: str,
        window: Window,
        source: Current,
        target: Current,
        count_padding: bool = True,
        divisor: int | None = None,
    ) -> None:
        links, divisors = _window_means(name, window, count_padding, divisor)
        super().__init__(name, links, source.n_channels, source, target, divisors)

    @classmethod
    def adaptive(
        cls, name: str, shape: tuple[int, int], out: tuple[int, int], source: Current, target: Current
    ) -> CurrentAveragePool:
        """As `AveragePool.adaptive`."""
        pool = cls.__new__(cls)
        links, divisors = _adaptive_means(name, shape, out)
        RealMap.__init__(pool, name, links, source.n_channels, source, target, divisors)
        return pool


def _window_means(name: str, window: Window, count_padding: bool, divisor: int | None) -> Means:
    sizes = (_sizes(window, axis, count_padding) for axis in (0, 1))
    divisors = np.outer(*sizes).reshape(-1)
    if divisor is not None:
        divisors = np.full(divisors.size, divisor)
    return _means(name, (window.height, window.width), (window.taps(0), window.taps(1)), divisors)


def _adaptive_means(name: str, shape: tuple[int, int], out: tuple[int, int]) -> Means:
    if min(*shape, *out) < 1:
        raise NetworkError(f"{name}: means of {shape} places as {out}, expected at least one of each")
    taps = tuple(
        [list(range(i * n // n_out, -((-(i + 1) * n) // n_out))) for i in range(n_out)]
        for n, n_out in zip(shape, out, strict=True)
    )
    return _means(name, shape, taps, np.outer(*([len(places) for places in axis] for axis in taps)).reshape(-1))


def _means(name: str, shape: tuple[int, int], taps: tuple, divisors: np.ndarray) -> Means:
    if divisors.min(initial=1) < 1:
        raise NetworkError(f"{name}: a mean over {divisors.min()} values, expected at least one")
    return links_of_taps(taps, shape), divisors


def _sizes(window: Window, axis: int, count_padding: bool) -> list[int]:
    """Values that each output row (or column) is a mean of; a last window may reach beyond the padding."""
    if not count_padding:
        return [len(places) for places in window.taps(axis)]
    size = (window.height, window.width)[axis]
    kernel, stride, padding = window.kernels[axis], window.strides[axis], window.paddings[axis]
    origins = (out * stride - padding for out in range(len(window.taps(axis))))
    return [min(origin + kernel, size + padding) - origin for origin in origins]
