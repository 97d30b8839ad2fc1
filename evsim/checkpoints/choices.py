"""Choices: hyper-parameters that tensors cannot tell, from the stored arguments or from the user."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from evsim.errors import CheckpointError

__all__ = ["Choices", "flag", "image_size", "pooling_stat", "positive", "power_of_two"]

_MISSING = object()


class Choices:
    """What the training script stored, overruled by what the user said; never a guess.

    Parameters
    ----------
    path : str
        The checkpoint, for messages.
    args : mapping
        Arguments stored in the checkpoint (empty for a bare state dict).
    options : mapping of str to str
        What the user gave as ``--set NAME=VALUE``.

    Attributes
    ----------
    notes : list of str
        What was taken from where, for the user to read.
    """

    def __init__(self, path: str, args: Mapping[str, object], options: Mapping[str, str]) -> None:
        self.path = path
        self.args = args
        self.options = dict(options)
        self.notes: list[str] = []
        self._asked: set[str] = set()

    def take(self, name: str, kind, meaning: str, arg: str | None = None, default: object = _MISSING):
        """The value of hyper-parameter `name`, parsed by `kind`.

        Parameters
        ----------
        name : str
            As in ``--set NAME=VALUE``.
        kind : callable
            Turns a string or stored value into the value; raises ValueError on nonsense.
        meaning : str
            Why the value matters, for the message.
        arg : str, optional
            Its name among the stored arguments, where that differs.
        default : optional
            A documented constant of the family; without one the value must be known.

        Raises
        ------
        CheckpointError
            Neither the checkpoint nor the user tells, or the value is nonsense.
        """
        self._asked.add(name)
        stored = self.args.get(arg or name)
        if name in self.options:
            value = self._parse(name, kind, self.options[name])
            if stored is not None and self._parse(name, kind, stored) != value:
                self.notes.append(f"{name} = {value} as you said (the checkpoint's arguments say {stored})")
            return value
        if stored is not None:
            return self._parse(name, kind, stored)
        if default is not _MISSING:
            if default not in (None, ""):
                self.notes.append(f"{name} = {default}, the default of this family: no file stores it ({meaning})")
            return default
        raise CheckpointError(
            f"{self.path}: neither tensors nor stored arguments tell {name} ({meaning}); give --set {name}=VALUE"
        )

    def refuse_unknown(self) -> None:
        """Raise if the user set a name that nothing asked for."""
        unknown = sorted(set(self.options) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise CheckpointError(f"{self.path}: --set {unknown[0]}: unknown here, expected one of {known}")

    def _parse(self, name: str, kind, value: object):
        try:
            return kind(value)
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{self.path}: {name} = {value!r}: {error}") from None


def positive(value: object) -> int:
    """A count, from 1 to 10000."""
    number = int(value)
    if not 0 < number <= 10_000:
        raise ValueError("expected a whole number from 1 to 10000")
    return number


def image_size(value: object) -> tuple[int, int]:
    """Rows and columns: 32, 32x48, or what a script stored as a list, with or without the channels in front."""
    parts = list(value) if isinstance(value, (tuple, list)) else str(value).lower().split("x")
    numbers = [positive(part) for part in parts[-2:]]
    return (numbers[0], numbers[-1])


def flag(value: object) -> bool:
    """True or false, in the words people use."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError("expected true or false")
    return words[str(value).lower()]


def pooling_stat(value: object) -> str:
    """Which of the four stages of a stem pool, like 0011."""
    if not re.fullmatch("[01]{4}", str(value)):
        raise ValueError("expected four characters 0 or 1")
    return str(value)


def power_of_two(value: object) -> float:
    """A scale that float32 multiplies without rounding."""
    number = float(value)
    if not 0 < number < math.inf or math.frexp(number)[0] != 0.5:
        raise ValueError("expected a power of two, like 0.125")
    return number
