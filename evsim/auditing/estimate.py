"""Estimate: a number measured on several recordings.

mean,  sd = sqrt(sum (x - mean)^2 / (n - 1)),  95 % interval = mean -+ t(0.975, n - 1) * sd / sqrt(n)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

__all__ = ["Estimate", "estimate"]

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean over recordings; the spread is None for a single one."""

    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 1

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval of the mean."""
        return None if self.high is None else self.high - self.mean


def estimate(values: Iterable[float | None]) -> Estimate | None:
    """The mean of the values and its 95 % interval by Student's t; None when a value is missing.

    Source: scipy.stats.t. The interval supposes recordings drawn independently.
    """
    sample = list(values)
    if not sample or any(value is None for value in sample):
        return None
    if len(sample) == 1:
        return Estimate(float(sample[0]))
    from scipy.stats import t

    array = np.asarray(sample, np.float64)
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    half = float(t.ppf((1 + LEVEL) / 2, array.size - 1)) * sd / array.size**0.5
    return Estimate(mean, sd, mean - half, mean + half, array.size)
