"""check_finite, check_numbers: no network computes with weights that are no numbers, or none that a sum can hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.refusal import Refused, listed

__all__ = ["LARGEST_WEIGHT", "check_finite", "check_numbers"]

LARGEST_WEIGHT = 1e15
"""Of any tensor. No trained weight comes near it; what a network adds and multiplies of them stays below the 3.4e38 of
float32, so that no current and no membrane becomes infinite, or no number, unseen inside of it."""

_VARIANCE = ".running_var"


def check_finite(tensors: Mapping[str, np.ndarray]) -> None:
    """Pass when every value of every tensor is finite.

    Raises
    ------
    Refused
        Naming the first tensors that hold NaN or an infinity.
    """
    _refuse("NaN or infinite values", (name for name, tensor in tensors.items() if not np.all(np.isfinite(tensor))))


def check_numbers(tensors: Mapping[str, np.ndarray]) -> None:
    """Pass when every value of every tensor is finite, small enough to be summed, and no variance is negative.

    Raises
    ------
    Refused
        Naming the first tensors that are not so.
    """
    check_finite(tensors)
    largest = {name: _largest(tensor) for name, tensor in tensors.items()}
    huge = [name for name, value in largest.items() if value > LARGEST_WEIGHT]
    if huge:
        _refuse(f"values up to {max(largest[name] for name in huge):.3g}, more than {LARGEST_WEIGHT:g},", huge)
    _refuse("negative variances", (name for name in tensors if name.endswith(_VARIANCE) and np.any(tensors[name] < 0)))


def _largest(tensor: np.ndarray) -> float:
    return max(float(tensor.max(initial=0)), -float(tensor.min(initial=0))) if tensor.dtype.kind == "f" else 0.0


def _refuse(what: str, names) -> None:
    if names := list(names):
        raise Refused(f"{what} in the tensors {listed(names)}")
