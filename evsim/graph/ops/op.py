"""Op: what a graph may compute, and how its attributes are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evsim.checkpoints.refusal import shown

__all__ = [
    "LARGEST_VALUE", "BadNode", "Op", "Shape", "broadcast", "flag", "normal_dim", "numbers", "real", "sizes", "whole",
]  # fmt: skip

Shape = tuple[int, ...]
LARGEST_VALUE = 2**27
"""Elements of one value, at most: the largest weight known is VGG's 4096 x 25088."""
_MOST_AXES = 12


class BadNode(Exception):
    """What is wrong with a node; whoever reads the file adds where."""


@dataclass(frozen=True)
class Op:
    """One kind of operation.

    Parameters
    ----------
    shape : callable
        ``shape(attributes, *input shapes)`` is the shape of the value, or raises `BadNode`.
    value : callable
        ``value(attributes, *arrays)`` is the value itself.
    attributes : dict of str to callable
        What checks each of them: returns it, or raises `BadNode`.
    n_inputs : (int, int)
        Least and most.
    """

    shape: Callable[..., Shape]
    value: Callable[..., np.ndarray]
    attributes: Mapping[str, Callable[[object], object]] = field(default_factory=dict)
    n_inputs: tuple[int, int] = (1, 1)


def whole(least: int, most: int) -> Callable[[object], int]:
    """A whole number within bounds."""

    def check(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise BadNode(f"is {shown(value)}, expected a whole number from {least} to {most}")
        return value

    return check


def real(value: object) -> float:
    """A finite number, or an infinite one."""
    if type(value) not in (int, float) or value != value:
        raise BadNode(f"is {shown(value)}, expected a number")
    return float(value)


def flag(value: object) -> bool:
    if type(value) is not bool:
        raise BadNode(f"is {shown(value)}, expected true or false")
    return value


def numbers(least: int, most: int) -> Callable[[object], tuple[int, ...]]:
    """A short list of whole numbers within bounds."""
    check = whole(least, most)

    def check_all(value: object) -> tuple[int, ...]:
        if type(value) not in (list, tuple) or len(value) > _MOST_AXES:
            raise BadNode(f"is {shown(value)}, expected a list of up to {_MOST_AXES} whole numbers")
        return tuple(check(number) for number in value)

    return check_all


def sizes(value: object) -> Shape:
    """A shape no larger than a value may be."""
    shape = numbers(0, LARGEST_VALUE)(value)
    if math.prod(shape) > LARGEST_VALUE:
        raise BadNode(f"is {'x'.join(map(str, shape))}, more than {LARGEST_VALUE} elements")
    return shape


def normal_dim(dim: int, n_axes: int) -> int:
    if not -n_axes <= dim < n_axes:
        raise BadNode(f"axis {dim} of {n_axes} axes")
    return dim % n_axes


def broadcast(*shapes: Sequence[int]) -> Shape:
    """The shape of an operation element by element."""
    try:
        return np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        raise BadNode(f"shapes {', '.join('x'.join(map(str, s)) for s in shapes)} do not broadcast") from None
