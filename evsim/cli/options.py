"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.errors import EvsimError

__all__ = [
    "CropPct", "Fit", "Index", "Order", "Precision", "SplitBy", "Threads", "WeightsPath", "parse_settings",
    "parse_threads",
]  # fmt: skip

WeightsPath = Annotated[str, typer.Option("--weights", "-w", help="Weights file (.npz), or a bundled network's name.")]
Order = Annotated[str, typer.Option(help="Order of the event queue: step (streaming) or stage (weight reuse).")]
Threads = Annotated[
    str, typer.Option(help="Steps that run at once, 1 to 256; the result is the same. Small networks run on one.")
]
SplitBy = Annotated[str | None, typer.Option(help="Cut events into steps by number or by time.")]
Fit = Annotated[
    str | None,
    typer.Option(
        help="Bring a sensor to the network's size: crop, crop=TOP:LEFT, pad, resize, resize=HxW, downsample=N, "
        "average=N; on_off_sum adds a channel. Several with commas."
    ),
]
Precision = Annotated[
    str | None, typer.Option(help="float32, or int16 or int8 in fixed point; the weights file's own when left out.")
]
CropPct = Annotated[
    float | None, typer.Option(min=0.1, max=1.0, help="Resize a picture to size / this and crop, as timm does: 0.95.")
]
Index = Annotated[str | None, typer.Option(help="Which recording of a file that holds several: number or key.")]


_MOST_THREADS = 256


def parse_threads(text: str) -> int:
    """A number of threads.

    Raises
    ------
    EvsimError
        Not a whole number from 1 to 256.
    """
    if not text.isdecimal() or not 1 <= int(text[:4]) <= _MOST_THREADS:
        raise EvsimError(f"--threads {text}: expected a whole number from 1 to {_MOST_THREADS}")
    return int(text)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping.

    Raises
    ------
    EvsimError
        A word without "=" or a name given twice.
    """
    parsed: dict[str, str] = {}
    for word in settings:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise EvsimError(f"--set {word}: expected NAME=VALUE")
        if name in parsed:
            raise EvsimError(f"--set {name}: given twice")
        parsed[name] = value
    return parsed
