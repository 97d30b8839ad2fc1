"""How many digits a number has in print: as many as its uncertainty allows, two of the uncertainty's own.

    7.4668 with a half interval of 0.1234 -> 7.47 +- 0.12

A number without uncertainty, of one recording, has all of its digits where it is a count that fits, else three.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evsim.auditing.estimate import Estimate

__all__ = ["Number", "exponent_of", "printed", "table_format", "width_in_digits"]

_DIGITS = 3
_MOST_DECIMALS = 6
_NOISE = 1e-9
"""Spread in parts of the mean that rounding alone makes of a constant."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number and its uncertainty as they are printed, without separators; no uncertainty is an empty text."""

    text: str
    spread: str = ""


def exponent_of(values: Iterable[float]) -> int:
    """0, 3 or 6: the power of ten that leaves numbers of at most five digits before the point."""
    largest = max((abs(value) for value in values), default=0.0)
    return 0 if largest < 1e4 else 3 if largest < 1e8 else 6 if largest < 1e11 else 9


def printed(value: float | Estimate, exponent: int = 0, is_whole: bool = False) -> Number:
    """`value` in units of ten to the `exponent`.

    Parameters
    ----------
    value : float or Estimate
        Of an estimate, the uncertainty is half of the 95 % interval.
    exponent : int
    is_whole : bool
        All digits of a count, where there is no uncertainty.
    """
    half = value.half_width if isinstance(value, Estimate) else None
    mean = (value.mean if isinstance(value, Estimate) else float(value)) / 10**exponent
    if half and half > _NOISE * abs(mean) * 10**exponent:
        return _with_spread(mean, half / 10**exponent)
    n_decimals = 0 if is_whole and exponent == 0 and float(mean).is_integer() else _decimals(mean, _DIGITS)
    return Number(_text(mean, n_decimals))


def _with_spread(mean: float, half: float) -> Number:
    n_decimals = _decimals(half, 2)
    spread = f"{half:.{n_decimals}f}"
    return Number(_text(mean, n_decimals), spread if float(spread) else "")  # may lie below the last decimal


def _decimals(value: float, n_digits: int) -> int:
    """Decimals that show `n_digits` significant digits."""
    if value == 0 or not math.isfinite(value):
        return 0
    rounded = float(f"{abs(value):.{n_digits - 1}e}")  # 9.96 has two digits before the point when rounded to two
    return min(_MOST_DECIMALS, max(0, n_digits - 1 - math.floor(math.log10(rounded))))


def _text(mean: float, n_decimals: int) -> str:
    text = f"{mean:.{n_decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def table_format(texts: Sequence[str]) -> str:
    """siunitx's ``table-format`` of a column of numbers."""
    n_integer, n_decimals, is_negative = _room(texts)
    return f"{'-' if is_negative else ''}{n_integer}" + (f".{n_decimals}" if n_decimals else "")


def width_in_digits(texts: Sequence[str]) -> float:
    """Width of a column of numbers in digits, with a separator at every third and the point."""
    n_integer, n_decimals, is_negative = _room(texts)
    decimals = 0.55 + n_decimals if n_decimals else 0
    return n_integer + 0.55 * max(0, (n_integer - 1) // 3) + decimals + 1.6 * is_negative


def _room(texts: Sequence[str]) -> tuple[int, int, bool]:
    parts = [text.lstrip("-").partition(".") for text in texts]
    return (
        max((len(integer) for integer, _, _ in parts), default=1),
        max((len(decimals) for _, _, decimals in parts), default=0),
        any(text.startswith("-") for text in texts),
    )
