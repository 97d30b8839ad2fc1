"""Max-pooling of spikes and of currents, and the dilations of the event-camera attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import Claim, Fixing, moved
from evsim.engine.current import Current, CurrentRows
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Pool
from evsim.handlers.held_rows import HeldRows
from evsim.handlers.window import Window

__all__ = ["CurrentMaxPool", "PlaneDilation", "SpikeMaxPool"]


class SpikeMaxPool:
    """out[y, x, c] = OR of the spikes of channel c in the window.

    Parameters
    ----------
    name : str
    window : Window
        Padding adds places that hold no spike.
    n_channels : int

    A comparison is one mark of one window by one spike; the kernel marks a byte a spike and takes the OR of whole
    rows of bytes, which is the same in fewer instructions. Sets nothing, reads nothing but its inbox.
    """

    def __init__(self, name: str, window: Window, n_channels: int) -> None:
        self.name = name
        self.window = window
        self.n_channels = n_channels
        self.shape = (window.out_height, window.out_width, n_channels)
        self._seen = _Seen.by(window)
        self._plane = np.zeros((window.height, window.width * n_channels), np.uint8)
        self._in_row = np.empty(window.width * n_channels, np.uint8)
        self._out_row = _zero_marks(window.out_width * n_channels)
        self._positions = np.empty(math.prod(self.shape) + lanes.LANES, np.int32)

    @property
    def n_inputs(self) -> int:
        """Places the input operand has: rows x columns x channels."""
        return self.window.height * self.window.width * self.n_channels

    @property
    def geometry(self) -> Pool:
        """What it says of itself to conventions."""
        height, width, n_channels = self.shape
        return Pool(self.n_inputs, height * width * n_channels, of_spikes=True)

    def asynchronous(self) -> Act | None:
        """The first spike of a window passes, later ones of the same step are absorbed; by square windows only."""
        n, window = math.prod(self.shape), self.window.square()
        return None if window is None else Act(Kind.POOL, (self.n_channels, *window), n_outputs=n, n_marks=n)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Pool the delivered spikes."""
        comparisons, n = _pool_spikes(
            inbox["spikes"].address, self._seen, self.n_channels,
            self._plane, self._in_row, self._out_row, self._positions,
        )  # fmt: skip
        return Spikes(self._positions[:n].copy()), OpCounts(comparisons=comparisons)

    def reset(self) -> None:
        """Nothing is remembered between steps."""


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
        self._marks = _zero_marks(n_tokens * n_channels)
        self._positions = np.empty(n_tokens * n_channels + lanes.LANES, np.int32)

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
        comparisons = _mark_plane(address, self.n_inputs, self.n_channels, self.head_channels, self._marks)
        n = _take_marks(self._marks, self._positions)
        return Spikes(self._positions[:n].copy()), OpCounts(comparisons=comparisons)

    def reset(self) -> None:
        """Nothing is remembered between steps."""


class CurrentMaxPool:
    """out[y, x, c] = max over the window of the real-valued current of channel c; padding never wins.

    The bias is one constant a channel, so it passes through unchanged. A window none of whose places was
    touched is not computed: its maximum is the bias alone. What a still image makes is computed once.

    Parameters
    ----------
    name : str
    source, target : Current
        [height * width, n_channels] and [out_height * out_width, n_channels].
    window : Window

    A comparison is one of two values of one channel. Sets `target`, whose first writer it must be; reads `source`.
    """

    def __init__(self, name: str, source: Current, target: Current, window: Window) -> None:
        if source.n_places != window.height * window.width:
            raise NetworkError(
                f"{name}: pools {window.height}x{window.width} places, its current has {source.n_places}"
            )
        expected = (window.out_height * window.out_width, source.n_channels)
        if (target.n_places, target.n_channels) != expected:
            found = (target.n_places, target.n_channels)
            raise NetworkError(f"{name}: writes {expected} (places, channels) into a current of {found}")
        if target.writers:
            raise NetworkError(f"{name}: sets a current that {target.writers[0]} has already written to")
        self.name = name
        self.source, self.target, self.window = source, target, window
        _, self.wakers = source.join_reader(name)
        target.join_writer(name, source.bias)
        self._finer: int | np.ndarray = 0
        self._can_hold = len(self.wakers) == 1 and target.writers == [name]
        self._held = HeldRows(target, name)
        self._seen = _Seen.by(window)
        self.n_inputs = source.n_places * source.n_channels

    def by_channel(self, fixing: Fixing) -> tuple[Current, ...]:
        """A channel meets no other, so its steps may be its own, as long as source and target measure alike."""
        return self.source, self.target

    def gains(self, fixing: Fixing) -> np.ndarray | None:
        """Those of the source."""
        return fixing.gains(self.source)

    def claim(self, fixing: Fixing) -> Claim:
        """What the source has."""
        source = fixing.scale(self.source)
        return Claim(source.exponent, source.exponent, source.reach, 1)

    def fix(self, fixing: Fixing) -> None:
        """A maximum of whole numbers, then moved to the steps of `target`."""
        self._finer = self.target.exponent - self.source.exponent

    @property
    def geometry(self) -> Pool:
        """What it says of itself to conventions."""
        return Pool(self.n_inputs, self.target.n_places * self.target.n_channels, of_spikes=False)

    def asynchronous(self) -> Act | None:
        """A running maximum: only the change of a window's maximum travels on; by square windows only."""
        target, window = self.target, self.window.square()
        if window is None:
            return None
        n = target.n_places * target.n_channels
        finer = np.broadcast_to(self._finer, target.n_channels)
        room = {"n_marks": target.n_places, "n_sums": n}
        return Act(Kind.POOL_CURRENT, window, (), self.source, target, scales=finer, **room)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Pool the current of `step`."""
        cause = self.source.still_cause(step) if self._can_hold else None
        if cause is None:
            counts = self._pool(step, self.target.rows(step))
        else:
            counts = self._held.write(step, cause, lambda rows: self._pool(step, rows))
        self.source.release(step, self.name)
        return Spikes.none(), counts

    def reset(self) -> None:
        """Forget the held result and the currents of unfinished steps."""
        self._held.forget()
        self.source.reset()
        self.target.reset()

    def _pool(self, step: int, target: CurrentRows) -> OpCounts:
        source = self.source.rows(step)
        comparisons, reads, writes = _pool_current(
            source.value, source.touched, self._seen, target.value, target.touched
        )
        if np.any(self._finer):
            target.value[...] = moved(target.value, self._finer)
        return OpCounts(comparisons=comparisons, state_reads=reads, state_writes=writes)


def _zero_marks(n_places: int) -> np.ndarray:
    return np.zeros((n_places + 15) // 16 * 16, np.uint8)


@kernel
def _take_marks(marks, positions):
    """The marked places in order; the marks are cleared."""
    n = lanes.list_nonzero(marks, marks.size, 0, positions, 0)
    marks[:] = 0
    return n


class _Seen(NamedTuple):
    """What the windows of a pool see, for the kernels: worked out once, so that there is less to compile and to run.

    Parameters
    ----------
    rows, columns : int64 [n_out, 2]
        First place inside the map, and where to stop, of each window along one axis; in steps of the dilation.
    n_rows, n_columns : int64 [size]
        Windows along one axis that a place lies in.
    stride, padding : int
        Of rows.
    dilations : (int, int)
        Of rows and columns.
    """

    rows: np.ndarray
    columns: np.ndarray
    n_rows: np.ndarray
    n_columns: np.ndarray
    stride: int
    padding: int
    dilations: tuple[int, int]

    @staticmethod
    def by(window: Window) -> _Seen:
        """The windows of a map."""
        taps = window.taps(0), window.taps(1)
        spans = [np.array([(t[0], t[-1] + 1) if t else (0, 0) for t in places], np.int64) for places in taps]
        sizes = window.height, window.width
        counts = [
            np.bincount(np.array([x for t in places for x in t], np.int64), minlength=size)
            for places, size in zip(taps, sizes, strict=True)
        ]
        return _Seen(*spans, *counts, window.strides[0], window.paddings[0], window.dilations)


@inner_kernel(error_model="numpy")
def _mark_row(address, event, y, seen, n_channels, row):
    """Mark the events of row y; returns the next event, and how many windows the marked events lie in."""
    n_rows, n_columns = seen.n_rows[y], seen.n_columns
    first = y * row.size
    end, pixel_end = first + row.size, first
    n_marked, n_windows, x = 0, 0, np.int64(-1)
    while event < address.size and address[event] < end:
        place = address[event]
        if place >= pixel_end:
            while place >= pixel_end:  # no division: pixels are passed one by one
                pixel_end += n_channels
                x += 1
            n_windows = n_rows * n_columns[x]
        row[place - first] = 1
        n_marked += n_windows
        event += 1
    return event, n_marked


@kernel(error_model="numpy")
def _pool_spikes(address, seen, n_channels, plane, in_row, out_row, positions):
    rows, columns, _, _, stride, padding, (dilation_y, dilation_x) = seen
    height, out_width = plane.shape[0], columns.shape[0]
    n, n_marked, event, y_marked, y_clear = np.int64(0), 0, np.int64(0), np.int64(0), 0  # plain 0s compile calls twice
    for y_out in range(rows.shape[0]):
        while y_marked < rows[y_out, 1]:
            event, n_windows = _mark_row(address, event, y_marked, seen, n_channels, plane[y_marked])
            n_marked += n_windows
            y_marked += 1
        in_row[:] = 0
        for y in range(rows[y_out, 0], rows[y_out, 1], dilation_y):
            row = plane[y]
            for i in range(in_row.size):
                in_row[i] |= row[i]
        for x_out in range(out_width):
            target = out_row[x_out * n_channels : (x_out + 1) * n_channels]
            target[:] = 0
            for x in range(columns[x_out, 0], columns[x_out, 1], dilation_x):
                source = in_row[x * n_channels : (x + 1) * n_channels]
                for i in range(n_channels):
                    target[i] |= source[i]
        n = lanes.list_nonzero(out_row, out_width * n_channels, y_out * out_width * n_channels, positions, n)
        y_next = min(height, (y_out + 1) * stride - padding)
        if y_next > y_clear:
            plane[y_clear:y_next] = 0
            y_clear = y_next
    plane[y_clear:y_marked] = 0
    return n_marked, n


@kernel(error_model="numpy")
def _mark_plane(address, n_inputs, n_channels, head_channels, marks):
    n_marked = 0
    for event in range(address.size):
        here = address[event]
        within = here % head_channels
        for token_shift in range(-1, 2):
            moved = here + token_shift * n_channels
            if moved < 0 or moved >= n_inputs:
                continue
            for channel_shift in range(-1, 2):
                if 0 <= within + channel_shift < head_channels:
                    marks[moved + channel_shift] = 1
                    n_marked += 1
    return n_marked


@kernel(error_model="numpy")
def _pool_current(source, source_touched, seen, target, target_touched):
    rows, columns, _, n_columns, _, _, (dilation_y, dilation_x) = seen
    width, out_width = n_columns.size, columns.shape[0]
    n_channels = source.shape[1]
    n_compared, n_read, n_written = 0, 0, 0
    for place in range(target.shape[0]):
        y_out, x_out = place // out_width, place % out_width
        any_touched = False
        for y in range(rows[y_out, 0], rows[y_out, 1], dilation_y):
            for x in range(columns[x_out, 0], columns[x_out, 1], dilation_x):
                any_touched |= source_touched[y * width + x] != 0
        if not any_touched:
            continue
        best, n_values = target[place], 0
        for y in range(rows[y_out, 0], rows[y_out, 1], dilation_y):
            for x in range(columns[x_out, 0], columns[x_out, 1], dilation_x):
                row = source[y * width + x]
                for j in range(n_channels):
                    best[j] = max(best[j], row[j]) if n_values else row[j]
                n_values += 1
        target_touched[place] = 1
        n_compared += (n_values - 1) * n_channels
        n_read += n_values * n_channels
        n_written += n_channels
    return n_compared, n_read, n_written
