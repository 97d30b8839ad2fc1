"""What a model holds, as far as it can be said before it runs: its weights, and the classes of its modules."""

from __future__ import annotations

import torch

from evsim.errors import EvsimError

__all__ = ["check_weights", "leaf_classes"]


def check_weights(model: torch.nn.Module) -> None:
    """Every parameter and buffer is a number.

    Raises
    ------
    EvsimError
        NaN or infinity in one of them. A buffer may hold infinities where it masks.
    """
    masks = {name for name, _ in model.named_buffers()}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if torch.nn.parameter.is_lazy(tensor) or tensor.is_meta:
            continue  # has no values before the first run
        found = torch.isnan(tensor) if name in masks else ~torch.isfinite(tensor)
        if bool(found.any()):
            raise EvsimError(
                f"{name} is not finite: {int(found.sum()):,} of its {tensor.numel():,} values are NaN or infinite"
            )


def leaf_classes(model: torch.nn.Module, n_named: int = 5) -> str:
    """The classes of modules without modules of their own, the first few by name."""
    names = list(dict.fromkeys(type(module).__name__ for module in model.modules() if not any(module.children())))
    return ", ".join(names[:n_named]) + (", ..." if len(names) > n_named else "")
