"""ReadOptions: what a user may say about a file that the file does not say itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """What the caller knows better than the file; None leaves it to the file.

    Parameters
    ----------
    layout : str or None
        The name of a reader or of an HDF5 layout (`nmnist`, `npz`, `shd`, ...), the meaning of a bare array
        (`events`, `frames`, `image`, `chw`, `hwc`), or the column order of an (N, 4) array (`txyp`, `xypt`, `xytp`).
    sensor : (int, int) or None
        Height and width of the sensor in pixels.
    index : int, str or None
        Which recording, in a file that holds many: its number, or its key. None is the first one.
    unit : {"us", "ms", "s"} or None
        Unit of the time stamps.
    normalise : str, (mean, std) or None
        How raw pixels become network input: `cifar10`, `cifar100`, `imagenet`, `none` (0..1), or two tuples.
    """

    layout: str | None = None
    sensor: tuple[int, int] | None = None
    index: int | str | None = None
    unit: str | None = None
    normalise: str | tuple | None = None
