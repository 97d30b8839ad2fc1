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
    event, first = np.int64(0), np.int64(0)
    for pixel in range(start.size - 1):
        start[pixel] = event
        begin, stop = event, first + n_channels
        if event < address.size and address[event] < stop:
            while event + 8 <= address.size and address[event + 7] < stop:  # one look for eight events
                event += 8
            while event < address.size and address[event] < stop:
                event += 1
            for i in range(begin, event):
                channel[i] = address[i] - first
        first = stop
    start[start.size - 1] = event
