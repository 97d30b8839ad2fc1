"""Q-K token attention (QKTA): the spikes of Q in a token and head open or close that token's K; only AND and addition.

    a = LIF(sum over the channels of a head of q);   x = a AND k

Source: Zhou et al., QKFormer (NeurIPS 2024), eq. 5 and 6. The population a is an ordinary `LIF` between `HeadSum` and
`TokenGate`. There is no product of two tokens: the cost is linear in tokens and in channels.
"""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.handlers.acts import Act, Kind
from evsim.handlers.elementwise.axis_sum import AxisSum
from evsim.handlers.elementwise.mask import Mask
from evsim.handlers.geometry import Attention, Told, acs_by_head, masks_by_head
from evsim.handlers.views.address_map import AddressMap

__all__ = ["HeadSum", "TokenGate"]


class HeadSum(AxisSum):
    """X[token, head] = number of channels of the head that spiked: one addition of 1 for each event.

    Parameters
    ----------
    name : str
    n_channels : int
    current : Current
        [n_tokens, n_heads], the input of the gate population.

    Incs `current`, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_channels: int, current: Current) -> None:
        n_tokens, n_heads = current.n_places, current.n_channels
        super().__init__(name, _head_of(n_tokens, n_channels, n_heads), current)
        self._sizes = (n_tokens, n_heads, n_channels // n_heads)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        return Attention("qka", "sum", *self._sizes)

    def asynchronous(self) -> Act:
        """Adds 1 at once: the gate may open early."""
        n_tokens, n_heads, head_channels = self._sizes
        return Act(Kind.SUM, (n_tokens * n_heads, head_channels, int(self.unit), n_heads), writes=self.current)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One addition for each event."""
        return acs_by_head(told.by_head("spikes").sum(axis=0))


class TokenGate(Mask):
    """x[token, channel] = k[token, channel] AND a[token, head]: one mask for each event of k at an open step.

    A `Mask` whose one operand is the same for every channel of a head.

    Parameters
    ----------
    name : str
    n_tokens, n_channels, n_heads : int
        Heads are contiguous groups of channels.

    Ports "k" and "gate". Sets nothing, reads nothing but its inbox.
    """

    tests_left = True

    def __init__(self, name: str, n_tokens: int, n_channels: int, n_heads: int) -> None:
        places = AddressMap.identity(n_tokens * n_channels)
        gate = AddressMap(_head_of(n_tokens, n_channels, n_heads), n_tokens * n_heads)
        super().__init__(name, places, gate, ("k", "gate"))
        self._sizes = (n_tokens, n_heads, n_channels // n_heads)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        return Attention("qka", "gate", *self._sizes)

    def asynchronous(self) -> Act:
        """k waits until its token and head open; when they do, what waited passes."""
        n_tokens, n_heads, head_channels = self._sizes
        numbers = (n_tokens * n_heads, head_channels, head_channels, 1)
        return Act(Kind.GATE, numbers, ("k", "gate"), n_outputs=self.n_outputs, n_marks=self.n_inputs)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One mask for each event of k, at steps where some gate is open."""
        return masks_by_head(told.by_head("k")[told.events("gate") > 0].sum(axis=0))


def _head_of(n_tokens: int, n_channels: int, n_heads: int) -> np.ndarray:
    """The place [n_tokens, n_heads] of each place [n_tokens, n_channels]."""
    return np.arange(n_tokens * n_heads).repeat(n_channels // n_heads)
