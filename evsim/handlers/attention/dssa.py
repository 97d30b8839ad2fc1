"""Dual spike self-attention (DSSA): one operand of each product is real, the other is spikes, so each spike adds a row.

    Y = [Y1 | Y2] = BN(strided convolution of X);   A = LIF(c1 Y1^T X);   O = LIF(c2 Y2 A)

Source: Shi, Hao and Yu, SpikingResformer (CVPR 2024), section on dual spike self-attention, as the official code
computes it: head j owns the channels 2dj .. 2d(j + 1) - 1 of Y, its first d are Y1 and its last d are Y2, and the
scales multiply the finished sums. X has N tokens (full resolution), Y has P (one for each patch).

A is kept with tokens first, [N, heads, P], where the official code has [heads, P, N]: then the spikes of one token
and head share one accumulator row. Both populations are ordinary `LIF` populations behind these handlers.
"""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Attention, Told, acs_by_head
from evsim.handlers.products.real_product import RealProduct
from evsim.handlers.views.address_map import AddressMap

__all__ = ["MapProduct", "RealProduct", "ValueProduct"]


class _HalfProduct(RealProduct):
    """A product whose operand is one half of each head's channels in `y`.

    `half` is 0 or 1; `transposed` says whether the rows of the operand are channels (columns are patches) or patches.
    """

    def __init__(
        self, name: str, y: Current, scale: np.ndarray, n_tokens: int, current: Current, half: int, transposed: bool
    ) -> None:
        self.half, self.transposed = half, transposed
        n_heads = len(scale)
        d = y.n_channels // (2 * n_heads)
        n_rows, n_columns = (d, y.n_places) if transposed else (y.n_places, d)
        expected = (2 * d * n_heads, n_tokens, n_heads * n_columns)
        found = (y.n_channels, current.n_places, current.n_channels)
        if found != expected:
            raise NetworkError(f"{name}: operand channels, tokens and output channels are {found}, expected {expected}")
        order = (1, 2, 0) if transposed else (1, 0, 2)
        operand = AddressMap.of_view(lambda places: places[:, :, half].transpose(order), (y.n_places, n_heads, 2, d))
        super().__init__(name, y, operand, scale, (n_tokens, n_heads, n_rows, n_columns), current)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        n_tokens, n_heads, n_rows, n_columns = self.sizes
        part, n_features = "map" if self.transposed else "value", self.y.n_channels // 2
        return Attention("dssa", part, n_tokens, n_heads, n_rows, n_columns=n_columns, n_features=n_features)

    def split_by_head(self, told: Told) -> np.ndarray:
        """Each event adds one row of its head's real-valued operand."""
        return acs_by_head(told.by_head("spikes").sum(axis=0) * self.geometry.n_columns)

    def asynchronous(self) -> Act:
        """A spike adds its row of the operand as it stands; what the operand gains later acts on the spikes there."""
        n_tokens, n_heads, n_rows, n_columns = self.sizes
        numbers = (n_heads, n_rows, n_columns, self.half, int(self.transposed), self._shift, n_tokens)
        sizes = {"n_marks": self.n_inputs, "n_sums": n_heads * n_rows * n_columns + n_tokens * self.current.n_channels}
        told = {"reads": self.y, "writes": self.current, "scales": self.scale, "biases": self.bias}
        return Act(Kind.MULTIPLY_MAP, numbers, **told, **sizes)


class MapProduct(_HalfProduct):
    """Current of the attention map: X[n, head, p] += c1[head] * sum over the active channels i of Y1[head, i, p].

    `scale` is one a head, the spikes are X, `current` is [N, n_heads * P].

    Sets nothing of its own, incs `current`, reads `y`.
    """

    def __init__(self, name: str, y: Current, scale: np.ndarray, n_tokens: int, current: Current) -> None:
        super().__init__(name, y, scale, n_tokens, current, half=0, transposed=True)


class ValueProduct(_HalfProduct):
    """Current of the output: X[n, head, i] += c2[head] * sum over the active patches p of Y2[head, i, p].

    `scale` is one a head, the spikes are A, `current` is [N, n_channels].

    Sets nothing of its own, incs `current`, reads `y`.
    """

    def __init__(self, name: str, y: Current, scale: np.ndarray, n_tokens: int, current: Current) -> None:
        super().__init__(name, y, scale, n_tokens, current, half=1, transposed=False)
