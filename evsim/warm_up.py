"""warm_up: have the kernels ready before a clock or a second thread starts."""

from __future__ import annotations

import numpy as np

from evsim.network import Network
from evsim.simulator import simulate
from evsim.spikes import Spikes

__all__ = ["warm_up"]


def warm_up(network: Network) -> None:
    """Compile the kernels of `network`, or load them from the cache, by running it once on made-up events."""
    height, width, n_channels = network.input_shape
    address = np.arange(height * width * n_channels, dtype=np.int32)
    graded = Spikes(address, np.full(address.size, 3, np.int32))
    simulate(network, [Spikes(address), graded] * max(1, network.n_steps // 2))
    network.reset()
