"""The Wilson score interval: what an observed share says about the true one."""

from __future__ import annotations

from math import sqrt

__all__ = ["Z_95", "wilson_interval"]

Z_95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


def wilson_interval(hits: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Lower and upper bound of the share behind `hits` of `n`; (0, 1) when n is 0.

    centre = (p + z^2 / 2n) / (1 + z^2 / n),  half width = z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n)

    Unlike the textbook interval it stays inside 0 ... 1 and has a width when all or none are hits.
    """
    if n == 0:
        return 0.0, 1.0
    p, shrink = hits / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / shrink
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == n else centre + half
    return low, high
