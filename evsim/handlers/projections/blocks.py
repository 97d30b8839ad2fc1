"""Blocks: the weights of a convolution, laid out so that a part of them stays in the nearest cache."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.byte_lanes import packed, unpacked
from evsim.arithmetic.kernel import kernel

__all__ = ["Blocks", "panel_width"]

_BLOCK_ROWS = 256
"""Rows of a block at most: 64 KiB of weights, of which sparse events read a part."""
_NEAREST_CACHE = 40 << 10
"""Bytes of a block, at most, of which dense events may read all rows again and again (caches of 32 to 48 KiB)."""
_WORTH_A_CALL = 28
"""Events on average that pay for passing a pixel over a block of their own."""
_NO_UNITS = np.empty(0, np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The weights of a convolution, laid out for `gather`.

    Parameters
    ----------
    values : float32, int16 or int8 [n]
        For each group, panel of output channels, kernel row, span of kernel columns and cell: rows of a panel. Bytes
        stand in a row as `evsim.arithmetic.byte_lanes.packed` has them.
    n_groups, n_in, n_out : int
        Groups, and the channels of one group.
    kernel : (int, int)
        Rows and columns.
    span : int
        Kernel columns of a block: all of them where they fit and are neighbours (no dilation), else one.
    n_cells : int
        Into how many cells the input channels of a group are cut; more than one only where span is 1. Blocks that
        `cut` made smaller are no larger than these.
    shift : int
        Of whole weights: sums of a block are multiplied by 2^shift.
    units : int16 [n_groups * n_out], or none
        Of bytes: and those of a channel by this power of two, 2^8 at most.
    """

    values: np.ndarray
    n_groups: int
    n_in: int
    n_out: int
    kernel: tuple[int, int]
    span: int
    n_cells: int
    shift: int = 0
    units: np.ndarray = field(default_factory=lambda: _NO_UNITS)

    @staticmethod
    def of(
        weight: np.ndarray,
        groups: int = 1,
        dtype: type = np.float32,
        shift: int = 0,
        is_dilated: bool = False,
        units: np.ndarray = _NO_UNITS,
    ) -> Blocks:
        """From [c_out, c_in / groups, kernel rows, kernel columns]."""
        c_out, n_in, *kernel = weight.shape
        n_out = c_out // groups
        fits = groups == 1 and kernel[1] * n_in <= _BLOCK_ROWS
        span = kernel[1] if fits and not is_dilated else 1
        n_cells = 1 if fits else next(n for n in range(1, n_in + 1) if n_in % n == 0 and n_in // n <= _BLOCK_ROWS)
        values = lanes.aligned_zeros((weight.size,), dtype)
        blocks = Blocks(values, groups, n_in, n_out, tuple(kernel), span, n_cells, shift, units)
        for place, part in blocks._panels(weight):
            place[...] = part if dtype != np.int8 else packed(part)
        return blocks

    def weight(self) -> np.ndarray:
        """The weights as [c_out, c_in / groups, kernel rows, kernel columns] again (float32)."""
        weight = np.empty((self.n_groups * self.n_out, self.n_in, *self.kernel), np.float32)
        for place, part in self._panels(weight):
            part[...] = place if self.values.dtype != np.int8 else unpacked(place)
        return weight

    def words(self) -> np.ndarray:
        """The values as int16, in the order of panels and rows, times the units: one multiplication needs no more."""
        if self.values.dtype != np.int8:
            return self.values
        words = np.empty(self.values.size, np.int16)
        plain = replace(self, values=words)
        weight = np.empty((self.n_groups * self.n_out, self.n_in, *self.kernel), np.int16)
        for place, part in self._panels(weight):
            part[...] = unpacked(place)
        for place, part in plain._panels(weight * self.units.reshape(-1, 1, 1, 1)):
            place[...] = part
        return words

    @property
    def cell_size(self) -> int:
        """Channels of one cell."""
        return self.n_in // self.n_cells

    def cut(self, n_events: float) -> Blocks:
        """The same weights in smaller blocks where `n_events` events a pixel, on average, would keep them in cache.

        Rows stand in memory in the order in which they are added, however they are cut.
        """
        n_bytes = self.span * self.cell_size * panel_width(self.n_out, self.values.itemsize) * self.values.itemsize
        if self.n_groups > 1 or n_bytes <= _NEAREST_CACHE:
            return self
        if self.span > 1:
            return replace(self, span=1) if n_events >= _WORTH_A_CALL else self
        halves = replace(self, n_cells=2 * self.n_cells)
        return halves if self.cell_size % 2 == 0 and n_events >= _WORTH_A_CALL * halves.n_cells else self

    def as_tuple(self) -> tuple[int, int, int, int, int, int]:
        """What the kernel takes."""
        return self.n_groups, self.n_in, self.n_out, self.span, self.n_cells, self.shift

    def largest_sum(self, weight: np.ndarray) -> int:
        """The largest absolute sum of weights of one sign that one output can meet in one block."""
        rows, columns = self.kernel
        parts = weight.reshape(-1, self.n_cells, self.cell_size, rows, columns // self.span, self.span)
        return max(int(np.maximum(sign * parts, 0).sum(axis=(2, 5)).max(initial=0)) for sign in (1, -1))

    def _panels(self, weight: np.ndarray):
        """Pairs of views of equal shape, panel by panel: in the blocks, and in the weight."""
        (tap_rows, tap_columns), span = self.kernel, self.span
        n_rows = tap_rows * tap_columns * self.n_in
        for group in range(self.n_groups):
            first = 0
            while first < self.n_out:
                width = panel_width(self.n_out - first, self.values.itemsize)
                begin = group * self.n_out + first
                place = self.values[begin * n_rows : (begin + width) * n_rows]
                place = place.reshape(tap_rows, tap_columns // span, self.n_cells, span, self.cell_size, width)
                part = weight[begin : begin + width]
                part = part.reshape(width, self.n_cells, self.cell_size, tap_rows, tap_columns // span, span)
                yield place, part.transpose(3, 4, 1, 5, 2, 0)
                first += width


@kernel
def panel_width(n_left, n_bytes):
    """Output channels of the next panel: what the vector primitives come in for weights so wide, and a rest."""
    if n_bytes < 4 and n_left >= 128:
        return 128
    return 64 if n_left >= 64 else 32 if n_left >= 32 else 16 if n_left >= 16 else n_left
