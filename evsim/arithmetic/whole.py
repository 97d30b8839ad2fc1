"""Whole numbers for real ones: scales, and the proof that no sum leaves its type, whatever the order of the events.

    x  is kept as  round(x * 2^s)

Each writer of a current claims the scale it would like and tells how large its sums can become, with every weight
of one sign active. The scale of a current is the finest claimed, or a coarser one at which

    sum over writers of the largest |sum|  +  |bias|  +  |v_threshold| + 2 |v_reset|  <  2^30

so that X, V and X - V fit int32; below 2^14 they fit int16, and rows and membranes are kept so.
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
    "largest_weight",
    "moved",
    "rounded",
    "weight_exponent",
]

GUARD = 4
"""Bits by which a current is finer than the weights that it sums: room for the halvings of a membrane."""
FINEST = 16
"""No scale is finer: a membrane that was halved so often has nothing left to tell."""
PIXEL_BITS = 10
"""A real-valued pixel is rounded to a multiple of 2^-10."""
LARGEST_INPUT = 4095
"""Events of one pixel and step, and absolute value of a pixel, for which the sums of a first layer are proved."""


@dataclass(frozen=True)
class Claim:
    """What one writer will add to a current.

    Parameters
    ----------
    exponent : int
        The scale it would like: steps of 2^-exponent.
    least : int
        A scale as fine as its numbers: a coarser one would round them again.
    reach : float
        The largest absolute value a sum can have, before rounding.
    n_rounded : int
        Terms of a sum, each of which rounding may have moved by half a step of 2^-least.
    """

    exponent: int
    least: int
    reach: float
    n_rounded: float

    def bound(self, exponent: int) -> int:
        """The largest absolute sum in steps of 2^-exponent."""
        return math.ceil(self.reach * 2.0**exponent + self.n_rounded / 2 * 2.0 ** max(0, exponent - self.least))


@dataclass(frozen=True)
class Scale:
    """A settled current: steps of 2^-exponent, sums of writers up to `bound`, kept in `dtype`."""

    exponent: int
    bound: int
    dtype: type


class Summed(Protocol):
    """What fixed point must know of a current: who writes it, who reads it, and its constant part."""

    bias: np.ndarray
    writers: list[str]
    readers: list[str]

    def fix(self, exponent: int, dtype: type) -> None: ...


class Fixing(Protocol):
    """What a handler is told when its arrays become whole numbers.

    `bits` of a weight; `payload`, the largest whole number an event brings it, and whether it may be negative
    (`is_signed`); `scale`, of any current.
    """

    bits: int
    payload: int
    is_signed: bool

    def scale(self, current: Summed) -> Scale: ...


def rounded(values: np.ndarray | float, exponent: int, dtype: type = np.int64) -> np.ndarray:
    """round(values * 2^exponent), ties to even."""
    return np.rint(np.ldexp(np.asarray(values, np.float64), exponent)).astype(dtype)


def moved(values: np.ndarray, by: int) -> np.ndarray:
    """values * 2^by: exact to a finer scale, rounded (half up) to a coarser one."""
    return values << by if by >= 0 else (values + (1 << (-by - 1))) >> -by


def divided(sums: np.ndarray, n: int, by: int) -> np.ndarray:
    """sums * 2^by / n, rounded half up; whole numbers below 2^62 (int64)."""
    n, sums = (n, sums << by) if by >= 0 else (n << -by, sums)
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


def check_payload(name: str, payload: np.ndarray, largest: int) -> None:
    """Raise where an event is larger than the proof allows."""
    found = float(np.abs(payload).max(initial=0))
    if found > largest:
        raise EvsimError(f"{name}: an event of value {found:g}, whole-number sums are proved up to {largest}")
