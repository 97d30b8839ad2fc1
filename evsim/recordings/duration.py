"""Lengths of time as people write them: 100ms, 0.5s, 50000us."""

from __future__ import annotations

import re

from evsim.errors import RecordingError

__all__ = ["parse_microseconds", "written"]

_UNITS = {"us": 1, "ms": 1e3, "s": 1e6}


def parse_microseconds(text: str, name: str) -> int:
    """``100ms``, ``0.5s`` or ``50000us`` as whole microseconds.

    Raises
    ------
    RecordingError
        No such text, less than a microsecond, or a fraction of one; `name` is the option that said it.
    """
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)(us|ms|s)", str(text).strip())
    microseconds = float(found[1]) * _UNITS[found[2]] if found else 0
    if round(microseconds) < 1:
        raise RecordingError(f"--{name} {text}: expected a time such as 100ms, 0.5s or 50000us")
    return round(microseconds)


def written(microseconds: int) -> str:
    """The shortest of the three units that holds it exactly."""
    unit = next(unit for unit in ("s", "ms", "us") if microseconds % _UNITS[unit] == 0)
    return f"{int(microseconds / _UNITS[unit])}{unit}"
