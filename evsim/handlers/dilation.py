"""PlaneDilation: the 3x3 maximum of spikes that the event-camera variant of SDSA takes between its products."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.byte_rows import mark_row, or_each, zero_marks
from evsim.arithmetic.kernel import kernel
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Pool

__all__ = ["PlaneDilation"]


class PlaneDilation:
    """out[n, j] = OR of the spikes at tokens n - 1 .. n + 1 and channels j - 1 .. j + 1 of the same head.

    The 3x3 maximum that the event-camera variant of the Spike-driven Transformer takes over the (token,
    channel) plane of each head: neighbouring tokens in flattened order, neighbouring channels inside the head.

    Parameters
    ----------
    name : str
    n_tokens, n_heads, n_channels : int
        n_channels of all heads together.

    A comparison is one mark of one place by one spike. Sets nothing, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_tokens: int, n_heads: int, n_channels: int) -> None:
        self.name = name
        self.n_channels = n_channels
        self.head_channels = n_channels // n_heads
        self.n_inputs = n_tokens * n_channels
        self._n_reached = _n_neighbours(n_tokens), np.tile(_n_neighbours(self.head_channels), n_heads)
        self._starts = np.zeros(n_tokens + 1, np.int64)  # where the events of each token begin
        self._plane = np.zeros((n_tokens, n_channels), np.uint8)
        self._column = np.zeros(n_channels + 2, np.uint8)  # a silent channel at either end
        within = np.arange(n_channels) % self.head_channels
        self._has_neighbour = (within > 0).astype(np.uint8), (within < self.head_channels - 1).astype(np.uint8)
        self._out_row = zero_marks(n_channels)
        self._positions = np.empty(self.n_inputs + lanes.LANES, np.int32)

    @property
    def geometry(self) -> Pool:
        """What it says of itself to conventions."""
        return Pool(self.n_inputs, self.n_inputs, of_spikes=True)

    def asynchronous(self) -> Act:
        """The first spike that reaches a place passes there; later ones of the same step are absorbed."""
        numbers = (self.n_inputs, self.n_channels, self.head_channels)
        return Act(Kind.DILATE, numbers, n_outputs=self.n_inputs, n_marks=self.n_inputs)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Dilate the delivered spikes."""
        address = inbox["spikes"].address
        comparisons, n = _dilate(
            address,
            *self._n_reached,
            *self._has_neighbour,
            self._starts,
            self._plane,
            self._column,
            self._out_row,
            self._positions,
        )
        return Spikes(self._positions[:n].copy()), OpCounts(comparisons=comparisons)

    def reset(self) -> None:
        """Nothing is remembered between steps."""


def _n_neighbours(n: int) -> np.ndarray:
    """How many of n places in a row each reaches: its neighbours and itself."""
    places = np.arange(n)
    return (np.minimum(places + 1, n - 1) - np.maximum(places - 1, 0) + 1).astype(np.int32)


@kernel(error_model="numpy")
def _dilate(
    address, n_tokens_reached, n_channels_reached, has_left, has_right, starts, plane, column, out_row, positions
):  # fmt: skip
    n_tokens, n_channels = plane.shape
    flat, here, left, right = plane.reshape(-1), column[1:-1], column[:-2], column[2:]
    none = starts[:0]
    n, n_marked, marked = np.int64(0), 0, np.int64(0)
    for token in range(n_tokens):
        begin, end = max(token - 1, 0), min(token + 2, n_tokens)
        while marked < end:
            row, first = plane[marked], marked * n_channels
            event, n_reached = mark_row(address, starts[marked], first, n_channels_reached, none, address.size, row)
            n_marked += n_tokens_reached[marked] * n_reached
            starts[marked + 1] = event
            marked += 1
        if starts[begin] == starts[end]:
            continue
        or_each(flat, begin * n_channels, end * n_channels, n_channels, n_channels, column, np.int64(1))
        for j in range(n_channels):
            out_row[j] = here[j] | left[j] & has_left[j] | right[j] & has_right[j]
        n = lanes.list_nonzero(out_row, n_channels, token * n_channels, positions, n)
    for token in range(n_tokens):
        if starts[token] < starts[token + 1]:
            plane[token] = 0
    return n_marked, n
