"""Where events are: columns and rows that are whole numbers, inside a sensor that is stated or inferred."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["KNOWN_SENSORS", "MAX_SIDE", "check_sensor", "guess_sensor", "outside", "places"]

# Height, width: N-MNIST, DVS128, DAVIS240, ATIS, DAVIS346, EVK3 / Samsung VGA, EVK4.
KNOWN_SENSORS = ((34, 34), (128, 128), (180, 240), (240, 304), (260, 346), (480, 640), (720, 1280))
MAX_SIDE = 2**15
MAX_PIXELS = 2**25
"""Six times the largest event camera; two polarities of them are far from the end of int32 addresses."""

DROP = "(--drop-outside leaves such events out)"


def check_sensor(path, sensor: tuple[int, int]) -> tuple[int, int]:
    """Height and width as whole numbers; refused when no camera, and no frame in memory, is so large."""
    height, width = (int(side) for side in sensor)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or height * width > MAX_PIXELS:
        raise RecordingError(
            f"{path}: a sensor of {height}x{width} (height x width); expected sides of 1 to {MAX_SIDE} and at most "
            f"{MAX_PIXELS} pixels"
        )
    return height, width


def guess_sensor(path, furthest: tuple[int, int]) -> tuple[int, int]:
    """The smallest known sensor that has a pixel at row and column `furthest`."""
    row, col = furthest
    for height, width in KNOWN_SENSORS:
        if row < height and col < width:
            return height, width
    raise RecordingError(
        f"{path}: events reach row {row} and column {col}, beyond every known sensor; say --sensor HEIGHTxWIDTH"
    )


def places(values: np.ndarray) -> np.ndarray:
    """Columns or rows as int32; they are known to fit."""
    return values.astype(np.int32, copy=False)


def outside(
    path, x: np.ndarray, y: np.ndarray, sensor: tuple[int, int] | None, drop: bool, before: int = 0
) -> np.ndarray | None:
    """Which events lie outside the sensor, where they are to be dropped; None when there are none.

    Parameters
    ----------
    before : int
        Events of the recording that came before these.

    Raises
    ------
    RecordingError
        Names the first event outside (unless `drop`), or whose place is not a whole number.
    """
    for name, values in (("x", x), ("y", y)):
        if values.dtype.kind == "f":
            _refuse(path, name, values, ~(values == np.floor(values)) | np.isinf(values), "", before)
        if not drop:
            _refuse(path, name, values, ~((values >= 0) & (values < MAX_SIDE)), f"; {DROP[1:-1]}", before)
    if sensor is None:
        return None
    height, width = sensor
    out = ~((x >= 0) & (x < width) & (y >= 0) & (y < height))
    if not out.any():
        return None
    if not drop:
        first = int(np.argmax(out))
        raise RecordingError(
            f"{path}: event {before + first} at row {y[first]} and column {x[first]} lies outside the sensor of "
            f"{height}x{width} (height x width), one of {int(np.count_nonzero(out))} {DROP}"
        )
    return out


def _refuse(path, name: str, values: np.ndarray, bad: np.ndarray, hint: str, before: int) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise RecordingError(
            f"{path}: {name} of event {before + first} is {values[first]}; expected a whole number from 0 to "
            f"{MAX_SIDE - 1}{hint}"
        )
