"""Current: the input current of one or more populations, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.lanes import aligned_zeros
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError

__all__ = ["Current", "CurrentRows", "Taker", "Values", "bounded", "check_room"]


@dataclass
class Values:
    """How many values the currents declared so far have over all steps, and how many they may have."""

    most: int
    n_steps: int
    declared: int = 0


_VALUES: ContextVar[Values | None] = ContextVar("values", default=None)


@contextmanager
def bounded(most: int, n_steps: int) -> Iterator[Values]:
    """While a network is built from a stranger's file, refuse currents of more than `most` values over all its steps.

    Raises
    ------
    NetworkError
        By the `Current` that would be too many, before anything of its size is allocated.
    """
    token = _VALUES.set(Values(most, n_steps))
    try:
        yield _VALUES.get()
    finally:
        _VALUES.reset(token)


@dataclass(frozen=True, slots=True, eq=False)
class CurrentRows:
    """The current of one step: `value` [n_places, n_channels] and `touched` uint8 [n_places].

    Values are float32, in fixed point int32 or int16.

    A place that is not touched holds zeros: its current is the bias alone.
    """

    value: np.ndarray
    touched: np.ndarray


class Taker(Protocol):
    """The only reader of a current with one writer: it may take rows band by band, as they are written.

    A map of currents is larger than the caches; a band is read, and cleared, while it is in the nearest one. The
    writer hands over what it would do (its gathering), where the events of each step end, the bands, and rows for one
    of them.
    """

    def takes(self, step: int) -> bool: ...

    def takes_steps(self, steps: Sequence[int]) -> bool: ...

    def take(
        self, steps: Sequence[int], gathering: tuple, ends: np.ndarray, bands: np.ndarray, band: CurrentRows
    ) -> np.ndarray: ...


class Current:
    """X[step] = bias + sum over writers of what they added at the touched places.

    Projections add in place, one after the other: a membrane shortcut is two projections that write one
    Current. A population reads the sum so far at its own stage, and must be woken by every earlier writer.
    The constant part (folded BatchNorm and layer biases) is kept apart, as one vector, or as one value for each
    place and channel (position embeddings, borders): it comes each step without an event.

    Parameters
    ----------
    n_places : int
        Pixels or tokens.
    n_channels : int
        Channels of a place.

    Attributes
    ----------
    bias : float64 [n_channels], or [n_places, n_channels] once anybody added one by place
        Sum of the biases so far.
    writers : list of str
        Names of the writers joined so far, in run order.
    is_whole : bool
        Whether every sum is exact whatever its order, because all writers add whole numbers.
    dtype : type
        Of the values: float32, in fixed point int32 or int16.
    exponent : int, or int64 [n_channels]
        In fixed point a value is in steps of 2^-exponent,
    gains : float64 [n_channels] or None
        divided by these where channels differ, see `evsim.arithmetic.whole`.
    """

    def __init__(self, n_places: int, n_channels: int) -> None:
        self.n_places = n_places
        self.n_channels = n_channels
        _declare(n_places * n_channels)
        self.bias = np.zeros(n_channels)
        self.writers: list[str] = []
        self.is_whole = True
        self.dtype, self.exponent = np.float32, 0
        self.gains: np.ndarray | None = None
        self.readers: list[str] = []
        self._taker: Taker | None = None
        self._live: dict[int, CurrentRows] = {}
        self._lent: set[int] = set()
        self._cause: dict[int, Spikes] = {}
        self._free: list[CurrentRows] = []

    def join_writer(self, name: str, bias: np.ndarray | None = None, whole: bool = False) -> None:
        """Declare a writer, at build time and in run order.

        `whole` promises that it adds only whole numbers or dyadic fractions that float32 sums exactly.
        """
        self.is_whole = self.is_whole and whole
        self.writers.append(name)
        self._taker = None
        if bias is not None:
            self.add_bias(bias)

    def add_bias(self, bias: np.ndarray) -> None:
        """Add to the constant part, at build time: [n_channels], or [n_places, n_channels].

        Raises
        ------
        NetworkError
            Another shape.
        """
        bias = np.asarray(bias, np.float64)
        if bias.shape not in ((self.n_channels,), (self.n_places, self.n_channels)):
            expected = f"{(self.n_channels,)} or {(self.n_places, self.n_channels)}"
            raise NetworkError(f"a bias of shape {bias.shape} for a current of {expected} (places, channels)")
        self.bias = self.bias + (bias[0] if bias.ndim > 1 and self.n_places == 1 else bias)

    def join_reader(self, name: str, by_place: bool = False) -> tuple[np.ndarray, tuple[str, ...]]:
        """Declare a reader; returns the bias it will see (float32) and the writers that must wake it.

        `by_place`: it can do with a bias that differs from place to place.

        Raises
        ------
        NetworkError
            It cannot, and the bias does.
        """
        if self.bias.ndim > 1 and not by_place:
            raise NetworkError(f"{name}: its current has a bias for each place, expected one for each channel")
        self.readers.append(name)
        self._taker = None
        return self.bias.astype(np.float32), tuple(self.writers)

    def offer(self, taker: Taker) -> None:
        """Let the reader that joined last take rows as they are written, while it is alone with one writer."""
        if len(self.writers) == 1 and len(self.readers) == 1:
            self._taker = taker

    def taker(self, step: int) -> Taker | None:
        """Who takes the rows of `step` band by band, straight from the writer; None: they go into `rows`.

        While rows of another step wait for their reader, those of this one must wait behind them.
        """
        is_free = self._taker is not None and not self._live
        return self._taker if is_free and self._taker.takes(step) else None

    def fix(self, exponent: int | np.ndarray, dtype: type, gains: np.ndarray | None = None) -> None:
        """Keep whole numbers from now on, in steps of 2^-exponent / gains."""
        self.dtype, self.exponent, self.gains = dtype, exponent, gains
        self._live.clear()
        self._cause.clear()
        self._free.clear()

    def rows(self, step: int) -> CurrentRows:
        """The rows of `step`, all zero and untouched when nobody wrote yet."""
        rows = self._live.get(step)
        if rows is None:
            rows = self._live[step] = self._free.pop() if self._free else self.new_rows(self.n_places)
        return rows

    def mark_still(self, step: int, cause: Spikes) -> None:
        """Say that the rows of `step` are what the input `cause` makes, so far: the same object, the same rows."""
        self._cause[step] = cause

    def still_cause(self, step: int) -> Spikes | None:
        """What `mark_still` said about `step`; means nothing to a reader behind a second writer."""
        return self._cause.get(step)

    def lend(self, step: int, rows: CurrentRows) -> None:
        """Let `rows`, which their owner keeps, be the rows of `step`: to be read, not written or cleared."""
        self._live[step] = rows
        self._lent.add(step)

    def may_clear(self, step: int, reader: str) -> bool:
        """Whether nobody needs the rows of `step` after `reader`."""
        return reader == self.readers[-1] and step not in self._lent

    def release(self, step: int, reader: str, is_clear: bool = False) -> None:
        """Give the rows of `step` back once the last declared reader is done with them.

        `is_clear` promises that it has set them to zero and untouched again.
        """
        if reader == self.readers[-1] and step in self._live:
            self._recycle(step, is_clear)

    def reset(self) -> None:
        """Forget every step."""
        for step in list(self._live):
            self._recycle(step)

    def _recycle(self, step: int, is_clear: bool = False) -> None:
        self._cause.pop(step, None)
        rows = self._live.pop(step)
        if step in self._lent:
            self._lent.remove(step)
            return
        if not is_clear:
            _clear_touched(rows.value, rows.touched)
        self._free.append(rows)

    def new_rows(self, n_places: int) -> CurrentRows:
        """Rows for so many places, all zero and untouched."""
        return CurrentRows(aligned_zeros((n_places, self.n_channels), self.dtype), np.zeros(n_places, np.uint8))


def check_room(n_values: int) -> None:
    """Refuse a network whose currents will have at least so many values a step, before anything is made of it.

    Raises
    ------
    NetworkError
        More than `bounded` allows.
    """
    values = _VALUES.get()
    if values is not None and values.declared + n_values * values.n_steps > values.most:
        raise NetworkError(
            f"more than {values.most:,} values of currents in {values.n_steps} steps: height, width or n_steps are too "
            "large for a file of so few weights"
        )


def _declare(n_values: int) -> None:
    check_room(n_values)
    values = _VALUES.get()
    if values is not None:
        values.declared += n_values * values.n_steps


@kernel
def _clear_touched(value, touched):
    for place in range(touched.size):
        if touched[place]:
            touched[place] = 0
            value[place, :] = 0
