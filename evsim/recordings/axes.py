"""Axes: which axis of a bare array is time, batch, channel, row and column; two possible readings are refused.

"T C H W"    frames          "C H W"      a still image, shown at every step
"T B C H W"  a batch, as SpikingJelly has it           any order, and any of T, B and C may be missing
"""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["arrange_axes", "axes_of", "parse_axes"]

_LETTERS = "BTCHW"
_PICTURE_CHANNELS = (1, 3, 4)
"""Channels by which an array of three axes is recognised as a picture."""


def parse_axes(text: str) -> str:
    """``"T H W C"``, ``"T,H,W,C"`` or ``"thwc"`` as ``"THWC"``.

    Raises
    ------
    RecordingError
        No text, another letter, a letter twice, or no H and W.
    """
    if not isinstance(text, str):
        raise RecordingError(f"--axes {text!r}: expected text, as in 'T C H W'")
    letters = text.replace(",", " ").replace(" ", "").upper()
    if set(letters) - set(_LETTERS) or len(set(letters)) < len(letters) or not {"H", "W"} <= set(letters):
        raise RecordingError(
            f"--axes {text}: expected each axis once, T (steps), B (batch), C (channels), H and W, as in 'T C H W'"
        )
    return letters


def axes_of(path, shape: tuple[int, ...], what: str, n_steps: int | None = None) -> str:
    """The axes of an array that nobody named, where they can only be one thing.

    Parameters
    ----------
    path : str
    shape : tuple of int
    what : str
        In words, for the message.
    n_steps : int, optional
        Steps of the network that the array is for: decides between [T, B, ...] and [B, T, ...].

    Raises
    ------
    RecordingError
        Two readings are possible; both are named.
    """
    readings = _readings(shape, n_steps)
    if len(readings) == 1:
        return next(iter(readings))
    could_be = " or ".join(f"'{' '.join(axes)}' ({words})" for axes, words in readings.items())
    found = f"{path}: {what} of shape {list(shape)}"
    if not readings:
        raise RecordingError(f"{found}; expected frames [T, C, H, W] or an image [C, H, W]; --axes names other orders")
    raise RecordingError(f"{found} could be {could_be}; say which with --axes")


def _readings(shape: tuple[int, ...], n_steps: int | None) -> dict[str, str]:
    """Every reading of so many axes, and what it would mean."""
    if len(shape) == 4:
        return {"TCHW": "frames"}
    if len(shape) == 5:
        both = {"TBCHW": f"a batch of {shape[1]}, steps first", "BTCHW": f"{shape[0]} recordings, one after the other"}
        fitting = {axes: words for axes, words in both.items() if shape[axes.index("T")] == n_steps}
        return fitting if len(fitting) == 1 else both
    if len(shape) != 3:
        return {}
    pictures = {
        axes: f"a still image of {shape[axes.index('C')]} channels"
        for axes in ("CHW", "HWC")
        if shape[axes.index("C")] in _PICTURE_CHANNELS
    }
    if pictures:
        return pictures
    stills = {"CHW": f"a still image of {shape[0]} channels, shown at every step"} if shape[0] <= 4 else {}
    stills |= {"HWC": f"a still image of {shape[2]} channels, shown at every step"} if shape[2] <= 4 else {}
    return {"THW": f"{shape[0]} steps of one channel", **stills}


def arrange_axes(path, array: np.ndarray, axes: str, what: str) -> np.ndarray:
    """The array in the order [B, T, C, H, W]; a missing axis has length 1.

    Raises
    ------
    RecordingError
        It has another number of axes.
    """
    if array.ndim != len(axes):
        raise RecordingError(
            f"{path}: {what} of shape {list(array.shape)} has {array.ndim} axes, --axes '{' '.join(axes)}' names "
            f"{len(axes)}"
        )
    ordered = array.transpose([axes.index(letter) for letter in _LETTERS if letter in axes])
    return ordered.reshape([ordered.shape[_place(axes, letter)] if letter in axes else 1 for letter in _LETTERS])


def _place(axes: str, letter: str) -> int:
    return [known for known in _LETTERS if known in axes].index(letter)
