"""AveragePool: means over windows of spikes, a convolution of fixed weights that are all one."""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.errors import NetworkError
from evsim.handlers.projections.fixed_map import FixedMap, Links
from evsim.handlers.window import Window

__all__ = ["AveragePool"]


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
        rows, columns = (_sizes(window, axis, count_padding) for axis in (0, 1))
        sizes = np.outer(rows, columns).reshape(-1)
        divisors = sizes if divisor is None else np.full(sizes.size, divisor)
        self._join(name, (window.height, window.width), (window.taps(0), window.taps(1)), n_channels, current, divisors)

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
        taps = tuple(
            [list(range(i * n // n_out, -((-(i + 1) * n) // n_out))) for i in range(n_out)]
            for n, n_out in zip(shape, out, strict=True)
        )
        sizes = np.outer(*([len(places) for places in axis] for axis in taps)).reshape(-1)
        pool = cls.__new__(cls)
        pool._join(name, shape, taps, n_channels, current, sizes)
        return pool

    def _join(self, name, shape, taps, n_channels, current, divisors) -> None:
        height, width = shape
        if min(divisors, default=1) < 1:
            raise NetworkError(f"{name}: a mean over {min(divisors)} values, expected at least one")
        rows, columns = (_pairs(axis) for axis in taps)
        source = (rows[1][:, None] * width + columns[1]).reshape(-1)
        target = (rows[0][:, None] * len(taps[1]) + columns[0]).reshape(-1)
        links = Links.of(source, target, np.ones(source.size), height * width, len(taps[0]) * len(taps[1]))
        super().__init__(name, links, n_channels, current, divisors)


def _pairs(taps: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(output, input) of every tap along one axis."""
    pairs = [(out, place) for out, places in enumerate(taps) for place in places]
    return tuple(np.array(pairs, np.int64).reshape(-1, 2).T)


def _sizes(window: Window, axis: int, count_padding: bool) -> list[int]:
    """Values that each output row (or column) is a mean of; a last window may reach beyond the padding."""
    if not count_padding:
        return [len(places) for places in window.taps(axis)]
    size = (window.height, window.width)[axis]
    kernel, stride, padding = window.kernels[axis], window.strides[axis], window.paddings[axis]
    origins = (out * stride - padding for out in range(len(window.taps(axis))))
    return [min(origin + kernel, size + padding) - origin for origin in origins]
