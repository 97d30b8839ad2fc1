"""Weights for a network of which no trained checkpoint is at hand; `rates.tune` then decides how often it fires."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["random_tensors"]


def random_tensors(shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights that give currents of about unit variance with a tenth of the inputs active; no biases."""
    return {name: _random(rng, name, shape) for name, shape in shapes.items()}


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    part = name.rpartition(".")[2]
    if part == "weight" and len(shape) > 1:
        scale = (0.1 * np.prod(shape[1:])) ** -0.5
        return (scale * rng.standard_normal(shape)).astype(np.float32)
    is_one = part == "running_var" or (part == "weight" and len(shape) == 1)
    return np.full(shape, 1.0 if is_one else 0.0, np.float32)
