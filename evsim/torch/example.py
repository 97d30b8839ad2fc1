"""The example that is recorded: its axes, and others made from it."""

from __future__ import annotations

import numpy as np
import torch

from evsim.errors import EvsimError

__all__ = ["as_example", "letters_of", "noise", "other_examples"]


def letters_of(axes: str) -> str:
    """ "T,B,C,H,W", "T B C H W" or "TBCHW" as letters.

    Raises
    ------
    EvsimError
        No letters, or one twice.
    """
    if isinstance(axes, list | tuple) and all(isinstance(word, str) for word in axes):
        axes = "".join(axes)
    if not isinstance(axes, str):
        raise EvsimError(f"axes={axes!r:.60}: expected a text with one letter an axis, like 'T,B,C,H,W'")
    letters = "".join(character for character in axes if character not in ", ")
    if not letters or not letters.isalpha() or len(set(letters)) < len(letters):
        raise EvsimError(f"axes={axes!r}: expected one letter an axis, each once, like 'T,B,C,H,W'")
    return letters


def as_example(example: object, letters: str) -> torch.Tensor:
    """The example as float32, on the CPU, its batch cut to one.

    Raises
    ------
    EvsimError
        It is no array of numbers, has other axes, or no values.
    """
    if not isinstance(example, torch.Tensor):
        array = np.asarray(example)
        if array.dtype.kind not in "biuf":
            raise EvsimError(
                f"the example is {type(example).__name__} of type {array.dtype}, expected an array of numbers"
            )
        example = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    example = example.detach().cpu().to(torch.float32)
    if example.dim() != len(letters):
        raise EvsimError(
            f"the example has shape {list(example.shape)}, expected {len(letters)} axes ({','.join(letters)})"
        )
    if example.numel() == 0 or not torch.isfinite(example).all():
        raise EvsimError(f"the example of shape {list(example.shape)} is empty or holds values that are not finite")
    return example.narrow(letters.index("B"), 0, 1).contiguous() if "B" in letters else example.contiguous()


def other_examples(example: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two samples like it, by name, so that neither places nor sizes nor any sum, mean or extreme stay the same.

    "weaker": one value alone. "stronger": back to front, turned by a few places, its magnitudes doubled and raised at
    every second place. Whole numbers stay whole; none becomes negative that was not.
    """
    whole = bool((example == example.round()).all())
    largest = float(example.abs().max()) or 1.0
    weaker = torch.zeros_like(example)
    weaker.view(-1)[example.numel() // 3] = 1.0 if whole else 0.1 * largest
    stronger = 2 * torch.roll(example.flip(-1), 3, -1).abs()
    stronger.view(-1)[::2] += 2 * largest
    return {"weaker": weaker, "stronger": stronger}


def noise(shape: tuple[int, ...], letters: str) -> torch.Tensor:
    """Made up: a normal image, or sparse event counts where there is time."""
    random = np.random.default_rng(14)
    values = random.poisson(0.2, shape) if "T" in letters else random.normal(0, 1, shape)
    return torch.from_numpy(values.astype(np.float32))
