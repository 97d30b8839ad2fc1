"""Whole weights: which bits, scale and gains the weights of a layer take, and how large their sums become.

A layer has one scale, or in eight bits one scale and gain for each output channel, where its current has one for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.arithmetic.whole import (
    FINEST,
    GUARD,
    Claim,
    Fixing,
    Scale,
    rounded,
    weight_exponent,
    weight_exponents,
)
from evsim.errors import NetworkError
from evsim.handlers.projections.blocks import Blocks

__all__ = ["WholeWeights", "bits_of", "largest_sum"]

FEWEST_CHANNELS = 32
"""Output channels of a group from which on bytes are read faster than words: a row of fewer is less than a vector."""


def bits_of(fixing: Fixing, n_out: int) -> int:
    """Of a layer of `n_out` output channels a group: a short row, and a layer that reads the recording, keep 16.

    What the recording brings are counts or real pixels, and every later layer inherits an error made there.
    """
    return 16 if fixing.is_signed or n_out < FEWEST_CHANNELS else fixing.bits


@dataclass(frozen=True)
class WholeWeights:
    """The weights of a layer on their way to whole numbers.

    Parameters
    ----------
    name : str
        Of the layer.
    weight : float64 [c_out, c_in / groups, kernel rows, kernel columns]
        Times the gains of its current.
    blocks : Blocks
        The same in the layout of the layer.
    fixing : Fixing
    bits : int
    is_by_channel : bool
    """

    name: str
    weight: np.ndarray
    blocks: Blocks
    fixing: Fixing
    bits: int
    is_by_channel: bool

    def exponent(self) -> int | np.ndarray:
        """The finest scale at which each weight fits, and the sums of a block int16: those of bytes always do."""
        if self.is_by_channel:
            return weight_exponents(self.weight, self.bits)
        exponent = weight_exponent(self.weight, self.bits)
        while self.blocks.largest_sum(rounded(self.weight, exponent)) > np.iinfo(np.int16).max:
            exponent -= 1
        return exponent

    def claim(self) -> Claim:
        """All weights of one sign of one output, each with the largest payload: no subset of the events sums to more.

        All weights of either sign where a payload may be negative.
        """
        exponent, n_terms = self.exponent(), self.weight[0].size
        reach = self._reach(self.weight) * float(self.fixing.payload)
        return Claim(np.minimum(FINEST, exponent + GUARD), exponent, reach, n_terms * self.fixing.payload)

    def fixed(self, scale: Scale, groups: int, is_dilated: bool) -> tuple[Blocks, int | np.ndarray]:
        """The weights in whole numbers, in steps at least as coarse as those of the current, and their scale.

        All weights of one sign that one output meets in a block fit int16, so that any subset of them does, in any
        order: within a block sums are int16, then they are moved to the steps of the current.
        """
        exponent = np.minimum(self.exponent(), scale.exponent)
        whole = rounded(self.weight, _by_row(exponent), np.int16 if self.bits == 16 else np.int8)
        finer = scale.exponent - exponent
        reach, most = self._reach(whole) * self.fixing.payload << finer, self.claim().bound(scale.exponent)
        if np.any(reach > most):
            raise NetworkError(f"{self.name}: whole sums reach {np.max(reach)}, expected {np.max(most):.0f} at most")
        if self.bits == 16:
            return Blocks.of(whole, groups, np.int16, int(finer), is_dilated), int(exponent)
        shift = int(np.min(finer))
        units = np.broadcast_to(1 << (finer - shift), len(whole)).astype(np.int16)
        return Blocks.of(whole, groups, np.int8, shift, is_dilated, units), exponent

    def _reach(self, weight: np.ndarray) -> float | int | np.ndarray:
        reach = largest_sum(weight, self.fixing.is_signed)
        return reach if self.is_by_channel else reach.max(initial=0)


def largest_sum(weight: np.ndarray, is_signed: bool) -> np.ndarray:
    """Of each output, the largest absolute sum of weights; of those of one sign unless payloads may be negative."""
    weight = weight if weight.dtype == np.float64 else weight.astype(np.int64)
    above, below = (np.maximum(sign * weight, 0).sum(axis=(1, 2, 3)) for sign in (1, -1))
    return above + below if is_signed else np.maximum(above, below)


def _by_row(exponent: int | np.ndarray) -> int | np.ndarray:
    return exponent.reshape(-1, 1, 1, 1) if np.ndim(exponent) else int(exponent)
