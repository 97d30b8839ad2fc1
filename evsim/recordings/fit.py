"""Frames to the size a network takes; never silently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.errors import RecordingError

__all__ = ["Fit", "crop_frames", "downsample_frames", "fit_frames", "pad_frames"]


@dataclass(frozen=True)
class Fit:
    """What may be done to make a recording fit; the default is nothing. Applied in the order written here.

    Parameters
    ----------
    downsample : int
        Factor by which both sides shrink; the counts of a block of pixels are added up.
    average : bool
        Take the mean of a block instead of the sum. ``Fit(downsample=2, average=True)`` is the `Resize(64)` of the
        official CIFAR10-DVS pipeline on 128x128 frames.
    crop : "centre", (top, left) or None
        Where to cut a larger frame down to size.
    pad : bool
        Put a smaller frame in the middle of zeros.
    """

    downsample: int = 1
    average: bool = False
    crop: str | tuple[int, int] | None = None
    pad: bool = False


def fit_frames(frames: np.ndarray, height: int, width: int, fit: Fit | None = None) -> np.ndarray:
    """Frames [n_steps, n_channels, height, width] of the network's size.

    Raises
    ------
    RecordingError
        When the sizes differ after what `fit` allows; the message has both sizes.
    """
    fit = fit or Fit()
    found = frames.shape[-2:]
    if fit.downsample != 1:
        frames = downsample_frames(frames, fit.downsample, fit.average)
    if fit.crop is not None:
        frames = crop_frames(frames, min(height, frames.shape[-2]), min(width, frames.shape[-1]), fit.crop)
    if fit.pad:
        frames = pad_frames(frames, max(height, frames.shape[-2]), max(width, frames.shape[-1]))
    if frames.shape[-2:] != (height, width):
        raise RecordingError(
            f"the recording is {_size(found)} (height x width) but the network takes {height}x{width}; "
            f"say how to fit it: crop, pad or down-sample{_tried(fit, found, frames.shape[-2:])}"
        )
    return frames


def downsample_frames(frames: np.ndarray, factor: int, average: bool = False) -> np.ndarray:
    """Blocks of factor x factor pixels added up (or averaged) into one."""
    height, width = frames.shape[-2:]
    if factor < 1 or height % factor or width % factor:
        raise RecordingError(f"the recording is {height}x{width} and cannot be down-sampled by {factor} without a rest")
    blocks = frames.reshape(*frames.shape[:-2], height // factor, factor, width // factor, factor)
    total = blocks.sum(axis=(-3, -1), dtype=np.float32)
    return total / np.float32(factor * factor) if average else total


def crop_frames(frames: np.ndarray, height: int, width: int, crop: str | tuple[int, int] = "centre") -> np.ndarray:
    """The height x width part at (top, left), or in the middle (rounded towards the top left)."""
    found = frames.shape[-2:]
    if crop == "centre":
        crop = ((found[0] - height) // 2, (found[1] - width) // 2)
    if isinstance(crop, str) or len(crop) != 2:
        raise RecordingError(f"crop is {crop!r}; expected 'centre' or (top, left)")
    top, left = crop
    if not (0 <= top <= found[0] - height and 0 <= left <= found[1] - width):
        raise RecordingError(f"a crop of {height}x{width} at {(top, left)} does not lie inside {_size(found)}")
    return frames[..., top : top + height, left : left + width]


def pad_frames(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """The frames in the middle (rounded towards the top left) of height x width zeros."""
    rows, cols = height - frames.shape[-2], width - frames.shape[-1]
    if rows < 0 or cols < 0:
        raise RecordingError(f"frames of {_size(frames.shape[-2:])} cannot be padded to {height}x{width}")
    sides = [(0, 0)] * (frames.ndim - 2) + [(rows // 2, rows - rows // 2), (cols // 2, cols - cols // 2)]
    return np.pad(frames, sides)


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _tried(fit: Fit, found: tuple[int, int], reached: tuple[int, int]) -> str:
    return "" if found == reached else f" ({fit} gives {_size(reached)})"
