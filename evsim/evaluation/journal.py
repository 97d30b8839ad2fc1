"""Journal: the outcomes of a run, one JSON line each, written so that a crash loses only what was in flight."""

from __future__ import annotations

import json
import os
from pathlib import Path

from evsim.errors import EvsimError
from evsim.evaluation.outcome import Outcome

__all__ = ["FORMAT", "Journal"]

FORMAT = "evsim-evaluate/2"
FORMER = "evsim-evaluate/1"
"""Its counts have other names, and fewer of them."""


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
        The file cannot be written, belongs to another run, is damaged, or is in use.
    """

    def __init__(self, path: str | os.PathLike, identity: dict, resume: bool = False) -> None:
        self.path = Path(path)
        self.outcomes: dict[str, Outcome] = {}
        self._identity = {"journal": FORMAT, **identity}
        if not resume and self.path.exists():
            raise EvsimError(f"{path}: is the journal of an earlier run: --resume continues it, or remove it")
        try:
            self._file = open(self.path, "a+b")
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
        self._write(*(outcome.as_dict() for outcome in outcomes))

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def _begin(self) -> None:
        """Read what is there, cut off a half-written end, write the first line of a new file."""
        self._file.seek(0)
        *whole, rest = self._file.read().split(b"\n")
        if not whole and not _line(self._identity).startswith(rest):
            raise EvsimError(f"{self.path}: is not a journal of evsim evaluate ({FORMAT})")
        kept = self._accept(whole)
        self._file.truncate(sum(len(line) + 1 for line in kept))
        if not kept:
            self._write(self._identity)

    def _accept(self, lines: list[bytes]) -> list[bytes]:
        """The lines that count: the last may be damaged (the disk lost power), any other damage is refused."""
        for number, line in enumerate(lines):
            try:
                values = json.loads(line)
                if number == 0:
                    self._compare(values)
                else:
                    outcome = Outcome.from_dict(values)
                    self.outcomes[outcome.id] = outcome
            except (ValueError, TypeError, KeyError, AttributeError):
                if 0 < number == len(lines) - 1:
                    return lines[:number]
                where = f"line {number + 1} is not a line of a journal of evsim evaluate"
                raise EvsimError(f"{self.path}: {where}") from None
        return lines

    def _compare(self, found: dict) -> None:
        if isinstance(found, dict) and found.get("journal") == FORMER:
            raise EvsimError(
                f"{self.path}: is a journal of an earlier version ({FORMER}, expected {FORMAT}), whose counts have "
                "other names: finish it with that version, or begin another with --journal"
            )
        if not isinstance(found, dict) or found.get("journal") != FORMAT:
            raise EvsimError(f"{self.path}: is not a journal of evsim evaluate ({FORMAT})")
        for name, ours in self._identity.items():
            if found.get(name) != ours:
                raise EvsimError(
                    f"{self.path}: is the journal of another run: its {name} is {found.get(name)}, this run's {ours}"
                )

    def _write(self, *lines: dict) -> None:
        try:
            self._file.write(b"".join(map(_line, lines)))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise EvsimError(f"{self.path}: the journal cannot be written ({error.strerror})") from None

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


def _line(values: dict) -> bytes:
    return json.dumps(values).encode() + b"\n"
