"""PayloadMaxPool: the maximum of whole-number events over windows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.handlers.geometry import Pool
from evsim.handlers.projections.window_links import window_links
from evsim.handlers.window import Window

__all__ = ["PayloadMaxPool"]


class PayloadMaxPool:
    """out[y, x, c] = max over the window of the events of channel c; a place without an event holds 0.

    Parameters
    ----------
    name : str
    window : Window
        Padding never wins, not even over a window of negative events.
    n_channels : int

    A comparison is one event compared with what one window holds so far. Port "spikes", binary or of whole numbers.
    Sets nothing, reads nothing but its inbox.
    """

    constants = ("_links", "_n_inside")

    def __init__(self, name: str, window: Window, n_channels: int) -> None:
        self.name, self.window, self.n_channels = name, window, n_channels
        self.shape = (window.out_height, window.out_width, n_channels)
        self.n_inputs = window.height * window.width * n_channels
        self.n_outputs = window.out_height * window.out_width * n_channels
        self._links = window_links(window)
        n_windows = window.out_height * window.out_width
        self._n_inside = np.bincount(self._links.target, minlength=n_windows).astype(np.int32)
        self._best = np.zeros(self.n_outputs, np.int32)
        self._n_events = np.zeros(self.n_outputs, np.int32)

    @property
    def geometry(self) -> Pool:
        """What it says of itself to conventions."""
        return Pool(self.n_inputs, self.n_outputs, of_spikes=True)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """A maximum is no larger than the largest event."""
        return bounds["spikes"]

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Pool the delivered events."""
        spikes = inbox["spikes"]
        payload = np.ones(len(spikes), np.int32) if spikes.payload is None else spikes.payload
        links = (self._links.start, self._links.target)
        n = _compare(spikes.address, payload, *links, self.n_channels, self._best, self._n_events)
        address = np.flatnonzero(self._n_events).astype(np.int32)
        best = self._best[address]
        silent = (self._n_events[address] < self._n_inside[address // self.n_channels]) & (best < 0)
        best[silent] = 0
        self._best[address], self._n_events[address] = 0, 0
        address, best = address[best != 0], best[best != 0]
        return Spikes(address, None if np.all(best == 1) else best), OpCounts(comparisons=n)

    def reset(self) -> None:
        """Nothing is remembered between steps."""


@kernel(error_model="numpy")
def _compare(address, payload, start, target, n_channels, best, n_events):
    n = 0
    place = 0
    pixel_end = n_channels
    for event in range(address.size):
        if address[event] >= pixel_end:
            place = address[event] // n_channels
            pixel_end = (place + 1) * n_channels
        channel = address[event] - (pixel_end - n_channels)
        for link in range(start[place], start[place + 1]):
            at = target[link] * n_channels + channel
            if n_events[at] == 0 or payload[event] > best[at]:
                best[at] = payload[event]
            n_events[at] += 1
        n += start[place + 1] - start[place]
    return n
