"""Where the time axis goes: T is always axis 0, and weights see time folded into the batch."""

from collections.abc import Callable

import torch

__all__ = ["per_step", "to_steps"]


def to_steps(x: torch.Tensor, n_steps: int) -> torch.Tensor:
    """An image [B, C, H, W] repeated n_steps times, or frames [B, T, C, H, W] with time first."""
    if x.dim() == 4:
        return x.unsqueeze(0).expand(n_steps, *x.shape)
    return x.transpose(0, 1)


def per_step(x: torch.Tensor, *layers: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Apply layers that know no time to [T, B, ...]."""
    y = x.flatten(0, 1)
    for layer in layers:
        y = layer(y)
    return y.unflatten(0, x.shape[:2])
