"""Whole numbers for real ones: scales, and the proof that no sum leaves its type, whatever the order of the events.

    x  is kept as  round(x * g * 2^s)

Each writer of a current claims the scale it would like and tells how large its sums can become, with every weight
of one sign active. The scale of a current is the finest claimed, or a coarser one at which

    sum over writers of the largest |sum|  +  |bias|  +  |v_threshold| + 2 |v_reset|  <  2^30

so that X, V and X - V fit int32; below 2^14 they fit int16, and rows and membranes are kept so.

A current has one s and g = 1, or an s and a gain g (1 <= g < 2) for each channel, where everything that writes and
reads it can do with that. Numbers below that are "by channel" are then arrays, and values have been multiplied by g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evsim.errors import EvsimError

__all__ = [
    "Claim",
    "Fixing",
    "Scale",
    "Summed",
    "check_payload",
    "divided",
    "gains_of",
    "largest_weight",
    "moved",
    "rounded",
    "weight_exponent",
    "weight_exponents",
]

GUARD = 4
"""Bits by which a current is finer than the weights that it sums: room for the halvings of a membrane."""
FINEST = 16
"""No scale is finer: a membrane that was halved so often has nothing left to tell."""
PIXEL_BITS = 10
"""A real-valued pixel is rounded to a multiple of 2^-10."""
MOST_SHIFT = 8
"""By channel: bits by which a current is finer than the coarsest weights that it sums, at most."""
TELLING = 12
"""By channel: steps of 2^-11 to 2^-12 of a neuron's threshold are fine enough, however small the weights are."""
LARGEST_INPUT = 4095
"""Events of one pixel and step, and absolute value of a pixel, for which the sums of a first layer are proved."""


@dataclass(frozen=True)
class Claim:
    """What one writer will add to a current.

    Parameters
    ----------
    exponent : int, or int [n_channels] by channel
        The scale it would like: steps of 2^-exponent.
    least : int, or int [n_channels]
        A scale as fine as its numbers: a coarser one would round them again.
    reach : float, or float [n_channels]
        The largest absolute value a sum can have, before rounding.
    n_rounded : int
        Terms of a sum, each of which rounding may have moved by half a step of 2^-least.
    """

    exponent: int | np.ndarray
    least: int | np.ndarray
    reach: float | np.ndarray
    n_rounded: float

    def bound(self, exponent: int | np.ndarray) -> float | np.ndarray:
        """The largest absolute sum in steps of 2^-exponent: a whole number."""
        finer = np.ldexp(self.n_rounded / 2, np.maximum(0, exponent - self.least))
        return np.ceil(np.ldexp(self.reach, exponent) + finer)


@dataclass(frozen=True)
class Scale:
    """A settled current: steps of 2^-exponent, sums of writers up to `bound`, kept in `dtype`; by channel, arrays."""

    exponent: int | np.ndarray
    bound: float | np.ndarray
    dtype: type

    @property
    def reach(self) -> float | np.ndarray:
        """The bound as a real value."""
        return np.ldexp(self.bound, np.negative(self.exponent))


class Summed(Protocol):
    """What fixed point must know of a current: who writes it, who reads it, and its constant part."""

    bias: np.ndarray
    writers: list[str]
    readers: list[str]

    def fix(self, exponent: int | np.ndarray, dtype: type, gains: np.ndarray | None = None) -> None: ...


class Fixing(Protocol):
    """What a handler is told when its arrays become whole numbers.

    `bits` of a weight; `payload`, the largest whole number an event brings it, and whether it may be negative
    (`is_signed`); `scale`, of any current; `gains`, what values of each channel of a current are multiplied by, None
    where it has one scale for all.
    """

    bits: int
    payload: int
    is_signed: bool

    def scale(self, current: Summed) -> Scale: ...

    def gains(self, current: Summed) -> np.ndarray | None: ...


def rounded(values: np.ndarray | float, exponent: int | np.ndarray, dtype: type = np.int64) -> np.ndarray:
    """round(values * 2^exponent), ties to even."""
    return np.rint(np.ldexp(np.asarray(values, np.float64), exponent)).astype(dtype)


def moved(values: np.ndarray, by: int | np.ndarray) -> np.ndarray:
    """values * 2^by: exact to a finer scale, rounded (half up) to a coarser one; `by` one number, or one a channel."""
    if np.ndim(by):
        coarser = np.maximum(0, -by)
        return ((values << np.maximum(0, by)) + (1 << coarser >> 1)) >> coarser
    return values << by if by >= 0 else (values + (1 << (-by - 1))) >> -by


def divided(sums: np.ndarray, n: int, by: int | np.ndarray) -> np.ndarray:
    """sums * 2^by / n, rounded half up; whole numbers below 2^62 (int64); `by` one number, or one a channel."""
    n, sums = n << np.maximum(0, np.negative(by)), sums << np.maximum(0, by)
    return (sums + n // 2) // n


def largest_weight(bits: int) -> int:
    """The largest whole weight of so many bits."""
    return 2 ** (bits - 1) - 1


def weight_exponent(weight: np.ndarray, bits: int) -> int:
    """The finest scale at which every weight fits `bits`."""
    largest = float(np.abs(weight).max(initial=0))
    exponent = min(FINEST, math.floor(math.log2(largest_weight(bits) / largest)) + 1) if largest else FINEST
    while np.rint(largest * 2.0**exponent) > largest_weight(bits):
        exponent -= 1
    return exponent


def gains_of(weight: np.ndarray, bits: int) -> np.ndarray:
    """For each output channel (axis 0) the g at which its largest weight all but fills `bits`: 1 <= g < 2, in 64ths.

    So few digits, because scales must be the same numbers on every machine, and a product with one exact in float64.
    """
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1, initial=0).astype(np.float64)
    room = largest_weight(bits) / np.where(largest > 0, largest, largest_weight(bits))
    return np.floor(np.frexp(room)[0] * 2 * 64) / 64


def weight_exponents(weight: np.ndarray, bits: int) -> np.ndarray:
    """`weight_exponent` of each output channel (axis 0)."""
    return np.array([weight_exponent(channel, bits) for channel in weight], np.int64)


def check_payload(name: str, payload: np.ndarray, largest: int) -> None:
    """Raise where an event is larger than the proof allows."""
    found = float(np.abs(payload).max(initial=0))
    if found > largest:
        raise EvsimError(f"{name}: an event of value {found:g}, whole-number sums are proved up to {largest}")
