"""The spikes of one step, grouped by the pixel they stand on."""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel

__all__ = ["index_by_pixel"]


def index_by_pixel(address: np.ndarray, n_pixels: int, n_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted addresses as compressed rows: the channels active at pixel p are ``channel[start[p]:start[p + 1]]``.

    Parameters
    ----------
    address : int32 [n]
        Sorted; ``pixel * n_channels + channel``.
    n_pixels, n_channels : int
        A grouped convolution passes pixels x groups and channels of one group.

    Returns
    -------
    start : int32 [n_pixels + 1]
    channel : int32 [n]
    """
    start = np.empty(n_pixels + 1, np.int32)
    channel = np.empty(address.size, np.int32)
    _index_by_pixel(address, n_channels, start, channel)
    return start, channel


@kernel
def _index_by_pixel(address, n_channels, start, channel):
    event = 0
    first = 0
    for pixel in range(start.size - 1):
        start[pixel] = event
        while event < address.size and address[event] < first + n_channels:
            channel[event] = address[event] - first
            event += 1
        first += n_channels
    start[start.size - 1] = event
