"""ReadOptions: what a user may say about a file that the file does not say itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evsim.errors import RecordingError

__all__ = ["ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """What the caller knows better than the file; None leaves it to the file.

    A reader heeds each of them or refuses it: none is passed over in silence.

    Parameters
    ----------
    layout : str or None
        The name of a reader or of an HDF5 layout (`nmnist`, `npz`, `shd`, ...), the meaning of a bare array
        (`events`, `frames`, `image`, `chw`, `hwc`), the order of columns without names, in arrays and text alike (the
        letters t, x, y, p in any order, `_` for a column to be passed over: `xypt`, `_txyp`), or a camera of AEDAT 2.0
        (`dvs128`, `cifar10dvs`, `tonic`, `davis346`, ...). Whoever says the layout also vouches for the times: rows
        in another order than that of time are then sorted.
    sensor : (int, int), str or None
        Height and width of the sensor in pixels: ``(260, 346)``, or as text ``"260x346"``.
    index : int, str or None
        Which recording, in a file that holds many: its number, or its key (`test:12` in arrays with several splits,
        `whole` for a gesture recording beside its label file, `right` for a second camera). None is the first one.
    unit : {"us", "ms", "s", "ns"} or None
        Unit of the time stamps.
    normalise : str, (mean, std) or None
        How pixels become network input: `cifar10`, `cifar100`, `imagenet`, `mnist`, `none` (0..1), two tuples, or
        `raw` (left as they are, to be looked at). For events and frames it is refused.
    size : int, (int, int) or None
        Height and width an image is brought to, as timm does: resized to ``size / crop_pct``, its middle cut out.
    crop_pct : float
        See `size`; SDT's ImageNet networks were published with 0.95, Spikformer's with 1.
    resample : {"bicubic", "bilinear"}
        How an image is resized.
    axes : str or None
        The axes of a bare array, like ``T H W C``: see `evsim.recordings.axes`.
    n_steps : int or None
        Steps of the network that an array is for; decides nothing but which of two axes of an array is time.
    part : slice or None
        Only these rows of the columns of events, for reading a long file in pieces.
    drop_outside : bool
        Leave out events that lie outside the sensor, and say how many, instead of refusing the recording.
    trained_with : (mean, std), str or None
        What a weights file remembers of its training, in the form of `normalise`: used for raw pixels when `normalise`
        says nothing, and passed over where there are none.
    """

    layout: str | None = None
    sensor: tuple[int, int] | str | None = None
    index: int | str | None = None
    unit: str | None = None
    normalise: str | tuple | None = None
    size: int | tuple[int, int] | None = None
    crop_pct: float = 1.0
    resample: str = "bicubic"
    axes: str | None = None
    n_steps: int | None = None
    part: slice | None = None
    drop_outside: bool = False
    trained_with: str | tuple | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sensor", _two_sides(self.sensor))


def _two_sides(sensor: object) -> tuple[int, int] | None:
    """Height and width, also of the text ``"34x34"``; whether a camera can be so large is checked where it is used."""
    if sensor is None:
        return None
    if isinstance(sensor, str):
        found = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", sensor.strip().lower())
        sides = found.groups() if found else ()
    else:
        sides = sensor if isinstance(sensor, Sequence | np.ndarray) else ()
    try:
        height, width = (int(side) for side in sides)
    except (TypeError, ValueError, OverflowError):
        raise RecordingError(f"sensor {sensor!r}: expected (height, width) in pixels, or text like '34x34'") from None
    return height, width
