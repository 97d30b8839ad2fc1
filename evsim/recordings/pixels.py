"""Raw pixels to network input, rounded as the official input pipelines round."""

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


def normalise_pixels(path, pixels: np.ndarray, how: str | tuple | None) -> tuple[np.ndarray, str]:
    """Float32 pixels [n_channels, height, width] and a note saying how they were made.

    uint8 pixels become ``(x - 255 * mean) / (255 * std)`` with float32 constants, two roundings, as timm's loader
    does. Real-valued pixels are taken as they are unless `how` says otherwise. "raw" leaves any pixels as they are, to
    be looked at.

    Raises
    ------
    RecordingError
        When raw pixels come without a word on how to normalise them: guessing would change the prediction.
    """
    raw = pixels.dtype == np.uint8
    if isinstance(how, str) and how == "raw":
        return pixels, "the pixels were left as they are"
    if how is None and raw:
        raise RecordingError(
            f"{path}: raw pixels (uint8) need normalise='cifar10', 'cifar100', 'imagenet', 'mnist', 'none' "
            "or (mean, std)"
        )
    if how is None:
        return pixels, "the image was taken as already normalised"
    if not raw:
        raise RecordingError(f"{path}: normalise={how!r} is for raw pixels (uint8), found {pixels.dtype}")
    mean, std = _constants(path, how, len(pixels))
    shift, scale = (255 * mean).astype(np.float32), (255 * std).astype(np.float32)
    return (pixels.astype(np.float32) - shift) / scale, f"raw pixels were normalised: {how}"


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
