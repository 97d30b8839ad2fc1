"""The names people give to the columns of events: `t`, `timestamp_us`, `x@34`, `"Polarity (0/1)"`, `on`, ..."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from evsim.errors import RecordingError

__all__ = ["FieldName", "columns_of", "parse_name"]

ALIASES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps", "time_stamp", "time_stamps"),
    "x": ("x", "xs", "x_pos", "pos_x", "x_coord", "col", "cols", "column"),
    "y": ("y", "ys", "y_pos", "pos_y", "y_coord", "row", "rows"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on", "is_on"),
}
UNITS = {
    "us": ("us", "usec", "usecs", "microsecond", "microseconds", "\u00b5s", "\u03bcs"),
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "ns": ("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
}
_SHORT = {alias: short for short, aliases in ALIASES.items() for alias in aliases}
_UNIT = {spelling: unit for unit, spellings in UNITS.items() for spelling in spellings}


class FieldName(NamedTuple):
    """What the name of a column says: t, x, y or p; the unit of a time; the size of the sensor along x or y."""

    short: str
    unit: str | None = None
    size: int | None = None


def parse_name(name: str) -> FieldName | None:
    """What a column is by its name; None for a column that is none of the four."""
    plain = name.strip().strip("\"'").strip().lower()
    at = re.fullmatch(r"([a-z_]+)@(\d{1,5})", plain)
    if at and _SHORT.get(at[1]) in ("x", "y"):
        return FieldName(_SHORT[at[1]], size=int(at[2]))
    bracket = re.fullmatch(r"([^(\[]*)[(\[]([^)\]]*)[)\]].*", plain)
    stem, remark = (bracket[1].strip(), bracket[2]) if bracket else (plain, "")
    stem = re.sub(r"[\s\-]+", "_", stem)
    if stem in _SHORT:
        return FieldName(_SHORT[stem], _unit_in(remark) if _SHORT[stem] == "t" else None)
    stem, _, ending = stem.rpartition("_")
    if _SHORT.get(stem) == "t" and ending in _UNIT:
        return FieldName("t", _UNIT[ending])
    if _SHORT.get(stem) in ("x", "y") and ending in ("px", "pixel", "pixels"):
        return FieldName(_SHORT[stem])
    return None


def _unit_in(remark: str) -> str | None:
    """The unit among the words of a remark: "float s", "in us"."""
    found = {_UNIT[word] for word in re.split(r"[\s,;:/]+", remark) if word in _UNIT}
    return found.pop() if len(found) == 1 else None


def columns_of(path, names: Iterable[str]) -> dict[str, str] | None:
    """Which of `names` are the t, x, y and p of events; None unless all four are there.

    Raises
    ------
    RecordingError
        When two names could be the same column, as `t` and `timestamp` beside `x`, `y` and `pol`.
    """
    names = list(names)
    if set("txyp") <= set(names):
        return {short: short for short in "txyp"}
    found: dict[str, list[str]] = {short: [] for short in "txyp"}
    for name in names:
        parsed = parse_name(name)
        if parsed:
            found[parsed.short].append(name)
    if not all(found.values()):
        return None
    for short, several in found.items():
        if len(several) > 1:
            raise RecordingError(
                f"{path}: the column {short} could be {' or '.join(map(repr, several))}; expected one of them"
            )
    return {short: name for short, (name,) in found.items()}
