"""Does a checkpoint hold exactly the tensors a network needs?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.errors import CheckpointError

__all__ = ["norm_shapes", "select_tensors", "shape_of"]

COUNTERS = (".num_batches_tracked", "total_ops", "total_params")
"""Ends of names that training tools leave in a state dict (BatchNorm, a profiler): dead everywhere."""

_MOST_NAMED = 8

Shapes = dict[str, tuple[int, ...]]


def norm_shapes(name: str, n_channels: int) -> Shapes:
    """The live tensors of one BatchNorm."""
    return {f"{name}.{part}": (n_channels,) for part in ("weight", "bias", "running_mean", "running_var")}


def shape_of(path: str, shapes: Mapping[str, tuple[int, ...]], name: str, n_axes: int, network: str) -> tuple[int, ...]:
    """The shape of one tensor that tells a hyper-parameter.

    Raises
    ------
    CheckpointError
        It is not there or has another number of axes, so this is no such network.
    """
    if len(shapes.get(name, ())) != n_axes:
        raise CheckpointError(f"{path}: no {n_axes}-D tensor {name}, which a {network} has")
    return shapes[name]


def select_tensors(
    path: str, tensors: Mapping[str, np.ndarray], live: Shapes, dead: Shapes
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The live tensors in declared order, and the names of the dead ones that were dropped.

    A dead name that ends in ``*`` stands for all that begin so. Counters of training tools (`COUNTERS`) are dead
    everywhere.

    Raises
    ------
    CheckpointError
        Tensors are missing, unknown, or have another shape; the first ones are listed.
    """
    dropped = [name for name in tensors if _is_dead(name, dead)]
    missing = [name for name in live if name not in tensors]
    unknown = [name for name in tensors if name not in live and name not in dropped]
    wrong = [
        f"{name} is {_size(tensors[name].shape)}, expected {_size(shape)}"
        for name, shape in live.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    problems = [
        *([f"missing {_names(missing)}"] if missing else []),
        *([f"unknown {_names(unknown)}"] if unknown else []),
        *wrong[:_MOST_NAMED],
        *([f"and {len(wrong) - _MOST_NAMED} more"] if len(wrong) > _MOST_NAMED else []),
    ]
    if problems:
        raise CheckpointError(f"{path}: {'; '.join(problems)}")
    return {name: tensors[name] for name in live}, dropped


def _is_dead(name: str, dead: Shapes) -> bool:
    prefixes = tuple(pattern[:-1] for pattern in dead if pattern.endswith("*"))
    return name in dead or name.endswith(COUNTERS) or name.startswith(prefixes)


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
