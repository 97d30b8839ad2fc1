"""RealProduct: spikes times a real-valued operand; each spike adds a row of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.row_panels import row_width
from evsim.arithmetic.tree_rows import sum_rows_by_eight
from evsim.arithmetic.whole import FINEST, Claim, Fixing, rounded
from evsim.arithmetic.whole_lanes import rescaled
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import Product
from evsim.handlers.products.result_map import result_table
from evsim.handlers.projections.pixel_index import index_by_pixel
from evsim.handlers.views.address_map import AddressMap

__all__ = ["RealProduct"]


class RealProduct:
    """X[i, b, :] += scale[b] * sum over the active k of spikes[i, b, k] * operand[b, k, :].

    The operand is a view of the real-valued current `y`, its bias included: where nobody wrote `y`, the operand is the
    bias alone. The rows that the spikes name are gathered and added eight at a time; the finished sum is multiplied
    once. A product with the real operand on the left is this one transposed, by its maps.

    Parameters
    ----------
    name : str
    y : Current
    operand : AddressMap
        From addresses (place * n_channels + channel) of `y` to (b * n_rows + k) * n_columns + j.
    scale : float [n_batch]
    sizes : (int, int, int, int)
        n_tokens (i), n_batch (b), n_rows (k), n_columns (j).
    current : Current
        Where the products go.
    spikes : AddressMap, optional
        From places of the stream to (i * n_batch + b) * n_rows + k: tokens first, so that the spikes of one token
        share an accumulator row.
    result : AddressMap, optional
        From (i * n_batch + b) * n_columns + j to addresses of `current`.

    Raises
    ------
    NetworkError
        The sizes do not fit, or the spikes have a value.

    Port "spikes", binary. Silent spikes cost nothing, not even the bias. Sets nothing of its own, incs `current`,
    reads `y`.
    """

    constants = ("scale", "bias", "operand", "spikes", "_to", "_links")

    def __init__(
        self,
        name: str,
        y: Current,
        operand: AddressMap,
        scale: np.ndarray,
        sizes: tuple[int, int, int, int],
        current: Current,
        spikes: AddressMap | None = None,
        result: AddressMap | None = None,
    ) -> None:
        n_tokens, n_batch, n_rows, n_columns = sizes
        self.name, self.sizes = name, tuple(sizes)
        self.y, self.current, self.operand = y, current, operand
        self.scale = np.asarray(scale, np.float32)
        self.n_rows = n_rows
        n_spikes = n_tokens * n_batch * n_rows
        self.spikes = spikes or AddressMap.identity(n_spikes)
        found = (operand.n_sources, operand.n_targets, self.scale.size, self.spikes.n_targets)
        expected = (y.n_places * y.n_channels, n_batch * n_rows * n_columns, n_batch, n_spikes)
        if found != expected:
            raise NetworkError(f"{name}: operand, its view, scales and spikes have sizes {found}, expected {expected}")
        self._to = result_table(name, result, n_tokens * n_batch * n_columns, current)
        self.n_inputs = self.spikes.n_sources
        self.bias, self.wakers = y.join_reader(name, by_place=True)
        self._bias = self._viewed(self.bias)
        self._n_biased = int(np.count_nonzero(self._bias))
        self._take_type(np.float32, np.float32)
        self._shift = 0
        current.join_writer(name)

    def claim(self, fixing: Fixing) -> Claim:
        """Every row of the largest operand; a finished sum is rounded once."""
        return Claim(FINEST, FINEST, float(np.abs(self.scale).max(initial=0)) * self._largest_sum(fixing), 1)

    def fix(self, fixing: Fixing) -> None:
        """X += (m * sum + 2^(r - 1)) >> r, where m / 2^r is the scale, from the steps of `y` to those of `current`.

        m has 15 bits. A sum fits int32 where all rows of the largest operand do, else it is int64; the product with m
        is int64 and fits as long as a sum has 48 bits, which 2^30 times any number of rows has.
        """
        y = fixing.scale(self.y)
        largest = np.abs(self.scale).max()
        finest = 15 - int(np.frexp(largest)[1])
        self._shift = finest + y.exponent - self.current.exponent
        if not 1 <= self._shift <= 62:
            raise NetworkError(f"{self.name}: scale {largest:g} would be shifted by {self._shift}, expected 1 to 62")
        self.bias = rounded(self.bias, y.exponent, np.int32)
        self._bias = self._viewed(self.bias)
        self._take_type(np.int32, np.int32 if self._largest_sum(fixing) * 2.0**y.exponent < 2**31 - 1 else np.int64)
        self.scale = rounded(self.scale, finest)

    def _take_type(self, dtype: type, total: type) -> None:
        """Memory for the operand and for one sum of its rows, padded to whole vectors; where the view pads is bias."""
        _, n_batch, n_rows, n_columns = self.sizes
        width = row_width(n_columns, total)
        self._operand = lanes.aligned_zeros((n_batch, n_rows, width), dtype)
        self._operand[:, :, :n_columns] = self._bias.reshape(n_batch, n_rows, n_columns)
        self._total = lanes.aligned_zeros((width,), total)
        source_of = self.operand.source_of
        order = np.argsort(source_of, kind="stable")[np.count_nonzero(source_of < 0) :]
        place = order // n_columns * width + order % n_columns
        self._links = source_of[order], place.astype(np.int32), self._bias[order]

    def _largest_sum(self, fixing: Fixing) -> float:
        y = fixing.scale(self.y)
        return self.n_rows * (y.reach + float(np.abs(self.y.bias).max(initial=0)) + 2.0**-y.exponent)

    @property
    def geometry(self) -> Product:
        """What it says of itself to conventions."""
        n_tokens, n_batch, n_rows, n_columns = self.sizes
        return Product(n_batch, n_tokens, n_rows, n_columns)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add one row of the operand for each delivered spike, then scale what was touched."""
        spikes = self.spikes.move(inbox.get("spikes", Spikes.none()))
        if spikes.payload is not None:
            raise NetworkError(f"{self.name}: events with a value, expected binary spikes")
        counts = self._multiply(step, spikes.address) if len(spikes) else OpCounts()
        self.y.release(step, self.name)
        return Spikes.none(), counts

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.y.reset()
        self.current.reset()

    def _viewed(self, bias: np.ndarray) -> np.ndarray:
        """The bias of each value of the operand."""
        everywhere = np.broadcast_to(bias, (self.y.n_places, self.y.n_channels)).reshape(-1)
        return np.append(everywhere, everywhere.dtype.type(0))[self.operand.source_of]

    def _multiply(self, step: int, address: np.ndarray) -> OpCounts:
        n_tokens, n_batch, n_rows, n_columns = self.sizes
        operand, target, n_operand = self._operand, self.current.rows(step), n_batch * n_rows * n_columns
        _take_operand(self.y.rows(step).value, *self._links, operand)
        start, row = index_by_pixel(address, n_tokens * n_batch, n_rows)
        acs, scaled = _gather_products(
            start, row, operand, self.scale, self._shift, self._total, self._to, n_columns, target.value, target.touched
        )
        return OpCounts(
            event_acs=acs,
            acs=acs,
            scalings=scaled,
            bias_adds=self._n_biased,
            weight_reads=acs,
            state_reads=n_operand + scaled,
            state_writes=n_operand + scaled,
        )


@kernel
def _take_operand(y, source, place, bias, operand):
    """operand[place] = y[source] + bias, in the order of the sources: views may be transposed, caches are not."""
    values, flat = y.reshape(-1), operand.reshape(-1)
    for i in range(source.size):
        flat[np.uint32(place[i])] = values[np.uint32(source[i])] + bias[i]


@kernel(error_model="numpy")
def _gather_products(start, row, operand, scale, shift, total, to, n_columns, value, touched):
    n_batch, n_channels = operand.shape[0], value.shape[1]
    n_tokens, flat = (start.size - 1) // n_batch, value.reshape(-1)
    n_added = 0
    n_touched = 0
    for token in range(n_tokens):
        for b in range(n_batch):
            row_number = token * n_batch + b
            begin, end = np.int64(start[row_number]), np.int64(start[row_number + 1])
            if begin == end:
                continue
            sum_rows_by_eight(operand[b], row, begin, end, total)
            first = row_number * n_columns
            if to.size:
                for j in range(n_columns):
                    target = to[first + j]
                    flat[target] += rescaled(scale[b], total[j], shift)
                    touched[target // n_channels] = 1
            else:
                row_of = flat[first : first + n_columns]
                for j in range(n_columns):
                    row_of[j] += rescaled(scale[b], total[j], shift)
                for place in range(first // n_channels, (first + n_columns - 1) // n_channels + 1):
                    touched[place] = 1
            n_added += end - begin
            n_touched += 1
    return n_added * n_columns, n_touched * n_columns
