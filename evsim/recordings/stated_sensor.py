"""The size of the sensor under the names that writers give it, in an archive of arrays or in an HDF5 group."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["PAIRS", "SIZES", "stated_sensor"]

PAIRS = (("sensor_height", "sensor_width"), ("height", "width"))
SIZES = ("sensor_size", "sensor_resolution", "resolution", "geometry")
"""Width before height: tonic's sensor_size, event_utils' sensor_resolution, M3ED's resolution, Prophesee's geometry."""


def stated_sensor(values: Mapping[str, Callable[[], object]]) -> tuple[int, int] | None:
    """Height and width, or None where nothing states them.

    Parameters
    ----------
    values : mapping of str to callable
        What there is by its name; a value is read only when its name is one of those above.
    """
    for pair in PAIRS:
        sides = [_numbers(values[name]()) if name in values else [] for name in pair]
        if all(len(side) == 1 for side in sides):
            return sides[0][0], sides[1][0]
    for name in SIZES:
        numbers = _numbers(values[name]()) if name in values else []
        if len(numbers) in (2, 3):
            return numbers[1], numbers[0]
    return None


def _numbers(value) -> list[int]:
    """Whole numbers, also of the text "1280x720"; none where it is anything else."""
    if isinstance(value, bytes | np.bytes_ | str):
        text = value.decode("ascii", "replace") if isinstance(value, bytes | np.bytes_) else value
        sides = text.split("x")
        return [int(side) for side in sides] if all(side.isdecimal() and len(side) < 9 for side in sides) else []
    flat = np.ravel(() if value is None else value)
    if flat.size > 3:
        return []
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and np.array_equal(flat, np.floor(flat)):
        flat = flat.astype(np.int64)
    return [int(side) for side in flat] if flat.dtype.kind in "iu" else []
