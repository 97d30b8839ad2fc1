"""Conv2d: a convolution that adds one weight row for each spike in a receptive field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.current import Current, CurrentRows
from evsim.errors import NetworkError
from evsim.held_rows import HeldRows
from evsim.ledger import OpCounts
from evsim.projections.gather import Blocks, Gathering, bands, gather_tiles, index_cells
from evsim.spikes import Spikes

__all__ = ["Conv2d", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """Where a kernel looks: an input map, a square kernel, its stride and zero padding.

    Parameters
    ----------
    height, width : int
        Of the input map, in pixels.
    kernel, stride, padding : int
    """

    height: int
    width: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    def as_tuple(self) -> tuple[int, int, int, int, int, int, int]:
        """What the kernels take: input size, output size, kernel, stride, padding."""
        sizes = (self.height, self.width, self.out_height, self.out_width)
        return (*sizes, self.kernel, self.stride, self.padding)


_NO_PAYLOAD = np.empty(0, np.float32)
_BAND_VALUES = 1 << 14
"""Values of a band that a population takes at once: with its membranes they stay in the second-level cache."""


class Conv2d:
    """X[y, x, :] += sum over active inputs (dy, dx, c) of the receptive field of payload * W[dy, dx, c, :].

    Output-stationary: each output pixel sums the weight rows of the events in its receptive field, in the order of
    kernel rows, kernel columns and channels. An output pixel without an event is neither read nor written.

    Parameters
    ----------
    name : str
        The checkpoint's module name.
    weight : float [c_out, c_in / groups, kernel, kernel]
        BatchNorm already folded in.
    bias : float [c_out] or None
        Joins the constant part of `current`.
    window : Window
    current : Current
        Where the sums go: [out_height * out_width, c_out].
    groups : int

    Attributes
    ----------
    has_bias : bool
        Whether the checkpoint's layer has a bias of its own, apart from a folded BatchNorm.
    norm : str or None
        Name of the BatchNorm that was folded in.
    n_weight_axes : int
        Axes of the checkpoint's tensor: 2 for a linear module, 3 or 4 for a convolution, of kernel 1 perhaps.

    Sets nothing of its own, incs `current`, reads its weights.
    """

    constants = ("blocks",)

    def __init__(
        self, name: str, weight: np.ndarray, bias: np.ndarray | None, window: Window, current: Current, groups: int = 1
    ) -> None:
        self.name = name
        self.window = window
        self.groups = groups
        self.has_bias = bias is not None
        self.norm: str | None = None
        self.n_weight_axes = weight.ndim
        self.blocks = Blocks.of(weight, groups)
        self.n_in = weight.shape[1] * groups
        self.n_out = weight.shape[0]
        expected = (window.out_height * window.out_width, self.n_out)
        if (current.n_places, current.n_channels) != expected:
            found = (current.n_places, current.n_channels)
            raise NetworkError(f"{name}: writes {expected} (places, channels) into a current of {found}")
        self.current = current
        current.join_writer(name, bias)
        self._is_first_writer = current.writers == [name]
        self._held = HeldRows(current, name)
        places = (window.out_height, window.out_width)
        self._window = window.as_tuple()
        self._bands = bands(*places, max(1, _BAND_VALUES // self.n_out))
        self._all_tiles = (0, int(self._bands[-1, 1]), 0)
        self._band: CurrentRows | None = None

    @property
    def weight(self) -> np.ndarray:
        """The weights as given, in float32: [c_out, c_in / groups, kernel, kernel]."""
        return self.blocks.weight()

    @property
    def n_inputs(self) -> int:
        """Places the input operand has: rows x columns x channels."""
        return self.window.height * self.window.width * self.n_in

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add the weight rows of the delivered events to the current of `step`."""
        spikes = inbox["spikes"]
        if self._is_first_writer and spikes.payload is not None and spikes.payload.dtype == np.float32:
            self.current.mark_still(step, spikes)
            return Spikes.none(), self._held.write(step, spikes, lambda rows: self._gather(spikes, rows))
        return Spikes.none(), self._project(spikes, step)

    def reset(self) -> None:
        """Forget the held result of a constant input."""
        self._held.forget()
        self.current.reset()

    def _project(self, spikes: Spikes, step: int) -> OpCounts:
        taker = self.current.taker(step)
        if taker is None:
            return self._gather(spikes, self.current.rows(step))
        return self._count(spikes, taker.take(step, self._gathering(spikes), self._bands, self._band_rows()))

    def _gather(self, spikes: Spikes, target: CurrentRows) -> OpCounts:
        counts = gather_tiles(self._gathering(spikes), self._all_tiles, target.value, target.touched)
        return self._count(spikes, counts)

    def _gathering(self, spikes: Spikes) -> Gathering:
        n_pixels = self.window.height * self.window.width
        blocks = self.blocks.cut(len(spikes) / n_pixels)
        address = np.ascontiguousarray(spikes.address)
        start = index_cells(address, n_pixels * self.groups * blocks.n_cells, blocks.cell_size)
        payload = _NO_PAYLOAD if spikes.payload is None else spikes.payload.astype(np.float32)
        return Gathering(start, address, payload, blocks.values, blocks.as_tuple(), self._window)

    @staticmethod
    def _count(spikes: Spikes, counted: tuple[int, ...]) -> OpCounts:
        sums, units, graded, accumulators = counted
        memory = {"weight_reads": sums, "state_reads": accumulators, "state_writes": accumulators}
        if spikes.payload is not None and spikes.payload.dtype == np.float32:
            return OpCounts(macs=sums, **memory)
        return OpCounts(acs=sums, unit_acs=units, graded_acs=graded, **memory)

    def _band_rows(self) -> CurrentRows:
        if self._band is None:
            self._band = self.current.new_rows(int((self._bands[:, 3] - self._bands[:, 2]).max()))
        return self._band
