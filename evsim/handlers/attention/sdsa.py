"""Spike-driven self-attention (SDSA): a column of coincidences opens a gate; only AND and addition.

    m = k AND v;   g = LIF(sum over tokens of m);   x = q AND g

Source: Yao et al., Spike-driven Transformer (NeurIPS 2023), eq. 9 and 10, as the official code computes it: the
code's k and v play the paper's Q and K, the code's q plays V. The gate population is an ordinary `LIF` between
`TokenSum` and `Gate`; the event-camera variant puts dilations between these handlers.
"""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.elementwise.axis_sum import AxisSum
from evsim.handlers.elementwise.mask import Mask
from evsim.handlers.geometry import Attention, Told, acs_by_head, masks_by_head
from evsim.handlers.views.address_map import AddressMap

__all__ = ["Coincidence", "Gate", "TokenSum"]


class Coincidence(Mask):
    """m = k AND v, place by place: a `Mask` of two streams on the same places.

    Parameters
    ----------
    name : str
    n_tokens, n_channels : int
    n_heads : int
        Contiguous groups of channels; nothing here depends on them, counts by head do.

    One mask for each event of the operand that sent fewer. Ports "k" and "v". Sets nothing, reads nothing but its
    inbox.
    """

    def __init__(self, name: str, n_tokens: int, n_channels: int, n_heads: int = 1) -> None:
        places = AddressMap.identity(n_tokens * n_channels)
        super().__init__(name, places, places, ("k", "v"))
        self._sizes = (n_tokens, n_heads, n_channels // n_heads)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        return Attention("sdsa", "coincidence", *self._sizes)

    def asynchronous(self) -> Act:
        """Passes when the second operand arrives; what came first waits until the end of the step."""
        n = self.n_inputs // 2
        return Act(Kind.COINCIDE, (n,), ("k", "v"), n_outputs=n, n_marks=2 * n)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One mask for each event of the operand that sent fewer, at steps where both sent some."""
        n_k, n_v = told.events("k"), told.events("v")
        fewer = np.where((n_k <= n_v)[:, None], told.by_head("k"), told.by_head("v"))
        return masks_by_head(fewer[(n_k > 0) & (n_v > 0)].sum(axis=0))


class TokenSum(AxisSum):
    """X[channel] = number of tokens whose channel spiked: one addition of 1 for each event, an `AxisSum` over tokens.

    Parameters
    ----------
    name : str
    n_tokens : int
    current : Current
        [1, n_channels], the input of the gate population.
    n_heads : int
        Contiguous groups of channels; nothing here depends on them, counts by head do.

    Incs `current`, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_tokens: int, current: Current, n_heads: int = 1) -> None:
        if current.n_places != 1:
            raise NetworkError(f"{name}: sums tokens into one place, its current has {current.n_places}")
        super().__init__(name, np.tile(np.arange(current.n_channels), n_tokens), current)
        self._sizes = (n_tokens, n_heads, current.n_channels // n_heads)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        return Attention("sdsa", "sum", *self._sizes)

    def asynchronous(self) -> Act:
        """Adds 1 at once: the gate may open early."""
        return Act(Kind.SUM, (self.current.n_channels, 1, int(self.unit), self.current.n_channels), writes=self.current)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One addition for each event."""
        return acs_by_head(told.by_head("spikes").sum(axis=0))


class Gate(Mask):
    """x[token, channel] = q[token, channel] AND g[channel]: one mask for each event of q at an open step.

    A `Mask` whose one operand is the same for every token.

    Parameters
    ----------
    name : str
    n_tokens, n_channels : int
    n_heads : int
        Contiguous groups of channels; nothing here depends on them, counts by head do.

    Ports "q" and "gate". Sets nothing, reads nothing but its inbox.
    """

    tests_left = True

    def __init__(self, name: str, n_tokens: int, n_channels: int, n_heads: int = 1) -> None:
        places = AddressMap.identity(n_tokens * n_channels)
        gate = AddressMap(np.tile(np.arange(n_channels), n_tokens), n_channels)
        super().__init__(name, places, gate, ("q", "gate"))
        self.n_channels = n_channels
        self._sizes = (n_tokens, n_heads, n_channels // n_heads)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        return Attention("sdsa", "gate", *self._sizes)

    def asynchronous(self) -> Act:
        """q waits until its channel opens; when it does, what waited passes."""
        n = self.n_inputs - self.n_channels
        numbers = (self.n_channels, 1, n // self.n_channels, self.n_channels)
        return Act(Kind.GATE, numbers, ("q", "gate"), n_outputs=n, n_marks=self.n_inputs)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One mask for each event of q, at steps where some gate is open."""
        return masks_by_head(told.by_head("q")[told.events("gate") > 0].sum(axis=0))
