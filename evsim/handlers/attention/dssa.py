"""Dual spike self-attention (DSSA): one operand of each product is real, the other is spikes, so each spike adds a row.

    Y = [Y1 | Y2] = BN(strided convolution of X);   A = LIF(c1 Y1^T X);   O = LIF(c2 Y2 A)

Source: Shi, Hao and Yu, SpikingResformer (CVPR 2024), section on dual spike self-attention, as the official code
computes it: head j owns the channels 2dj .. 2d(j + 1) - 1 of Y, its first d are Y1 and its last d are Y2, and the
scales multiply the finished sums. X has N tokens (full resolution), Y has P (one for each patch).

A is kept with tokens first, [N, heads, P], where the official code has [heads, P, N]: then the spikes of one token
and head share one accumulator row. Both populations are ordinary `LIF` populations behind these handlers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing, rounded
from evsim.arithmetic.whole_lanes import rescaled
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Attention, Told, acs_by_head
from evsim.handlers.projections.pixel_index import index_by_pixel

__all__ = ["MapProduct", "RealProduct", "ValueProduct"]


class RealProduct:
    """X[token, head, :] += scale[head] * sum over the active k of operand[head, k, :].

    The operand is one half of each head's channels in the real-valued current `y`, its bias included: where nobody
    wrote `y`, the operand is the bias alone. The rows that the spikes of a token and head name are gathered and
    added eight at a time; the finished sum is multiplied once.

    Parameters
    ----------
    name : str
    y : Current
        [P, 2 * n_channels], the left operand.
    scale : float [n_heads]
    n_tokens : int
        N.
    current : Current
        Where the products go: [n_tokens, n_heads * n_columns].
    half : {0, 1}
        Which half of a head's channels of `y` is the operand.
    transposed : bool
        Whether the rows of the operand are channels (k is a channel, columns are patches) or patches.

    Raises
    ------
    NetworkError
        The sizes of `y`, `scale` and `current` do not fit.

    Port "spikes": addresses (token * n_heads + head) * n_rows + k. Silent spikes cost nothing, not even the bias.
    Sets nothing of its own, incs `current`, reads `y`.
    """

    constants = ("scale", "bias")

    def __init__(
        self, name: str, y: Current, scale: np.ndarray, n_tokens: int, current: Current, half: int, transposed: bool
    ) -> None:
        self.name = name
        self.y, self.current = y, current
        self.half, self.transposed = half, transposed
        self.scale = np.asarray(scale, np.float32)
        n_heads = self.scale.size
        d = y.n_channels // (2 * n_heads)
        self.n_rows, n_columns = (d, y.n_places) if transposed else (y.n_places, d)
        expected = (2 * d * n_heads, n_tokens, n_heads * n_columns)
        found = (y.n_channels, current.n_places, current.n_channels)
        if found != expected:
            raise NetworkError(f"{name}: operand channels, tokens and output channels are {found}, expected {expected}")
        self.bias, self.wakers = y.join_reader(name)
        self._n_biased = int(np.count_nonzero(self.bias.reshape(n_heads, 2, d)[:, half])) * y.n_places
        self._operand, self._total = np.empty((n_heads, self.n_rows, n_columns), np.float32), np.float32
        self._shift = 0
        current.join_writer(name)

    @property
    def n_inputs(self) -> int:
        """Places the spiking operand has: tokens x heads x rows."""
        return self.current.n_places * self.scale.size * self.n_rows

    def claim(self, fixing: Fixing) -> Claim:
        """Every row of the largest operand; a finished sum is rounded once."""
        return Claim(FINEST, FINEST, float(self.scale.max(initial=0)) * self._largest_sum(fixing), 1)

    def fix(self, fixing: Fixing) -> None:
        """X += (m * sum + 2^(r - 1)) >> r, where m / 2^r is the scale, from the steps of `y` to those of `current`.

        m has 15 bits. A sum fits int32 where all rows of the largest operand do, else it is int64; the product with m
        is int64 and fits as long as a sum has 48 bits, which 2^30 times any number of rows has.
        """
        y = fixing.scale(self.y)
        finest = 15 - int(np.frexp(self.scale.max())[1])
        self._shift = finest + y.exponent - self.current.exponent
        if not 1 <= self._shift <= 62:
            raise NetworkError(
                f"{self.name}: scale {self.scale.max():g} would be shifted by {self._shift}, expected 1 to 62"
            )
        self.bias = rounded(self.bias, y.exponent, np.int32)
        self._operand = np.empty(self._operand.shape, np.int32)
        self._total = np.int32 if self._largest_sum(fixing) * 2.0**y.exponent < 2**31 - 1 else np.int64
        self.scale = rounded(self.scale, finest)

    def _largest_sum(self, fixing: Fixing) -> float:
        y = fixing.scale(self.y)
        return self.n_rows * (y.bound * 2.0**-y.exponent + float(np.abs(self.y.bias).max(initial=0)) + 2.0**-y.exponent)

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        n_heads, part = self.scale.size, "map" if self.transposed else "value"
        sizes = (self.current.n_places, n_heads, self.n_rows)
        return Attention("dssa", part, *sizes, n_columns=self.current.n_channels // n_heads)

    def split_by_head(self, told: Told) -> np.ndarray:
        """Each event adds one row of its head's real-valued operand."""
        return acs_by_head(told.by_head("spikes").sum(axis=0) * self.geometry.n_columns)

    def asynchronous(self) -> Act:
        """A spike adds its row of the operand as it stands; what the operand gains later acts on the spikes there."""
        n_heads, n_rows, n_columns = self._operand.shape
        n_tokens = self.current.n_places
        numbers = (n_heads, n_rows, n_columns, self.half, int(self.transposed), self._shift, n_tokens)
        sizes = {"n_marks": self.n_inputs, "n_sums": self._operand.size + n_tokens * self.current.n_channels}
        told = {"reads": self.y, "writes": self.current, "scales": self.scale, "biases": self.bias}
        return Act(Kind.MULTIPLY_MAP, numbers, **told, **sizes)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add one row of the operand for each delivered spike, then scale what was touched."""
        spikes = inbox.get("spikes", Spikes.none())
        counts = self._multiply(step, spikes.address) if len(spikes) else OpCounts()
        self.y.release(step, self.name)
        return Spikes.none(), counts

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.y.reset()
        self.current.reset()

    def _multiply(self, step: int, address: np.ndarray) -> OpCounts:
        operand, target = self._operand, self.current.rows(step)
        _take_operand(self.y.rows(step).value, self.bias, self.half, self.transposed, operand)
        start, row = index_by_pixel(address, target.touched.size * self.scale.size, self.n_rows)
        total = np.empty(operand.shape[2], self._total)
        acs, scaled = _gather_products(
            start, row, operand, self.scale, self._shift, total, target.value, target.touched
        )
        return OpCounts(
            acs=acs,
            unit_acs=acs,
            scalings=scaled,
            bias_adds=self._n_biased,
            weight_reads=acs,
            state_reads=operand.size + scaled,
            state_writes=operand.size + scaled,
        )


class MapProduct(RealProduct):
    """Current of the attention map: X[n, head, p] += c1[head] * sum over the active channels i of Y1[head, i, p].

    Parameters as in `RealProduct`; the spikes are X, `current` is [N, n_heads * P].

    Sets nothing of its own, incs `current`, reads `y`.
    """

    def __init__(self, name: str, y: Current, scale: np.ndarray, n_tokens: int, current: Current) -> None:
        super().__init__(name, y, scale, n_tokens, current, half=0, transposed=True)


class ValueProduct(RealProduct):
    """Current of the output: X[n, head, i] += c2[head] * sum over the active patches p of Y2[head, i, p].

    Parameters as in `RealProduct`; the spikes are A, `current` is [N, n_channels].

    Sets nothing of its own, incs `current`, reads `y`.
    """

    def __init__(self, name: str, y: Current, scale: np.ndarray, n_tokens: int, current: Current) -> None:
        super().__init__(name, y, scale, n_tokens, current, half=1, transposed=False)


@kernel
def _take_operand(y, bias, half, transposed, operand):
    """One half of each head of y + bias; `transposed` turns [patch, channel] into [channel, patch]."""
    n_heads = operand.shape[0]
    n_patches = y.shape[0]
    d = bias.size // (2 * n_heads)
    for head in range(n_heads):
        first = (2 * head + half) * d
        for patch in range(n_patches):
            for i in range(d):
                if transposed:
                    operand[head, i, patch] = y[patch, first + i] + bias[first + i]
                else:
                    operand[head, patch, i] = y[patch, first + i] + bias[first + i]


@kernel(error_model="numpy")
def _add_rows(operand, row, begin, end, total):
    """total = the sum of the rows named by row[begin:end], eight at a time."""
    total[:] = 0
    i = begin
    while i + 8 <= end:
        a, b, c, d = operand[row[i]], operand[row[i + 1]], operand[row[i + 2]], operand[row[i + 3]]
        e, f, g, h = operand[row[i + 4]], operand[row[i + 5]], operand[row[i + 6]], operand[row[i + 7]]
        for j in range(total.size):
            total[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
        i += 8
    while i + 2 <= end:
        a, b = operand[row[i]], operand[row[i + 1]]
        for j in range(total.size):
            total[j] += a[j] + b[j]
        i += 2
    if i < end:
        a = operand[row[i]]
        for j in range(total.size):
            total[j] += a[j]


@kernel(error_model="numpy")
def _gather_products(start, row, operand, scale, shift, total, value, touched):
    n_heads, _, n_columns = operand.shape
    n_added = 0
    n_touched = 0
    for token in range(touched.size):
        for head in range(n_heads):
            begin, end = start[token * n_heads + head], start[token * n_heads + head + 1]
            if begin == end:
                continue
            _add_rows(operand[head], row, begin, end, total)
            target = value[token, head * n_columns : (head + 1) * n_columns]
            for j in range(n_columns):
                target[j] += rescaled(scale[head], total[j], shift)
            touched[token] = 1
            n_added += end - begin
            n_touched += 1
    return n_added * n_columns, n_touched * n_columns
