"""8-bit images to the size a network takes, as timm's evaluation transform does it (through Pillow, as it does)."""

from __future__ import annotations

import math

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.options import ReadOptions

__all__ = ["resize_image"]

MAX_SIDE = 2**14


def resize_image(path, pixels: np.ndarray, options: ReadOptions) -> tuple[np.ndarray, str | None]:
    """Resize, then cut the middle out; and a note saying so, or None where there was nothing to do.

    ``Resize(floor(size / crop_pct))`` scales the shorter side, or both where `size` is no square, ``CenterCrop(size)``
    follows.

    Parameters
    ----------
    pixels : uint8 [height, width, n_channels]
        With 1 or 3 channels.
    options : ReadOptions
        `size`, `crop_pct` and `resample` are used.
    """
    if options.size is None:
        return pixels, None
    size = _pair(path, options.size)
    if not 0.1 <= options.crop_pct <= 1:
        raise RecordingError(f"{path}: crop_pct is {options.crop_pct}; expected 0.1 to 1")
    if pixels.dtype != np.uint8 or pixels.shape[-1] not in (1, 3):
        raise RecordingError(
            f"{path}: size= is for 8-bit images of 1 or 3 channels, found {pixels.dtype} of shape {list(pixels.shape)}"
        )
    found = pixels.shape[:2]
    scaled = _scaled_size(found, size, options.crop_pct)
    cropped = _crop(_scale(path, pixels, scaled, options.resample), size)
    if scaled == found == size:
        return pixels, None
    return cropped, (
        f"the image of {found[0]}x{found[1]} was resized to {scaled[0]}x{scaled[1]} ({options.resample}) "
        f"and its middle {size[0]}x{size[1]} cut out"
    )


def _pair(path, size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise RecordingError(f"{path}: size is {size}; expected sides of 1 to {MAX_SIDE}")
    return height, width


def _scaled_size(found: tuple[int, int], size: tuple[int, int], crop_pct: float) -> tuple[int, int]:
    if size[0] != size[1]:
        return int(size[0] / crop_pct), int(size[1] / crop_pct)
    short, long = min(found), max(found)
    side = math.floor(size[0] / crop_pct)
    other = int(side * long / short)
    return (side, other) if found[0] <= found[1] else (other, side)


def _scale(path, pixels: np.ndarray, scaled: tuple[int, int], resample: str) -> np.ndarray:
    from PIL import Image

    filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
    if resample not in filters:
        raise RecordingError(f"{path}: resample is {resample!r}; expected one of {', '.join(filters)}")
    if max(scaled) > 4 * MAX_SIDE:
        raise RecordingError(f"{path}: an image of {pixels.shape[0]}x{pixels.shape[1]} is too oblong to be resized")
    if pixels.shape[:2] == scaled:
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    resized = np.asarray(image.resize(scaled[::-1], filters[resample]))
    return resized[..., None] if resized.ndim == 2 else resized


def _crop(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # round() goes to the even neighbour on a tie, as torchvision's CenterCrop does.
    top, left = (round((have - want) / 2) for have, want in zip(pixels.shape[:2], size, strict=True))
    return pixels[top : top + size[0], left : left + size[1]]
