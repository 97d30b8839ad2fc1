"""Which neuron stands on which line of a raster, and what the lines are called."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evsim.errors import TraceError
from evsim.traces.trace import Layer

__all__ = ["Grouping", "group_neurons"]


@dataclass(frozen=True, eq=False)
class Grouping:
    """An order of the neurons of a layer.

    Parameters
    ----------
    line : int64 [n_events]
        The line of each event's neuron, 0 on top.
    n_lines : int
        Neurons in all.
    group_size : int
        Neurons that belong together, one after the other.
    by : str
        What a group is ("channel").
    label : str
        How many groups there are and what is inside one.
    """

    line: np.ndarray
    n_lines: int
    group_size: int
    by: str
    label: str

    @property
    def n_groups(self) -> int:
        return self.n_lines // self.group_size


def group_neurons(layer: Layer, by: str | None = None, n_heads: int | None = None) -> Grouping:
    """Sort the neurons of `layer` by one of its axes, the other axes inside.

    Parameters
    ----------
    layer : Layer
    by : str, optional
        An axis of the layer ("channel", "row", "head"); "token" for row and col together; or "head" for a layer
        whose channels belong to `n_heads` heads. Default: the head where there is one, else the channel.
    n_heads : int, optional

    Raises
    ------
    TraceError
        The layer has no such axis.
    """
    axes, shape = layer.axes.split(","), layer.shape
    if math.prod(shape) == 0:
        raise TraceError(f"a layer of shape {shape} has no neurons to draw")
    places = np.unravel_index(layer.address, shape)
    index = dict(zip(axes, places, strict=True))
    size = dict(zip(axes, shape, strict=True))
    if n_heads and "channel" in axes and "head" not in axes and size["channel"] % n_heads == 0:
        inside = size["channel"] // n_heads
        index |= {"head": index["channel"] // inside, "channel": index["channel"] % inside}
        size |= {"head": n_heads, "channel": inside}
    by = by or ("head" if "head" in size else "channel" if "channel" in size else axes[0])
    order = ["row", "col"] if by == "token" else [by]
    if not set(order) <= set(size):
        raise TraceError(f"a layer with axes {layer.axes} cannot be grouped by {by}")
    order += sorted((axis for axis in size if axis not in order), key=_rank)
    line = np.ravel_multi_index([index[axis] for axis in order], [size[axis] for axis in order])
    n_groups = size["row"] * size["col"] if by == "token" else size[by]
    n_lines = math.prod(shape)
    inside = order[2 if by == "token" else 1 :]
    return Grouping(line, n_lines, n_lines // n_groups, by, _label(n_groups, by, inside, size))


def _label(n_groups: int, by: str, inside: list[str], size: dict[str, int]) -> str:
    """``8 heads of 32 channels x 16 x 16``: rows and columns need no words."""
    parts = [str(size[axis]) if axis in _BARE else f"{size[axis]} {_plural(axis)}" for axis in inside if size[axis] > 1]
    return f"{n_groups} {_plural(by)}" + (f" of {' x '.join(parts)}" if parts else "")


def _plural(axis: str) -> str:
    return {"query": "queries"}.get(axis, axis + "s")


def _rank(axis: str) -> int:
    """Larger parts outside; an axis of a name not known here comes last."""
    return _SEQUENCE.index(axis) if axis in _SEQUENCE else len(_SEQUENCE)


_BARE = ("row", "col")
_SEQUENCE = ["head", "channel", "query", "token", "row", "col", "key"]
