"""Bilinear, antialiased resizing of real-valued frames, as PyTorch resizes tensors with ``antialias=True``.

Both axes are resized one after the other, each by a matrix. A row of the matrix is a triangle as wide as two input
pixels, or as two output pixels where the frame shrinks, cut off at the border and scaled to the sum 1. (The bicubic
resizing of 8-bit images is Pillow's and lives with the image reader.)
"""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["resize_frames", "triangle_weights"]

MAX_VALUES = 2**30


def resize_frames(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frames [n_steps, n_channels, height, width] resized; float32, each value rounded once.

    Raises
    ------
    RecordingError
        When the result would have more than 2**30 values.
    """
    n_steps, n_channels = frames.shape[:2]
    if height < 1 or width < 1 or n_steps * n_channels * height * width > MAX_VALUES:
        raise RecordingError(f"{n_steps}x{n_channels} frames cannot be resized to {height}x{width}")
    rows = triangle_weights(frames.shape[-2], height)
    cols = triangle_weights(frames.shape[-1], width)
    resized = np.empty((n_steps, n_channels, height, width), np.float32)
    for step in range(n_steps):  # one step at a time: the products are float64
        resized[step] = rows @ (frames[step] @ cols.T)
    return resized


def triangle_weights(n_in: int, n_out: int) -> np.ndarray:
    """What each input pixel adds to each output pixel of one axis, float64 [n_out, n_in]; rows sum to 1."""
    scale = n_in / n_out
    reach = max(scale, 1.0)
    middle = scale * (np.arange(n_out) + 0.5)
    first = np.maximum((middle - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((middle + reach + 0.5).astype(np.int64), n_in)
    pixel = np.arange(n_in)
    distance = np.abs(pixel + 0.5 - middle[:, None]) / reach
    inside = (pixel >= first[:, None]) & (pixel < end[:, None])
    weights = np.where(inside, np.maximum(1.0 - distance, 0.0), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)
