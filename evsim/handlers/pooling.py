"""Max-pooling of spikes and of currents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.byte_rows import mark_row, or_each, zero_marks
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

__all__ = ["CurrentMaxPool", "SpikeMaxPool"]

_COUNTED_BY_EVENT = 0.15
"""Share of a row's places, at most, whose marks are counted event by event, and not from the marked bytes."""


class SpikeMaxPool:
    """out[y, x, c] = OR of the spikes of channel c in the window.

    Parameters
    ----------
    name : str
    window : Window
        Padding adds places that hold no spike.
    n_channels : int

    Attributes
    ----------
    most_by_event : int
        Events of a row of the map, at most, whose comparisons are counted one by one; those of more are counted from
        the marked bytes, eight at a time, where the channels allow it. Both ways give one number.

    A comparison is one mark of one window by one spike; the kernel marks a byte a spike and takes the OR of whole
    rows of bytes, which is the same in fewer instructions. Sets nothing, reads nothing but its inbox.
    """

    def __init__(self, name: str, window: Window, n_channels: int) -> None:
        self.name = name
        self.window = window
        self.n_channels = n_channels
        self.shape = (window.out_height, window.out_width, n_channels)
        self._seen = _Seen.by(window)
        self._windows_of = np.repeat(self._seen.n_columns, n_channels).astype(np.int32)
        n_in_row, in_words = self._windows_of.size, n_channels % 8 == 0 and n_channels <= 8 * 255
        self.most_by_event = int(_COUNTED_BY_EVENT * n_in_row) if in_words else n_in_row
        self._starts = np.zeros(window.height + 1, np.int64)  # where the events of each row begin
        self._plane = np.zeros((window.height, window.width * n_channels), np.uint8)
        self._in_row = np.empty(window.width * n_channels, np.uint8)
        self._out_row = zero_marks(window.out_width * n_channels)
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
            inbox["spikes"].address, self._seen, self.n_channels, self._windows_of, self.most_by_event,
            self._starts, self._plane, self._in_row, self._out_row, self._positions,
        )  # fmt: skip
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


@kernel(error_model="numpy")
def _pool_spikes(address, seen, n_channels, windows_of, most_by_event, starts, plane, in_row, out_row, positions):
    rows, columns, n_rows, n_columns, stride, padding, (dilation_y, dilation_x) = seen
    width = plane.shape[1]
    out_width, flat = columns.shape[0], plane.reshape(-1)
    n, n_marked, y_marked, y_clear = np.int64(0), 0, np.int64(0), np.int64(0)
    for y_out in range(rows.shape[0]):
        y_first, y_end = rows[y_out]
        while y_marked < y_end:
            row, first = plane[y_marked], y_marked * width
            event, n_windows = mark_row(address, starts[y_marked], first, windows_of, n_columns, most_by_event, row)
            starts[y_marked + 1] = event
            n_marked += n_rows[y_marked] * n_windows
            y_marked += 1
        if y_first < y_end and starts[y_first] < starts[y_end]:
            or_each(flat, y_first * width, y_end * width, dilation_y * width, width, in_row, np.int64(0))
            for x_out in range(out_width):
                begin, end = columns[x_out, 0] * n_channels, columns[x_out, 1] * n_channels
                or_each(in_row, begin, end, dilation_x * n_channels, n_channels, out_row, x_out * n_channels)
            n = lanes.list_nonzero(out_row, out_width * n_channels, y_out * out_width * n_channels, positions, n)
        y_next = min(y_marked, (y_out + 1) * stride - padding) if y_out + 1 < rows.shape[0] else y_marked
        while y_clear < y_next:
            if starts[y_clear] < starts[y_clear + 1]:
                plane[y_clear] = 0
            y_clear += 1
    return n_marked, n


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
