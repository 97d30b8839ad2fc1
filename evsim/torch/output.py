"""Which of the tensors that a model returns is its output, and whether it can be logits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.utils import _pytree as pytree

from evsim.errors import EvsimError

__all__ = ["choose_output"]


def choose_output(returned: object, axes: str) -> tuple[list[torch.Tensor], str]:
    """All tensors of what a model returns, the first being its output, and what there was to choose from.

    Parameters
    ----------
    returned : object
        Of the model's forward.
    axes : str
        Of its input, one letter each.

    Raises
    ------
    EvsimError
        There is no tensor, or the first holds whole numbers or one number for each sample.
    """
    tensors = [leaf for leaf in pytree.tree_leaves(returned) if isinstance(leaf, torch.Tensor)]
    if not tensors:
        raise EvsimError(f"the model returns {type(returned).__name__} without a tensor, expected logits")
    first, shape = tensors[0], list(tensors[0].shape)
    if not first.is_floating_point():
        kind = str(first.dtype).removeprefix("torch.")
        raise EvsimError(f"the model returns {kind} {shape}, expected its logits: return them, not the class")
    if not shape or ("B" in axes and shape == [1]):
        raise EvsimError(f"the model returns one number of shape {shape}, expected its logits: return one a class")
    if len(tensors) == 1:
        return tensors, ""
    if isinstance(returned, Mapping):
        names = [str(name) for name in returned]
        told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        chosen = next(
            name for name, entry in returned.items() if any(leaf is first for leaf in pytree.tree_leaves(entry))
        )
        return tensors, f"output: {str(chosen)!r}, the first of {told}"
    return tensors, f"output: the first of {len(tensors)}"
