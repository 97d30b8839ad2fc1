"""Choices: hyper-parameters that tensors cannot tell, from the stored arguments or from the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from evsim.checkpoints.kinds import stand_in
from evsim.checkpoints.refusal import shown
from evsim.errors import CheckpointError

__all__ = ["Choices"]

_MISSING = object()


class _Nonsense(CheckpointError):
    """A value that somebody did give, and that is none."""


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
    assumed : dict of str to str
        What neither told, and what was taken instead: for the weights file to remember.
    """

    def __init__(self, path: str, args: Mapping[str, object], options: Mapping[str, str]) -> None:
        self.path = path
        self.args = args
        self.options = dict(options)
        self.notes: list[str] = []
        self.assumed: dict[str, str] = {}
        self._asked: set[str] = set()
        self._missing: dict[str, str] | None = None

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Ask for everything that is missing in one message, when the block ends; in it stand-ins are given out.

        Raises
        ------
        CheckpointError
            Something is missing, whatever else went wrong for the lack of it.
        """
        self._missing = {}
        try:
            yield
        except _Nonsense:
            raise
        except CheckpointError:
            if not self._missing:
                raise
        missing, self._missing = self._missing, None
        if missing:
            raise self._ask_for(missing) from None

    def take(
        self,
        name: str,
        kind: Callable,
        meaning: str,
        arg: str | tuple[str, ...] | None = None,
        default: object = _MISSING,
        constant: object = _MISSING,
    ):
        """The value of hyper-parameter `name`, parsed by `kind`.

        Parameters
        ----------
        name : str
            As in ``--set NAME=VALUE``.
        kind : callable
            Turns a string or stored value into the value; raises ValueError on nonsense.
        meaning : str
            Why the value matters, for the message.
        arg : str or tuple of str, optional
            Its name or names among the stored arguments, where they differ.
        default : optional
            What a family takes where nothing tells, with a note; without one the value must be known.
        constant : optional
            The same, where the official code itself has this value and no choice: remembered without a note.

        Raises
        ------
        CheckpointError
            Neither the checkpoint nor the user tells, the arguments contradict each other, or the value is nonsense.
        """
        self._asked.add(name)
        keys = dict.fromkeys((*((arg,) if isinstance(arg, str) else arg or ()), name))
        said = {key: self.args[key] for key in keys if self.args.get(key) is not None}
        if name in self.options:
            return self._overrule(name, kind, said)
        stored = {key: self._parse(name, kind, value) for key, value in said.items()}
        if len({repr(found) for found in stored.values()}) > 1:
            return self.ask(name, kind, f"{meaning}; the stored arguments say {_listed(said)}")
        if stored:
            return next(iter(stored.values()))
        return self._assume(name, kind, meaning, default, constant)

    def ask(self, name: str, kind: Callable, meaning: str):
        """Unless the user says it, raise; while asking for everything, a stand-in.

        Raises
        ------
        CheckpointError
            The value must be known.
        """
        self._asked.add(name)
        if name in self.options:
            return self._parse(name, kind, self.options[name])
        if self._missing is None or stand_in(kind) is None:
            raise self._ask_for((self._missing or {}) | {name: meaning})
        self._missing[name] = meaning
        return stand_in(kind)

    def refuse_unknown(self) -> None:
        """Raise if the user set a name that nothing asked for."""
        unknown = sorted(set(self.options) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise CheckpointError(f"{self.path}: --set {unknown[0]}: unknown here, expected one of {known}")

    def _overrule(self, name: str, kind: Callable, stored: Mapping[str, object]) -> object:
        """What the user said, and a note where the arguments say something else."""
        value = self._parse(name, kind, self.options[name])
        others = {}
        for key, found in stored.items():
            try:
                differs = kind(found) != value
            except (ValueError, TypeError, OverflowError):
                differs = True
            others |= {key: found} if differs else {}
        if others:
            self.notes.append(f"{name} = {value} as you said (the checkpoint's arguments say {_listed(others)})")
        return value

    def _assume(self, name: str, kind: Callable, meaning: str, default: object, constant: object):
        if constant is not _MISSING:
            self.assumed[name] = f"{constant}, as the official code has it"
            return constant
        if default is _MISSING:
            return self.ask(name, kind, meaning)
        if default not in (None, ""):
            self.assumed[name] = f"{default}, the default of this family"
            self.notes.append(f"{name} = {default}, the default of this family: no file stores it ({meaning})")
        return default

    def _ask_for(self, missing: Mapping[str, str]) -> CheckpointError:
        told = ", ".join(f"{name} ({meaning})" for name, meaning in missing.items())
        options = " ".join(f"--set {name}=VALUE" for name in missing)
        return CheckpointError(f"{self.path}: neither tensors nor stored arguments tell {told}; give {options}")

    def _parse(self, name: str, kind: Callable, value: object):
        try:
            return kind(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise _Nonsense(f"{self.path}: {name} = {shown(value)}: {error}") from None


def _listed(stored: Mapping[str, object]) -> str:
    return " and ".join(f"{key} = {shown(value)}" for key, value in stored.items())
