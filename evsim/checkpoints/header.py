"""What a weights file's header says of the network and of its input, checked before it is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.refusal import shown
from evsim.errors import CheckpointError, RecordingError

__all__ = ["check_preparation", "read_header_values", "read_preparation"]

LARGEST_NUMBER = 100_000
LONGEST_LIST = 100
_WHOLE_NUMBERS = tuple[int, ...]


def read_header_values(path: str, values: Mapping[str, object], kind: type) -> Any:
    """An instance of the dataclass `kind` from JSON values of the right names and types.

    Its fields are int, float, bool, str or tuple[int, ...]. One that has a default may be missing: files of earlier
    versions do not have it.

    Raises
    ------
    CheckpointError
        A value is missing, unknown, of another type, or no sensible size.
    """
    expected = get_type_hints(kind)
    needless = {field.name for field in fields(kind) if field.default is not MISSING}
    wrong = sorted((set(values) - set(expected)) | (set(expected) - set(values) - needless))
    if wrong:
        raise CheckpointError(f"{path}: hyper-parameter {wrong[0]} is missing or unknown, expected {list(expected)}")
    return kind(**{name: _checked(path, name, value, expected[name]) for name, value in values.items()})


def _checked(path: str, name: str, value: object, kind: type) -> object:
    """`value` where it is of `kind` and of sensible size; a tuple of int is a list in JSON."""
    if kind == _WHOLE_NUMBERS and type(value) in (list, tuple) and len(value) <= LONGEST_LIST:
        return tuple(_checked(path, name, number, int) for number in value)
    if kind is float and type(value) is int and abs(value) < LARGEST_NUMBER:
        return float(value)
    if type(value) is not kind:
        expected = f"a list of up to {LONGEST_LIST} int" if kind == _WHOLE_NUMBERS else kind.__name__
        raise CheckpointError(f"{path}: hyper-parameter {name} is {shown(value)}, expected {expected}")
    if kind is float and not math.isfinite(value):
        raise CheckpointError(f"{path}: hyper-parameter {name} is {value}, expected a finite number")
    if kind is int and not 0 <= value <= LARGEST_NUMBER:
        raise CheckpointError(f"{path}: hyper-parameter {name} is {value}, expected 0 to {LARGEST_NUMBER}")
    return value


def read_preparation(choices: Choices) -> dict[str, str | None]:
    """How the recordings of the training were prepared: ``split_by``, ``fit``, and the ``sensor`` that was fitted."""
    preparation = {
        "split_by": choices.take("split_by", _split_by, "how events are cut into steps", default=None),
        "fit": choices.take("fit", _fit, "how a sensor is brought to the input size", default=None),
        "sensor": choices.take("sensor", _sensor, "the sensor that fit is meant for, HxW", default=None),
    }
    if preparation["fit"] and not preparation["sensor"]:
        raise CheckpointError(f"{choices.path}: fit {preparation['fit']} for which sensor? give --set sensor=HxW")
    return preparation


def check_preparation(path: str, header: Mapping[str, object]) -> None:
    """Raise unless the header's ``input`` is as `evsim import` writes it."""
    prepared = header.get("input") or {}
    try:
        for name, parse in _PREPARATION.items():
            if prepared.get(name) is not None:
                parse(prepared[name])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its header describes no input evsim knows ({error})") from None


def _split_by(value: object) -> str:
    if value not in ("number", "time"):
        raise ValueError(f"split_by {value!r}, expected number or time")
    return str(value)


def _dt(value: object) -> str:
    from evsim.recordings.duration import parse_microseconds

    try:
        parse_microseconds(str(value), "dt")
    except RecordingError as error:
        raise ValueError(str(error)) from None
    return str(value)


def _steps(value: object) -> str:
    if not str(value).isdecimal() or not 1 <= int(str(value)[:9]) <= LARGEST_NUMBER:
        raise ValueError(f"steps {value!r}, expected 1 to {LARGEST_NUMBER}")
    return str(value)


def _fit(value: object) -> str:
    from evsim.recordings.fit_text import parse_fit

    try:
        parse_fit(str(value))
    except RecordingError as error:
        raise ValueError(str(error)) from None
    return str(value)


def _sensor(value: object) -> str:
    height, _, width = str(value).partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise ValueError(f"sensor {value!r}, expected HxW")
    return str(value)


_PREPARATION = {"split_by": _split_by, "fit": _fit, "sensor": _sensor, "dt": _dt, "steps": _steps}
