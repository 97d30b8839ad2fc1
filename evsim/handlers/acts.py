"""What a handler does without a barrier: when one spike reaches it, or one addition to the current that it reads.

A handler says so itself, in one method:

    def asynchronous(self) -> Act: ...

It keeps `handle` for the synchronous mode; both work on the same weights and constants. A handler without the method
keeps its barrier: it is called once a step, with everything that its sources sent. See docs/asynchronous.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evsim.engine.current import Current

__all__ = ["Act", "Kind"]


class Kind(IntEnum):
    """What the loop can do. Behind each: the ports in order, and the `numbers` of its `Act`.

    Those that a spike reaches:

    PROJECT       spikes; groups, channels in and out of a group, height, width, out height, out width, kernel, stride,
                  padding, shift. Adds a row of `weights` (payload x weight x 2^shift) for each kernel position.
    POOL          spikes; channels, height, width, out height, out width, kernel, stride, padding. The first spike of
                  a window passes, later ones of the step are absorbed.
    DILATE        spikes; places, channels, channels of a head. The same over neighbouring tokens and channels.
    COINCIDE      k, v; places. Passes when the second operand of a place has arrived.
    GATE          q, gate; gates, width, members of a gate, step between them. An open gate lets its members pass, those
                  of place / width mod gates; what came before waits.
    SUM           spikes; sums, width, the whole number that is added to sum place / width mod sums, channels.
    PASS          any; no numbers. Every spike passes as an event of its own.
    MULTIPLY      q, k, v; tokens, heads, channels of a head. `scales` holds the factor.
    MULTIPLY_MAP  spikes; heads, rows and columns of a head, half, transposed, shift, tokens. `reads` the other operand,
                  whose changes act on the spikes that are already there. `scales` holds a factor a head, `biases` the
                  operand's constant part.
    MEAN_SPIKES   spikes; tokens, channels, exponent. Adds to a sum, then passes its change, divided.

    Those that an addition to a current reaches:

    FIRE          a population.
    POOL_CURRENT  height, width, out height, out width, kernel, stride, padding. `scales` holds for each channel by how
                  many bits the target is finer. A running maximum.
    MEAN          places. `scales` as for POOL_CURRENT. A running mean.
    CLASSIFY      channels, classes, finer, and 1 where sums are rounded. `weights` [channels, classes], real or whole.
    READ_OUT      the logits.

    BARRIER       whatever does not say how it acts.
    """

    PROJECT = 0
    POOL = 1
    DILATE = 2
    COINCIDE = 3
    GATE = 4
    SUM = 5
    PASS = 6
    MULTIPLY = 7
    MULTIPLY_MAP = 8
    MEAN_SPIKES = 9
    FIRE = 10
    POOL_CURRENT = 11
    MEAN = 12
    CLASSIFY = 13
    READ_OUT = 14
    BARRIER = 15


@dataclass(frozen=True, eq=False)
class Act:
    """How one handler acts, see `Kind`.

    Parameters
    ----------
    kind : Kind
    numbers : tuple of int
    ports : tuple of str
        In the order in which the kind knows them.
    reads, writes : Current, optional
    n_outputs : int
        Places of the spikes it sends without having neurons: a pool, a gate.
    n_marks : int
        Places that it must remember until the step ends.
    n_sums : int
        Sums that it keeps until the step ends.
    weights, scales, biases : array, optional
    largest_payload : int, optional
        Above it sums of whole numbers are not proved to fit.
    """

    kind: Kind
    numbers: tuple[int, ...] = ()
    ports: tuple[str, ...] = ("spikes",)
    reads: Current | None = None
    writes: Current | None = None
    n_outputs: int = 0
    n_marks: int = 0
    n_sums: int = 0
    weights: np.ndarray | None = None
    scales: np.ndarray | None = None
    biases: np.ndarray | None = None
    largest_payload: int | None = None
