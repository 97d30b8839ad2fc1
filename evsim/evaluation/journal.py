"""Journal: the outcomes of a run, one JSON line each, written so that a crash loses only what was in flight."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from evsim.errors import EvsimError
from evsim.evaluation.outcome import Outcome
from evsim.files import check_readable

__all__ = ["FORMAT", "Journal"]

FORMAT = "evsim-evaluate/2"
FORMER = "evsim-evaluate/1"
"""Its counts have other names, and fewer of them; its lines no check sums."""
SUM = "sum"
"""The last key of every line but the first: a check sum over the run's identity and the rest of the line."""
LONGEST_LINE = 2**20


class Journal:
    """A file that begins with the identity of a run and grows by one line a recording.

    Parameters
    ----------
    path : str or path
    identity : dict
        Plain values that make the run what it is: weights, dataset, options. Not the number of workers.
    resume : bool
        Continue an existing file; without it an existing file is refused.

    Attributes
    ----------
    outcomes : dict of str to Outcome
        What the file held already, by id.

    Raises
    ------
    EvsimError
        The file cannot be written, belongs to another run, is damaged, or is in use. A line that was changed, that
        comes from another run, or that is the second of one recording is named by its number.
    """

    def __init__(self, path: str | os.PathLike, identity: dict, resume: bool = False) -> None:
        self.path = Path(path)
        self.outcomes: dict[str, Outcome] = {}
        self._lines: dict[str, int] = {}
        self._identity = {"journal": FORMAT, **identity}
        self._run = hashlib.sha256(_text(self._identity)).digest()
        if self.path.exists():
            if not resume:
                raise EvsimError(f"{path}: is the journal of an earlier run: --resume continues it, or remove it")
            check_readable(path)
        try:
            self._file = open(self.path, "a+b", buffering=0)
        except OSError as error:
            raise EvsimError(
                f"{path}: the journal cannot be written ({error.strerror}); say where with --journal"
            ) from None
        try:
            self._lock()
            self._begin()
        except BaseException:
            self._file.close()
            raise

    def append(self, *outcomes: Outcome) -> None:
        """Write outcomes, a line each, and wait until they are on the disk."""
        self._write(b"".join(map(self._line, outcomes)))

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def refusal(self, id: str, what: str) -> EvsimError:
        """What is wrong with the line of a recording."""
        return self._refusal(self._lines[id], what)

    def _refusal(self, line: int, what: str) -> EvsimError:
        return EvsimError(f"{self.path}: line {line} {what}; remove the line, and it is done again")

    def _begin(self) -> None:
        """Read what is there, cut off a half-written end, write the first line of a new file."""
        self._end = self._accept()
        self._file.truncate(self._end)
        if not self._end:
            self._write(_text(self._identity) + b"\n")

    def _accept(self) -> int:
        """Take in the whole lines; the number of bytes they fill.

        The last may be damaged (the disk lost power), any other damage is refused.
        """
        end = 0
        for number, line, is_last in self._read():
            if number == 1:
                self._compare(line, is_whole=line.endswith(b"\n"))
            if not line.endswith(b"\n"):  # half-written
                break
            if number > 1:
                values = _parsed(line)
                if values is None and is_last:
                    break
                self._take(number, values)
            end += len(line)
        return end

    def _read(self) -> Iterator[tuple[int, bytes, bool]]:
        """Each line with its number from 1, and whether it is the last."""
        with open(self.path, "rb") as file:
            line = file.readline(LONGEST_LINE)
            number = 1
            while line:
                following = file.readline(LONGEST_LINE)
                if len(line) == LONGEST_LINE and following:
                    raise EvsimError(f"{self.path}: line {number} is not a line of a journal of evsim evaluate")
                yield number, line, not following
                line, number = following, number + 1

    def _take(self, number: int, values: dict | None) -> None:
        if values is None:
            raise EvsimError(f"{self.path}: line {number} is not a line of a journal of evsim evaluate")
        if values.pop(SUM) != self._sum(values):
            raise self._refusal(number, "was changed, or comes from another run")
        outcome = Outcome.from_dict(values)
        if outcome.id in self.outcomes:
            first = self._lines[outcome.id]
            raise self._refusal(number, f"is the second of recording {outcome.id!r}, after line {first}")
        self.outcomes[outcome.id], self._lines[outcome.id] = outcome, number

    def _compare(self, line: bytes, is_whole: bool) -> None:
        """The first line must be this run's, or its beginning."""
        if not is_whole and _text(self._identity).startswith(line):
            return
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and found.get("journal") == FORMER:
            raise EvsimError(
                f"{self.path}: is a journal of an earlier version ({FORMER}, expected {FORMAT}), whose counts have "
                "other names: finish it with that version, or begin another with --journal"
            )
        if not isinstance(found, dict) or not str(found.get("journal")).startswith("evsim-evaluate/"):
            raise EvsimError(f"{self.path}: is not a journal of evsim evaluate ({FORMAT})")
        for name, ours in self._identity.items():
            if found.get(name) != ours:
                raise EvsimError(
                    f"{self.path}: is the journal of another run: its {name} is {found.get(name)}, this run's {ours}"
                )

    def _line(self, outcome: Outcome) -> bytes:
        values = outcome.as_dict()
        return _text(values | {SUM: self._sum(values)}) + b"\n"

    def _sum(self, values: dict) -> str:
        """Of a line of this run: the same line in the journal of another run has another one."""
        return hashlib.sha256(self._run + _text(values)).hexdigest()[:16]

    def _write(self, lines: bytes) -> None:
        """All of them or none: what a full disk has let through is taken back."""
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise EvsimError(f"{self.path}: the journal cannot be written ({error.strerror})") from None
        self._end += len(lines)

    def _lock(self) -> None:
        """Two runs must not write one journal; the lock dies with the process."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EvsimError(f"{self.path}: another run is writing this journal") from None


def _text(values: dict) -> bytes:
    return json.dumps(values).encode()


def _parsed(line: bytes) -> dict | None:
    """The values of a line with a sum, if it is one."""
    try:
        values = json.loads(line)
        is_line = isinstance(values, dict) and SUM in values
        if is_line:
            Outcome.from_dict({name: value for name, value in values.items() if name != SUM})
        return values if is_line else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None
