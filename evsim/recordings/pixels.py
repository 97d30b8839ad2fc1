"""Pixels to network input, rounded as the official input pipelines round."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["MEAN_STD", "n_means", "normalise_pixels"]

MEAN_STD = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": ((0.1307,), (0.3081,)),
    "none": ((0.0,), (1.0,)),
}
TAKEN = "the image was taken as already normalised"
DOUBT = "the values of the image, {:g} to {:g}, look like pixels of 0 to {} that nobody normalised (--normalise does)"


def normalise_pixels(
    path, pixels: np.ndarray, how: str | tuple | None, trained_with: str | tuple | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Float32 pixels [n_channels, height, width] and notes saying how they were made.

    Raw pixels, whole numbers of 0 to 255, become ``(x - 255 * mean) / (255 * std)`` with float32 constants, two
    roundings, as timm's loader does. Real values are taken as already normalised, whatever the weights remember,
    unless `how` is said: then they must be pixels of 0 to 1 (or whole, of 0 to 255). "raw" leaves any pixels as they
    are, to be looked at.

    Parameters
    ----------
    how : str, (mean, std) or None
        What the user says.
    trained_with : str, (mean, std) or None
        What the weights file remembers; for raw pixels only.

    Raises
    ------
    RecordingError
        When raw pixels come without a word on how to normalise them: guessing would change the prediction.
    """
    if isinstance(how, str) and how == "raw":
        return pixels, ("the pixels were left as they are",)
    is_raw = pixels.dtype.kind in "iu"
    if is_raw:
        pixels = _bytes(path, pixels)
    if not is_raw and how is None:
        return pixels, (TAKEN, *_doubts(pixels))
    how = how if how is not None else trained_with
    if how is None:
        raise RecordingError(
            f"{path}: raw pixels (uint8) need --normalise: normalise='cifar10', 'cifar100', 'imagenet', 'mnist', "
            "'none' or (mean, std)"
        )
    mean, std = _constants(path, how, len(pixels))
    most = 255 if is_raw else _most(path, pixels, how)
    shift, scale = (most * mean).astype(np.float32), (most * std).astype(np.float32)
    kind = "raw pixels" if most == 255 else "pixels of 0 to 1"
    return (pixels.astype(np.float32) - shift) / scale, (f"{kind} were normalised: {how}",)


def _bytes(path, pixels: np.ndarray) -> np.ndarray:
    """Whole numbers as the bytes they are; other widths must hold what cannot be taken for a mask or for 16 bits."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = int(pixels.min(initial=0)), int(pixels.max(initial=0))
    if low < 0 or high > 255 or high <= 1:
        raise RecordingError(
            f"{path}: an image of {pixels.dtype} from {low} to {high}; expected pixels of 0 to 255 (uint8), or real "
            "numbers that are already normalised"
        )
    return pixels.astype(np.uint8)


def _most(path, pixels: np.ndarray, how: str | tuple) -> int:
    """What white is in real-valued pixels: 1 or 255."""
    low, high = float(pixels.min(initial=0)), float(pixels.max(initial=0))
    if 0 <= low and high <= 1:
        return 1
    if 0 <= low and high <= 255 and np.array_equal(pixels, np.rint(pixels)):
        return 255
    raise RecordingError(
        f"{path}: --normalise {how} is for pixels of 0 to 1 or 0 to 255, found {pixels.dtype} from {low:g} to {high:g} "
        "(leave it out for an image that is already normalised)"
    )


def _doubts(pixels: np.ndarray) -> tuple[str, ...]:
    """A warning where real values look like pixels; an image that was normalised has values below zero."""
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    if low < 0 or high > 255 or low == high:
        return ()
    if high <= 1:
        return (DOUBT.format(low, high, 1),)
    return (DOUBT.format(low, high, 255),) if np.array_equal(pixels, np.rint(pixels)) else ()


def _constants(path, how: str | tuple, n_channels: int) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(how, str) and how not in MEAN_STD:
        raise RecordingError(f"{path}: unknown normalise={how!r}; expected one of {', '.join(MEAN_STD)} or (mean, std)")
    sides = MEAN_STD[how] if isinstance(how, str) else how
    mean, std = (np.atleast_1d(np.asarray(side, np.float64)) for side in sides)
    if mean.size not in (1, n_channels) or std.size not in (1, n_channels):
        raise RecordingError(f"{path}: normalise={how!r} has {mean.size} channels, the image {n_channels}")
    return mean.reshape(-1, 1, 1), std.reshape(-1, 1, 1)


def n_means(how: str | tuple | None) -> int:
    """For how many channels a normalisation is meant; one fits any number, nothing known counts as three."""
    sides = MEAN_STD.get(how, (3 * (0,),)) if isinstance(how, str) or how is None else how
    return np.size(sides[0])
