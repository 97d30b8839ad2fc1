"""What a node's value is while a network is built: known, events of a source, or a current that is yet to be written.

Every value keeps, for each of its elements (in the order of the graph's array), the address in whatever holds it. A
view of a value so is the same NumPy view of its addresses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from evsim.engine.current import Current

if TYPE_CHECKING:
    from evsim.graph.lower.producers.producer import Producer

__all__ = [
    "Events", "Fixed", "Part", "Real", "Stored", "Sum", "Value", "is_permutation", "positions", "view",
]  # fmt: skip

NOWHERE = -1
View = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Fixed:
    """A value that depends on weights alone."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class Events:
    """What a source sends.

    Parameters
    ----------
    source : str
        A handler, or the input.
    at : int32 array
        Of the node's shape: the address of each element among the source's places; -1 where there is always zero.
    n_places : int
        Of the source.
    kind : {"B", "I", "S", "X"}
        Binary, whole numbers, signed, anything (the input).
    unit : float
        What a payload of 1 is worth.
    path : str
        The population it comes from, where that is so: its rate is known.
    n_channels : int
        Of the source: an address is place * n_channels + channel.
    """

    source: str
    at: np.ndarray
    n_places: int
    kind: str
    unit: float = 1.0
    path: str = ""
    n_channels: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return self.at.shape

    @property
    def is_whole_source(self) -> bool:
        """Whether each place of the source is one element, and each element a place."""
        return is_permutation(self.at, self.n_places)


@dataclass(frozen=True, eq=False)
class Stored:
    """A sum that stands in a current: the address of each of its elements, int32, of the node's shape."""

    current: Current
    at: np.ndarray


@dataclass(eq=False)
class Part:
    """A share of a sum: the elements of another sum (`at`, of this one's shape; None: all in order), times `gain`."""

    of: Sum
    at: np.ndarray | None = None
    gain: np.ndarray | None = None


@dataclass(eq=False)
class Sum:
    """A current that is yet to be written: one producer, or parts of other sums; plus a constant.

    Parameters
    ----------
    node : int
        That made it.
    shape : tuple of int
    parts : list of Part
    producer : Producer or None
    at : int32 array, optional
        Of a producer: the address, in its own space, of each element.
    constant : array or None
        Broadcasts to `shape`.

    Attributes
    ----------
    stored : Stored or None
        Where it stands, once it was written.
    sent : Events or None
        The same as events, once it was sent.
    """

    node: int
    shape: tuple[int, ...]
    parts: list[Part] = field(default_factory=list)
    producer: Producer | None = None
    at: np.ndarray | None = None
    constant: np.ndarray | None = None
    stored: Stored | None = None
    sent: Events | None = None


@dataclass(frozen=True, eq=False)
class Real:
    """A view of a sum; `at` are flat places in it, of the node's shape (None: all in order), -1 where it is zero."""

    of: Sum
    at: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.of.shape if self.at is None else self.at.shape


Value = Fixed | Events | Real

_POSITIONS: dict[tuple[int, ...], np.ndarray] = {}
_MOST_KEPT = 64


def positions(shape: tuple[int, ...]) -> np.ndarray:
    """0, 1, 2, ... of that shape, int32; to be read only."""
    if shape not in _POSITIONS:
        if len(_POSITIONS) >= _MOST_KEPT:
            _POSITIONS.clear()
        array = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
        array.flags.writeable = False
        _POSITIONS[shape] = array
    return _POSITIONS[shape]


def view(value: Value, change: View) -> Value:
    """A NumPy view of a value; -1 may stand for zeros that it adds."""
    if isinstance(value, Fixed):
        return Fixed(change(value.array))
    if isinstance(value, Events):
        return replace(value, at=change(value.at))
    return Real(value.of, change(positions(value.of.shape) if value.at is None else value.at))


def is_permutation(at: np.ndarray, n: int) -> bool:
    """Whether each of 0 to n - 1 is there once, and nothing else."""
    flat = at.reshape(-1)
    if flat.size != n or (flat.size and (flat.min() < 0 or flat.max() >= n)):
        return False
    seen = np.zeros(n, bool)
    seen[flat] = True
    return bool(seen.all())
