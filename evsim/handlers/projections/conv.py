"""Conv2d: a convolution that adds one weight row for each spike in a receptive field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from evsim.arithmetic.whole import PIXEL_BITS, Claim, Fixing, check_payload, gains_of, rounded
from evsim.arithmetic.whole_lanes import add_moved
from evsim.engine.current import Current, CurrentRows, Taker
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Synapses
from evsim.handlers.held_rows import HeldRows
from evsim.handlers.projections.blocks import Blocks
from evsim.handlers.projections.depthwise import by_tap, spread
from evsim.handlers.projections.gather import Gathering, Planes, bands, gather_tiles, index_cells
from evsim.handlers.projections.whole_weights import WholeWeights, bits_of, largest_sum
from evsim.handlers.window import Window

__all__ = ["Conv2d", "Window"]


_NO_PAYLOAD, _NO_WHOLE_PAYLOAD = np.empty(0, np.float32), np.empty(0, np.int32)
_WORTH_PLANES = 32
"""Input channels from which on a receptive field holds events enough for several passes."""
_MOST_PLANES = 5
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
    weight : float [c_out, c_in / groups, kernel rows, kernel columns]
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

    constants = ("blocks", "_words")

    def __init__(
        self, name: str, weight: np.ndarray, bias: np.ndarray | None, window: Window, current: Current, groups: int = 1
    ) -> None:
        self.name = name
        self.window = window
        self.groups = groups
        self.has_bias = bias is not None
        self.norm: str | None = None
        self.is_once = False
        self.n_weight_axes = weight.ndim
        if weight.shape[2:] != window.kernels:
            raise NetworkError(f"{name}: weight is {weight.shape}, its window has a kernel of {window.kernels}")
        self.blocks = Blocks.of(weight, groups, is_dilated=window.is_dilated)
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
        is_depthwise = weight.shape[1] == 1 and self.n_in == self.n_out > 1
        self._taps = by_tap(weight) if is_depthwise else None
        self._exponent: int | np.ndarray | None = None
        self._gains = np.ones(self.n_out)
        self._largest_payload = self._largest_sum = 0
        self._words: np.ndarray | None = None

    @property
    def weight(self) -> np.ndarray:
        """The weights as given (in fixed point: as rounded), float32: as they were given."""
        if self._exponent is None:
            return self.blocks.weight()
        steps = np.ldexp(1 / self._gains, np.negative(self._exponent))
        return (self.blocks.weight() * steps.reshape(-1, 1, 1, 1)).astype(np.float32)

    def by_channel(self, fixing: Fixing) -> tuple[Current, ...]:
        """In eight bits: one scale for all channels would waste them, as a folded BatchNorm gives each its own size."""
        return (self.current,) if bits_of(fixing, self.blocks.n_out) == 8 else ()

    def gains(self, fixing: Fixing) -> np.ndarray:
        """Those that let the largest weight of each channel fill its bits."""
        return gains_of(self.weight, bits_of(fixing, self.blocks.n_out))

    def claim(self, fixing: Fixing) -> Claim:
        """See `WholeWeights.claim`."""
        return self._whole(fixing).claim()

    def fix(self, fixing: Fixing) -> None:
        """Whole weights, see `WholeWeights.fixed`."""
        whole, gains = self._whole(fixing), fixing.gains(self.current)
        self.blocks, self._exponent = whole.fixed(fixing.scale(self.current), self.groups, self.window.is_dilated)
        self._gains = self._gains if gains is None else gains
        self._largest_payload, self._band, self._taps, self._words = fixing.payload, None, None, None
        self._largest_sum = int(largest_sum(self.blocks.weight().astype(np.int64), is_signed=True).max(initial=0))

    def _whole(self, fixing: Fixing) -> WholeWeights:
        gains, weight = fixing.gains(self.current), self.weight.astype(np.float64)
        if gains is not None:
            weight *= gains.reshape(-1, 1, 1, 1)
        bits = bits_of(fixing, self.blocks.n_out)
        return WholeWeights(self.name, weight, self.blocks, fixing, bits, gains is not None)

    @property
    def n_inputs(self) -> int:
        """Places the input operand has: rows x columns x channels."""
        return self.window.height * self.window.width * self.n_in

    @property
    def geometry(self) -> Synapses:
        """What it says of itself to conventions."""
        sizes = (self.window, self.n_in, self.n_out, self.groups)
        told = {"has_bias": self.has_bias, "is_linear": self.n_weight_axes == 2, "is_once": self.is_once}
        return Synapses(*sizes, **told)

    def asynchronous(self) -> Act | None:
        """One event adds its weight rows, wherever they belong, and nothing waits; by square windows only."""
        b, window = self.blocks, self.window.square()
        if window is None:
            return None
        numbers = (b.n_groups, b.n_in, b.n_out, *window, b.shift)
        largest = None if self._exponent is None else self._largest_payload
        if self._words is None:
            self._words = b.words()
        return Act(Kind.PROJECT, numbers, writes=self.current, weights=self._words, largest_payload=largest)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add the weight rows of the delivered events to the current of `step`."""
        spikes = inbox["spikes"]
        if self._is_first_writer and spikes.payload is not None and spikes.payload.dtype == np.float32:
            self.current.mark_still(step, spikes)
            return Spikes.none(), self._held.write(step, spikes, lambda rows: self._gather(spikes, rows))
        return Spikes.none(), self._project(spikes, step)

    def handle_steps(self, turns: Sequence[tuple[int, Mapping[str, Spikes]]]) -> list[tuple[Spikes, OpCounts]]:
        """Several steps in a row; in one call of a kernel where the population behind takes them all."""
        steps, delivered = [step for step, _ in turns], [inbox["spikes"] for _, inbox in turns]
        taker = self.current.taker(steps[0])
        if taker is None or not taker.takes_steps(steps) or not self._may_join(delivered):
            return [self.handle(step, inbox) for step, inbox in turns]
        counted = self._hand_over(taker, steps, delivered)
        return [(Spikes.none(), self._count(spikes, counts)) for spikes, counts in zip(delivered, counted, strict=True)]

    def _may_join(self, delivered: list[Spikes]) -> bool:
        """Whether these spikes can stand in one list: all binary, or all whole numbers to float32 weights."""
        kinds = {None if spikes.payload is None else spikes.payload.dtype for spikes in delivered}
        return kinds == {None} or (self._exponent is None and kinds == {np.dtype(np.int32)})

    def reset(self) -> None:
        """Forget the held result of a constant input."""
        self._held.forget()
        self.current.reset()

    def _project(self, spikes: Spikes, step: int) -> OpCounts:
        taker = self.current.taker(step) if self._taps is None else None
        if taker is None:
            return self._gather(spikes, self.current.rows(step))
        return self._count(spikes, self._hand_over(taker, [step], [spikes])[0])

    def _hand_over(self, taker: Taker, steps: list[int], delivered: list[Spikes]) -> list[list[int]]:
        """Let the population take the sums of these steps; returns gather's counts of each."""
        addresses, payloads = ([getattr(s, part) for s in delivered] for part in ("address", "payload"))
        if len(steps) == 1:
            spikes = delivered[0]
        else:
            spikes = Spikes(np.concatenate(addresses), None if payloads[0] is None else np.concatenate(payloads))
        gathering = self._gathering(spikes.address, self._payload(spikes), self.blocks, len(steps), is_indexed=False)
        ends = np.cumsum([address.size for address in addresses])
        return taker.take(steps, gathering, ends, self._bands, self._band_rows()).tolist()

    def _gather(self, spikes: Spikes, target: CurrentRows) -> OpCounts:
        if self._exponent is not None and spikes.payload is not None and spikes.payload.dtype == np.float32:
            return self._count(spikes, self._gather_pixels(spikes, target))
        payload = self._payload(spikes)
        if self._taps is not None:
            address = np.ascontiguousarray(spikes.address)
            counted = spread(address, payload, self._taps, self._window, target.value, target.touched)
            return self._count(spikes, counted)
        gathering = self._gathering(spikes.address, payload, self.blocks)
        return self._count(spikes, gather_tiles(gathering, self._all_tiles, target.value, target.touched))

    def _gather_pixels(self, spikes: Spikes, target: CurrentRows) -> tuple[int, ...]:
        """Real values in whole steps: their sums are exact, and rounded (half up) once, to the current's scale.

        A value that is rounded to zero is no event. Sums are int64 unless those of this image fit int32.
        """
        check_payload(self.name, spikes.payload, self._largest_payload)
        pixel = rounded(spikes.payload, PIXEL_BITS, np.int32)
        address, pixel = spikes.address[pixel != 0], pixel[pixel != 0]
        fits = int(np.abs(pixel).max(initial=0)) * self._largest_sum < 2**30
        sums = np.zeros(target.value.shape, np.int32 if fits else np.int64)
        gathering = self._gathering(address, pixel, replace(self.blocks, shift=0))._replace(planes=Planes.none())
        counts = gather_tiles(gathering, self._all_tiles, sums, target.touched)
        add_moved(sums, self.blocks.shift - PIXEL_BITS, target.value)
        return counts

    def _gathering(
        self, address: np.ndarray, payload: np.ndarray, blocks: Blocks, n_steps: int = 1, is_indexed: bool = True
    ) -> Gathering:
        """Of the events of some steps, which `index_step` then takes one by one, unless they are indexed already."""
        n_pixels = self.window.height * self.window.width
        blocks = blocks.cut(address.size / (n_steps * n_pixels))
        address = np.ascontiguousarray(address)
        cells = n_pixels * self.groups * blocks.n_cells, blocks.cell_size
        start = index_cells(address, *cells) if is_indexed else np.empty(cells[0] + 1, np.int32)
        planes = Planes.of(address, payload, *cells) if self._has_planes(payload, blocks) else Planes.none()
        return Gathering(start, address, payload, blocks.values, blocks.units, blocks.as_tuple(), self._window, planes)

    @staticmethod
    def _has_planes(payload: np.ndarray, blocks: Blocks) -> bool:
        """Whether adding by the bits of the payload is faster: small sums of spikes, in layers of many channels.

        Bytes are multiplied only where they must be.
        """
        is_whole = payload.size > 0 and blocks.values.dtype != np.float32 and 0 < payload.min()
        is_worth_it = blocks.n_in >= _WORTH_PLANES and payload.max(initial=0) < 2**_MOST_PLANES
        return is_whole and (is_worth_it or blocks.values.dtype == np.int8)

    def _payload(self, spikes: Spikes) -> np.ndarray:
        """The payload in the arithmetic of the weights."""
        if self._exponent is None:
            return _NO_PAYLOAD if spikes.payload is None else spikes.payload.astype(np.float32)
        if spikes.payload is None:
            return _NO_WHOLE_PAYLOAD
        check_payload(self.name, spikes.payload, self._largest_payload)
        return spikes.payload

    @staticmethod
    def _count(spikes: Spikes, counted: tuple[int, ...]) -> OpCounts:
        sums, units, graded, accumulators = counted
        memory = {"weight_reads": sums, "state_reads": accumulators, "state_writes": accumulators}
        if spikes.payload is not None and spikes.payload.dtype == np.float32:
            return OpCounts(macs=sums, **memory)
        return OpCounts(acs=units, event_acs=sums, graded_acs=graded, **memory)

    def _band_rows(self) -> CurrentRows:
        if self._band is None:
            self._band = self.current.new_rows(int((self._bands[:, 3] - self._bands[:, 2]).max()))
        return self._band
