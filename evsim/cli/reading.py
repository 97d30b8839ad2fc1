"""The options that say how a recording is read and cut, one group for every verb that reads recordings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated

import typer

from evsim.cli.options import CropPct, Fit, Index, SplitBy
from evsim.errors import EvsimError

__all__ = ["READING", "parse_sensor", "reads_recordings"]

Axes = Annotated[str | None, typer.Option(help="Axes of a bare array in another order than T C H W, like 'T H W C'.")]
Layout = Annotated[
    str | None, typer.Option(help="What the file is, or the order of its columns: nmnist, txyp, frames, chw, ...")
]
Sensor = Annotated[
    str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Size of the sensor, where the file does not say it.")
]
Unit = Annotated[str | None, typer.Option(help="Unit of the time stamps: us, ms, s or ns.")]
DropOutside = Annotated[
    bool, typer.Option("--drop-outside", help="Leave out events outside the sensor; how many is in the notes.")
]
Normalise = Annotated[
    str | None, typer.Option(help="Raw pixels to input: cifar10, cifar100, imagenet, mnist, none (0 to 1).")
]

Dt = Annotated[str | None, typer.Option(help="Cut events into steps of this length, like 1ms.")]
Steps = Annotated[
    int | None, typer.Option(min=1, max=100_000, help="How many steps, of a network that takes any number of them.")
]

READING = {
    "split_by": SplitBy,
    "dt": Dt,
    "steps": Steps,
    "fit": Fit,
    "index": Index,
    "crop_pct": CropPct,
    "axes": Axes,
    "layout": Layout,
    "sensor": Sensor,
    "unit": Unit,
    "normalise": Normalise,
    "drop_outside": DropOutside,
}
"""Names and types of the options; none is set when left out."""


def reads_recordings(*left_out: str) -> Callable[[Callable], Callable]:
    """Give a verb the options of `READING`; it gets them as one `Preparation`, its parameter `preparation`.

    Parameters
    ----------
    *left_out : str
        Options that mean nothing to this verb.
    """

    def decorate(verb: Callable) -> Callable:
        own = dict(inspect.signature(verb, eval_str=True).parameters)
        del own["preparation"]
        names = [name for name in READING if name not in (*own, *left_out)]

        @wraps(verb)
        def with_preparation(**told):
            mine = {name: value for name, value in told.items() if name in own}
            return verb(**mine, preparation=_preparation({name: told[name] for name in names}))

        one = inspect.Parameter
        added = [one(name, one.KEYWORD_ONLY, default=_default(name), annotation=READING[name]) for name in names]
        every = [*(p.replace(kind=one.KEYWORD_ONLY) for p in own.values()), *added]
        with_preparation.__signature__ = inspect.Signature(every)
        with_preparation.__annotations__ = {p.name: p.annotation for p in every}
        return with_preparation

    return decorate


def _default(name: str) -> object:
    return False if name == "drop_outside" else None


def parse_sensor(text: str | None) -> tuple[int, int] | None:
    """``34x34`` as height and width.

    Raises
    ------
    EvsimError
        Not two whole numbers.
    """
    if text is None:
        return None
    height, sign, width = text.lower().partition("x")
    if not sign or not height.isdecimal() or not width.isdecimal() or not int(height) or not int(width):
        raise EvsimError(f"--sensor {text}: expected HEIGHTxWIDTH in pixels, like 34x34")
    return int(height), int(width)


def _preparation(told: dict):
    from evsim.recordings.duration import parse_microseconds
    from evsim.recordings.options import ReadOptions
    from evsim.runs.preparation import Preparation

    told = told | {"sensor": parse_sensor(told.get("sensor"))}
    cut = {name: told.pop(name) for name in ("split_by", "fit", "index", "crop_pct", "dt", "steps") if name in told}
    if cut.get("split_by") not in (None, "number", "time"):
        raise EvsimError(f"--split-by {cut['split_by']}: expected number or time")
    if cut.get("dt") is not None:
        cut["dt"] = parse_microseconds(cut["dt"], "dt")
    return Preparation(**cut, reading=ReadOptions(**told))
