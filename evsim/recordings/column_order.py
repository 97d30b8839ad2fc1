"""Which column of rows without names is which: one inference for HDF5, NumPy and text.

A column is a possible polarity when it holds two values that mean on and off, and a possible coordinate when it holds
whole numbers that a sensor has pixels for. An order is a reading when its p, x and y are possible; it is taken when it
is the only one. That a column never runs backwards proves nothing: simulators write rows in the order of pixels. What
cannot be a coordinate (too large, or with fractions) is the time, and that settles nearly every recording of a camera.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.polarity import is_polarity

__all__ = ["CONVENTIONS", "AmbiguousColumns", "infer_order", "is_order", "split_order"]

CONVENTIONS = ("txyp", "xypt", "xytp")
"""Orders that programs write; others are read when a user says so."""

MOST_PIXELS = 4096
"""Event cameras have up to 1280 columns; a larger number is no coordinate in rows without names."""


class AmbiguousColumns(RecordingError):
    """Several orders of columns are possible."""


def is_order(layout: str | None) -> bool:
    """Whether a layout is an order of columns: each of t, x, y, p once, and `_` for columns to be passed over."""
    return layout is not None and sorted(layout.replace("_", "")) == sorted("txyp") and len(layout) <= 64


def split_order(path, layout: str, n_columns: int, what: str) -> dict[str, int]:
    """The place of each column in rows of `n_columns`.

    Raises
    ------
    RecordingError
        When the order is of another number of columns.
    """
    if len(layout) != n_columns:
        raise RecordingError(
            f"{path}: --layout {layout} is for rows of {len(layout)} columns, {what} has {n_columns} "
            "(_ stands for a column to be passed over)"
        )
    return {short: layout.index(short) for short in "txyp"}


def infer_order(path, rows: np.ndarray, what: str, tie_break: str | None = None) -> str:
    """The one order of columns that the values of (N, 4) rows allow.

    Parameters
    ----------
    rows : array [n, 4]
        All rows, or a sample of them.
    tie_break : str, optional
        The order to take when it is one of several possible ones, because the file's header tells its writer.

    Raises
    ------
    RecordingError
        When none or several are possible; the message names them and the option that settles it.
    """
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "biuf":
        raise RecordingError(
            f"{path}: {what} has shape {list(rows.shape)} of {rows.dtype}; expected (N, 4) numbers, or more columns "
            "and --layout with _ for those to be passed over"
        )
    # Without a row there is nothing to infer from; the check for "no events" comes later and says so.
    if not len(rows):
        return CONVENTIONS[0]
    possible = possible_orders(rows, CONVENTIONS)
    if tie_break in possible:
        return tie_break
    if len(possible) == 1:
        return possible[0]
    if possible:
        raise AmbiguousColumns(f"{path}: the columns of {what} could be {' or '.join(possible)}; say which: --layout")
    # x before y in all of them: no value can tell which of two coordinates is which.
    others = possible_orders(rows, ["".join(o) for o in permutations("txyp") if o.index("x") < o.index("y")])
    hint = f"perhaps --layout {' or '.join(others[:3])}" if others else "the polarity has two values in each of them"
    raise RecordingError(
        f"{path}: the columns of {what} could be none of {', '.join(CONVENTIONS)} by their values ({hint})"
    )


def possible_orders(rows: np.ndarray, orders) -> list[str]:
    """Those of `orders` whose polarity and coordinates are possible."""
    signs = [is_polarity(rows[:, place]) for place in range(4)]
    sides = [_is_coordinate(rows[:, place]) for place in range(4)]
    return [
        order for order in orders
        if signs[order.index("p")] and sides[order.index("x")] and sides[order.index("y")]
    ]  # fmt: skip


def _is_coordinate(column: np.ndarray) -> bool:
    inside = (column >= 0) & (column < MOST_PIXELS)
    # A single event far outside is a glitch, which check.py names (and --drop-outside leaves out).
    if np.count_nonzero(~inside) > max(0, column.size // 1000):
        return False
    return column.dtype.kind != "f" or bool(np.array_equal(column[inside], np.floor(column[inside])))
