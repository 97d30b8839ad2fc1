"""Frames to the size a network takes; never silently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.resize import resize_frames

__all__ = ["Fit", "append_sum", "crop_frames", "downsample_frames", "fit_frames", "pad_frames"]


CHANNELS = ("on_off_sum",)
MAX_SIDE = 2**15


@dataclass(frozen=True)
class Fit:
    """What may be done to make a recording fit; the default is nothing. Applied in the order written here.

    ``str(fit)`` is the text that `parse_fit` reads.

    Parameters
    ----------
    downsample : int
        Factor by which both sides shrink; the counts of a block of pixels are added up.
    average : bool
        Take the mean of a block instead of the sum. ``Fit(downsample=2, average=True)`` is the `Resize(64)` of the
        official CIFAR10-DVS pipeline on 128x128 frames.
    resize : "network", (height, width) or None
        Bilinear, antialiased, on the counts as real numbers: to the size the network takes, or to another one.
    crop : "centre", (top, left) or None
        Where to cut a larger frame down to size.
    pad : bool
        Put a smaller frame in the middle of zeros.
    channels : "on_off_sum" or None
        Append the sum of channels 0 and 1 as a third one, after everything else: what SpikingResformer takes.
    """

    downsample: int = 1
    average: bool = False
    resize: str | tuple[int, int] | None = None
    crop: str | tuple[int, int] | None = None
    pad: bool = False
    channels: str | None = None

    def __post_init__(self) -> None:
        _check_fit(self)

    def __str__(self) -> str:
        return ",".join(_words(self)) or "none"


def _check_fit(fit: Fit) -> None:
    if fit.downsample < 1 or (fit.average and fit.downsample == 1):
        raise RecordingError(f"down-sampling by {fit.downsample}: expected a factor of 2 or more")
    if fit.resize not in (None, "network") and not _is_pair(fit.resize, 1):
        raise RecordingError(f"resize is {fit.resize!r}; expected 'network' or (height, width)")
    if fit.crop not in (None, "centre") and not _is_pair(fit.crop, 0):
        raise RecordingError(f"crop is {fit.crop!r}; expected 'centre' or (top, left)")
    if fit.channels not in (None, *CHANNELS):
        raise RecordingError(f"channels is {fit.channels!r}; expected {' or '.join(CHANNELS)}")


def _is_pair(value, least: int) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(least <= side <= MAX_SIDE for side in value)


def _words(fit: Fit) -> Iterator[str]:
    if fit.downsample != 1:
        yield f"{'average' if fit.average else 'downsample'}={fit.downsample}"
    if fit.resize is not None:
        yield "resize" if fit.resize == "network" else f"resize={_size(fit.resize)}"
    if fit.crop is not None:
        yield "crop" if fit.crop == "centre" else f"crop={fit.crop[0]}:{fit.crop[1]}"
    if fit.pad:
        yield "pad"
    if fit.channels is not None:
        yield fit.channels


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
    if fit.resize is not None:
        frames = resize_frames(frames, *((height, width) if fit.resize == "network" else fit.resize))
    if fit.crop is not None:
        frames = crop_frames(frames, min(height, frames.shape[-2]), min(width, frames.shape[-1]), fit.crop)
    if fit.pad:
        frames = pad_frames(frames, max(height, frames.shape[-2]), max(width, frames.shape[-1]))
    if frames.shape[-2:] != (height, width):
        raise RecordingError(
            f"the recording is {_size(found)} (height x width) but the network takes {height}x{width}; "
            "say with --fit how to fit it: crop, pad, resize, downsample=N or average=N"
            f"{_tried(fit, found, frames.shape[-2:])}"
        )
    return frames if fit.channels is None else append_sum(frames)


def append_sum(frames: np.ndarray) -> np.ndarray:
    """Two channels and their sum as a third."""
    if frames.shape[1] != 2:
        raise RecordingError(f"the recording has {frames.shape[1]} channels; on_off_sum takes 2 (off and on)")
    return np.concatenate([frames, frames[:, :1] + frames[:, 1:]], axis=1)


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
