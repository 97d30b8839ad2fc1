"""SpikeProduct and IntegerProduct: a matrix product of two spike streams; each pair of events that meet adds once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing, check_payload
from evsim.arithmetic.whole_lanes import scaled
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import Product
from evsim.handlers.products.result_map import result_table
from evsim.handlers.projections.pixel_index import index_by_pixel
from evsim.handlers.views.address_map import AddressMap

__all__ = ["IntegerProduct", "SpikeProduct"]

_BINARY = np.empty(0, np.int32)


class SpikeProduct:
    """X[b, i, j] += scale[b] * sum over k of left[b, i, k] * right[b, k, j].

    Each event of the left operand names a row of the right one, whose events it adds: only pairs that meet are ever
    looked at. Sums are whole numbers, exact in any order; a finished row is multiplied once.

    Parameters
    ----------
    name : str
    sizes : (int, int, int, int)
        n_batch (b), n_rows (i), n_inner (k), n_columns (j).
    current : Current or None
        None: the sums leave as spikes of whole-number value, unscaled.
    scale : float or float [n_batch]
        Units of the payloads included.
    left, right : AddressMap, optional
        From places of each stream to (b * n_rows + i) * n_inner + k and to (b * n_inner + k) * n_columns + j. An
        operand that is transposed or broadcast over the batch is another map.
    result : AddressMap, optional
        From (b * n_rows + i) * n_columns + j to addresses of `current`.

    Raises
    ------
    NetworkError
        The sizes do not fit, or there is a scale and no current.

    A mask is a pair that met, and so is an addition. Ports "left" and "right", binary or of whole numbers. Incs
    `current` if it has one, reads nothing but its inbox.
    """

    constants = ("left", "right", "scale", "_to")
    _counts_masks = True

    def __init__(
        self,
        name: str,
        sizes: tuple[int, int, int, int],
        current: Current | None,
        scale: float | np.ndarray = 1.0,
        left: AddressMap | None = None,
        right: AddressMap | None = None,
        result: AddressMap | None = None,
    ) -> None:
        n_batch, n_rows, n_inner, n_columns = sizes
        self.name, self.sizes, self.current = name, tuple(sizes), current
        n_left, n_right = n_batch * n_rows * n_inner, n_batch * n_inner * n_columns
        self.left, self.right = left or AddressMap.identity(n_left), right or AddressMap.identity(n_right)
        found = (self.left.n_targets, self.right.n_targets)
        if found != (n_left, n_right):
            raise NetworkError(f"{name}: operands of {found} places, expected {(n_left, n_right)}")
        self.scale = np.broadcast_to(np.asarray(scale, np.float32), (n_batch,)).copy()
        self._is_scaled = bool(np.any(self.scale != 1))
        self.n_inputs = self.left.n_sources + self.right.n_sources
        self.n_outputs = n_batch * n_rows * n_columns
        self._sums = np.zeros(n_columns, np.int32)
        self._largest_payload: int | None = None
        if current is None:
            if self._is_scaled or result is not None:
                raise NetworkError(f"{name}: sums that leave as spikes take neither a scale nor a map")
            self.shape = (self.n_outputs,)
            self._sent = np.empty((2, self.n_outputs + 1), np.int32)
            self._to = np.empty(0, np.int32)
        else:
            self._to = result_table(name, result, self.n_outputs, current)
            current.join_writer(name, whole=self._is_dyadic())

    @property
    def geometry(self) -> Product:
        """What it says of itself to conventions."""
        return Product(*self.sizes)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """Every pair of one sum at its largest."""
        return bounds["left"] * bounds["right"] * self.sizes[2] if self.current is None else 1

    def claim(self, fixing: Fixing) -> Claim:
        """Every pair of one sum at its largest; multiples of the scale, and a membrane likes a finer one."""
        reach = float(np.abs(self.scale).max()) * self.sizes[2] * fixing.payload**2
        return Claim(FINEST, FINEST, reach, 0)

    def fix(self, fixing: Fixing) -> None:
        """The scale, a power of two, in whole steps of the current: products stay exact.

        Raises
        ------
        NetworkError
            The scale is no power of two, or the current's scale is coarser.
        """
        whole = np.ldexp(self.scale.astype(np.float64), self.current.exponent)
        if not self._is_dyadic() or np.any(whole != np.rint(whole)):
            found = f"scale {self.scale.max():g} in a current of scale 2^{self.current.exponent}"
            raise NetworkError(f"{self.name}: {found}, expected a power of two no finer; use --precision float32")
        self.scale, self._largest_payload = whole.astype(np.int64), fixing.payload

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Multiply the two operands; nothing is done unless both sent spikes."""
        if len(inbox) < 2 or not all(map(len, inbox.values())):
            return Spikes.none(), OpCounts()
        n_batch, n_rows, n_inner, n_columns = self.sizes
        left, right = self.left.move(inbox["left"]), self.right.move(inbox["right"])
        rows = (*index_by_pixel(left.address, n_batch * n_rows, n_inner), self._value(left))
        columns = (*index_by_pixel(right.address, n_batch * n_inner, n_columns), self._value(right))
        if self.current is None:
            pairs, units, graded, n = _send_products(self.sizes, rows, columns, self._sums, *self._sent)
            address, payload = self._sent[:, :n].copy()
            sent, written = Spikes(address, None if np.all(payload == 1) else payload), 0
        else:
            target, sent = self.current.rows(step), Spikes.none()
            pairs, units, graded, written = _add_products(
                self.sizes, rows, columns, self._sums, self.scale, self._to, target.value, target.touched
            )
        return sent, OpCounts(
            event_acs=pairs,
            acs=units,
            graded_acs=graded,
            masks=pairs if self._counts_masks else 0,
            scalings=written if self._is_scaled else 0,
            state_reads=pairs + written,
            state_writes=pairs + written,
        )

    def reset(self) -> None:
        """Forget the current of an unfinished step."""
        if self.current is not None:
            self.current.reset()

    def _value(self, spikes: Spikes) -> np.ndarray:
        if spikes.payload is None:
            return _BINARY
        if self._largest_payload is not None:
            check_payload(self.name, spikes.payload, self._largest_payload)
        return spikes.payload

    def _is_dyadic(self) -> bool:
        return bool(np.all(np.abs(np.frexp(self.scale)[0]) == 0.5))


class IntegerProduct(SpikeProduct):
    """The same of operands that are graded by kind: rows added payload times, which no AND does.

    Parameters as in `SpikeProduct`. No masks are counted. Incs `current` if it has one, reads nothing but its inbox.
    """

    _counts_masks = False


@inner_kernel(error_model="numpy")
def _sum_row(b, row, sizes, rows, columns, sums):
    """sums += the products of one row; pairs, units, pairs whose product is not 1."""
    start, inner, value = rows
    other_start, column, other_value = columns
    n_inner = sizes[2]
    n_pairs = 0
    n_units = 0
    n_graded = 0
    for event in range(start[row], start[row + 1]):
        amount = value[event] if value.size else 1
        first = other_start[b * n_inner + inner[event]]
        end = other_start[b * n_inner + inner[event] + 1]
        n_pairs += end - first
        if other_value.size == 0:
            for other in range(first, end):
                sums[column[other]] += amount
            n_units += abs(amount) * (end - first)
            n_graded += (amount != 1) * (end - first)
        else:
            for other in range(first, end):
                product = amount * other_value[other]
                sums[column[other]] += product
                n_units += abs(product)
                n_graded += product != 1
    return n_pairs, n_units, n_graded


@kernel(error_model="numpy")
def _add_products(sizes, rows, columns, sums, scale, to, value, touched):
    n_batch, n_rows, _, n_columns = sizes
    n_channels = value.shape[1]
    flat = value.reshape(-1)
    n_pairs, n_units, n_graded, n_written = 0, 0, 0, 0
    for row in range(n_batch * n_rows):
        b = row // n_rows
        pairs, units, graded = _sum_row(b, row, sizes, rows, columns, sums)
        if pairs == 0:
            continue
        n_pairs, n_units, n_graded = n_pairs + pairs, n_units + units, n_graded + graded
        n_written += n_columns
        first = row * n_columns
        for j in range(n_columns):
            target = to[first + j] if to.size else first + j
            flat[target] += scaled(scale[b], sums[j])
            sums[j] = 0
        if to.size:
            for j in range(n_columns):
                touched[to[first + j] // n_channels] = 1
        else:
            for place in range(first // n_channels, (first + n_columns - 1) // n_channels + 1):
                touched[place] = 1
    return n_pairs, n_units, n_graded, n_written


@kernel(error_model="numpy")
def _send_products(sizes, rows, columns, sums, address, payload):
    n_batch, n_rows, _, n_columns = sizes
    n_pairs, n_units, n_graded, n = 0, 0, 0, 0
    for row in range(n_batch * n_rows):
        pairs, units, graded = _sum_row(row // n_rows, row, sizes, rows, columns, sums)
        if pairs == 0:
            continue
        n_pairs, n_units, n_graded = n_pairs + pairs, n_units + units, n_graded + graded
        for j in range(n_columns):
            address[n] = row * n_columns + j  # stays where n moves on
            payload[n] = sums[j]
            n += sums[j] != 0
            sums[j] = 0
    return n_pairs, n_units, n_graded, n
