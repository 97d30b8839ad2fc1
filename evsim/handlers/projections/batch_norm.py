"""Folding an evaluation-mode BatchNorm into the layer before it, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.errors import NetworkError

__all__ = ["BATCH_NORM_EPS", "fold_batch_norm", "norm_scale_shift"]

BATCH_NORM_EPS = 1e-5
LARGEST_FOLDED = 1e15
"""Of a folded weight or bias: float32 holds 3.4e38, and sums may have a million terms, each times a count of events."""


def norm_scale_shift(tensors: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """y = scale * x + shift, with scale = weight / sqrt(var + eps) and shift = bias - mean * scale (float64)."""
    weight, bias, mean, var = (
        np.asarray(tensors[f"{name}.{part}"], np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(var + BATCH_NORM_EPS)
    return scale, bias - mean * scale


def fold_batch_norm(tensors: Mapping[str, np.ndarray], layer: str, norm: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias (float64) of ``norm(layer(x))`` as one layer.

    Parameters
    ----------
    tensors : mapping
        The checkpoint's tensors.
    layer : str
        Module name of a convolution or linear layer; its ``.bias`` is optional.
    norm : str or None
        Module name of the BatchNorm behind it, or None.

    Raises
    ------
    NetworkError
        What is folded is no number, or more than sums in float32 can hold.
    """
    weight = np.asarray(tensors[f"{layer}.weight"], np.float64)
    bias = np.asarray(tensors.get(f"{layer}.bias", np.zeros(weight.shape[0])), np.float64)
    if norm is not None:
        with np.errstate(all="ignore"):  # what overflows is refused below
            scale, shift = norm_scale_shift(tensors, norm)
            weight, bias = weight * scale.reshape(-1, *([1] * (weight.ndim - 1))), bias * scale + shift
    for what, values in (("weights", weight), ("bias", bias)):
        if not np.all(np.abs(values) <= LARGEST_FOLDED):  # NaN is not either
            folded = f" with {norm} folded in" if norm else ""
            raise NetworkError(f"{layer}{folded} has {what} that are no numbers or above {LARGEST_FOLDED:g}")
    return weight, bias
