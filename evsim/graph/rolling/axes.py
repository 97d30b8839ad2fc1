"""Where time is: every axis as a list of factors, of which some are time.

A factor is (size, atom): `atom` is None for plain data, else it says that the factor may be, or is, the axis of time.
``flatten(0, 1)`` of [T, B] puts two factors on one axis, ``reshape(T, B, ...)`` takes them apart again.
"""

from __future__ import annotations

import math

from evsim.errors import EvsimError

__all__ = [
    "Atom",
    "Axis",
    "Unrolled",
    "axis_size",
    "has_time",
    "join",
    "plain",
    "plain_axes",
    "regroup",
    "size_of_step",
]


class Unrolled(EvsimError):
    """Why a run has no program of one step; the place is added by whoever knows it."""


class Atom:
    """A factor that may be time: two that meet in one operation are the same from then on."""

    def __init__(self, size: int, is_time: bool = False) -> None:
        self.size = size
        self._is_time = is_time
        self._same_as: Atom | None = None

    def root(self) -> Atom:
        atom = self
        while atom._same_as is not None:
            atom = atom._same_as
        return atom

    @property
    def is_time(self) -> bool:
        return self.root()._is_time

    def become_time(self) -> None:
        self.root()._is_time = True

    def unify(self, other: Atom) -> None:
        """From now on both are one."""
        mine, theirs = self.root(), other.root()
        if mine is not theirs:
            mine._same_as = theirs
            theirs._is_time = theirs._is_time or mine._is_time


Axis = list[tuple[int, Atom | None]]


def axis_size(axis: Axis) -> int:
    return math.prod(size for size, _ in axis)


def has_time(axis: Axis) -> bool:
    return any(atom is not None and atom.is_time for _, atom in axis)


def size_of_step(axis: Axis) -> int:
    """What is left of an axis when time is gone."""
    return math.prod(size for size, atom in axis if atom is None or not atom.is_time)


def plain(size: int) -> Axis:
    return [(size, None)]


def plain_axes(shape: tuple[int, ...]) -> list[Axis]:
    return [plain(size) for size in shape]


def join(operands: list[list[Axis]]) -> list[Axis]:
    """The axes of a broadcast; where equal factors meet, their atoms become one."""
    n_axes = max(len(axes) for axes in operands)
    joined = []
    for i in range(n_axes):
        met = [axes[i - n_axes + len(axes)] for axes in operands if i - n_axes + len(axes) >= 0]
        met = [axis for axis in met if axis_size(axis) != 1]
        if not met:
            joined.append([])
            continue
        best = max(met, key=lambda axis: sum(atom is not None for _, atom in axis))
        for axis in met:
            _unify(best, axis)
        joined.append(best)
    return joined


def _unify(one: Axis, other: Axis) -> None:
    one, other = ([factor for factor in axis if factor[0] != 1] for axis in (one, other))
    if [size for size, _ in one] == [size for size, _ in other]:
        for (_, mine), (_, theirs) in zip(one, other, strict=True):
            if mine is not None and theirs is not None:
                mine.unify(theirs)


def regroup(axes: list[Axis], shape: tuple[int, ...]) -> list[Axis]:
    """The axes of a reshape; time stays whole.

    Raises
    ------
    Unrolled
        The reshape splits a factor that is time.
    """
    factors = [factor for axis in axes for factor in axis if factor[0] != 1]
    try:
        return _collect(_merged(factors), shape)
    except _Crossed:
        plain_ones = [(size, atom if atom is not None and atom.is_time else None) for size, atom in factors]
        return _collect(_merged(plain_ones), shape)


class _Crossed(Unrolled):
    """The new axes cross a factor."""


def _merged(factors: Axis) -> Axis:
    """Neighbouring factors of plain data as one."""
    merged: Axis = []
    for size, atom in factors:
        if atom is None and merged and merged[-1][1] is None:
            merged[-1] = (merged[-1][0] * size, None)
        else:
            merged.append((size, atom))
    return merged


def _collect(factors: Axis, shape: tuple[int, ...]) -> list[Axis]:
    axes = []
    for size in shape:
        axis, got = [], 1
        while got < size:
            found, atom = factors.pop(0)
            wanted = size // got
            if size % got == 0 and wanted % found == 0:
                axis.append((found, atom))
                got *= found
                continue
            if atom is not None and atom.is_time:
                raise Unrolled(
                    f"a reshape splits the axis of time ({found} -> {wanted}): attention across steps needs all steps "
                    "of a chunk; evsim runs step by step"
                )
            if atom is not None or size % got or found % wanted:
                raise _Crossed(f"a reshape to {list(shape)} crosses an axis of {found}")
            axis.append((wanted, None))
            factors.insert(0, (found // wanted, None))
            got *= wanted
        axes.append(axis)
    return axes
