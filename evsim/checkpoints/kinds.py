"""Kinds of hyper-parameters: functions that turn what a person or a script wrote into a value, or refuse it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

__all__ = [
    "SIZE_ARGUMENTS", "STEPS_ARGUMENTS", "flag", "image_size", "one_of", "pooling_stat", "positive", "power_of_two",
    "real", "stand_in", "whole",
]  # fmt: skip

STEPS_ARGUMENTS = ("time_steps", "time_step", "T", "timesteps")
SIZE_ARGUMENTS = ("img_size", "input_size", "image_size")
"""What training scripts call the steps of the network and the size of its input."""

_STAND_INS: dict[object, object] = {int: 1, float: 1.0, bool: False}


def stand_in(kind: Callable) -> object:
    """Some value of a kind, to go on with while everything missing is collected; None where there is none."""
    return getattr(kind, "stand_in", None) if kind not in _STAND_INS else _STAND_INS[kind]


def one_of(*words: str) -> Callable[[object], str]:
    """One of a few words."""

    def kind(value: object) -> str:
        word = str(value).lower()
        if word not in words:
            raise ValueError(f"expected {' or '.join([', '.join(words[:-1]), words[-1]] if words[1:] else words)}")
        return word

    kind.stand_in = words[0]
    return kind


def whole(least: int, most: int) -> Callable[[object], int]:
    """A whole number."""

    def kind(value: object) -> int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError(f"expected a whole number from {least} to {most}")
        try:
            number = int(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"expected a whole number from {least} to {most}") from None
        if not least <= number <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return number

    kind.stand_in = max(least, 1)
    return kind


positive = whole(1, 10_000)
"""A count."""


def real(value: object) -> float:
    """A finite number."""
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("expected a number")
    return number


def image_size(value: object) -> tuple[int, int]:
    """Rows and columns: 32, 32x48, or what a script stored as a list, with or without the channels in front."""
    parts = list(value) if isinstance(value, (tuple, list)) else str(value).lower().split("x")
    numbers = [positive(part) for part in parts[-2:]]
    return (numbers[0], numbers[-1])


def flag(value: object) -> bool:
    """True or false, in the words people use."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError("expected true or false")
    return words[str(value).lower()]


def pooling_stat(value: object) -> str:
    """Which of the four stages of a stem pool, like 0011."""
    if not re.fullmatch("[01]{4}", str(value)):
        raise ValueError("expected four characters 0 or 1")
    return str(value)


def power_of_two(value: object) -> float:
    """A scale that float32 multiplies without rounding."""
    number = float(value)
    if not 0 < number < math.inf or math.frexp(number)[0] != 0.5:
        raise ValueError("expected a power of two, like 0.125")
    return number


_STAND_INS |= {real: 1.0, image_size: (1, 1), flag: False, pooling_stat: "0000", power_of_two: 1.0}
