"""Claims: which of several processes that fill one cache compiles which kernel, by files in a folder they share.

    NAME         taken, by the process whose number it holds
    NAME.done    compiled, and in the cache if it could be kept

Nobody waits for a process that has ended, and nobody for ever: who has waited too long compiles the kernel himself. A
process that waits holds only kernels that call the one it waits for, so that no two wait for each other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256

__all__ = ["Claims", "CompiledElsewhere"]

_LOOK_SECONDS = 0.004
_MOST_SECONDS = 60.0
_MOST_SAVING_SECONDS = 5.0
"""Longer than any file of a kernel takes to be written."""


class CompiledElsewhere(Exception):
    """Another process compiles the kernel that was called."""


class Claims:
    """What this process and its neighbours have taken.

    Parameters
    ----------
    folder : str
    number : int
        Of this process; 0 is the one that the others help.
    is_alive : callable
        Whether the process of a number may still finish what it took.
    """

    def __init__(self, folder: str, number: int, is_alive: Callable[[int], bool] = lambda number: True) -> None:
        self._folder, self._number, self._is_alive = folder, number, is_alive
        self._held: list[str] = []
        self._saving = threading.Lock()

    def take_or_wait(self, function: str, signature: object) -> bool:
        """Whether another process has compiled the kernel by now; if not it is for this process to compile, and done.

        Raises
        ------
        CompiledElsewhere
            In a helper that nobody waits for: it had better do something else.
        """
        path = self._path(function, signature)
        if self._take(path):
            return False
        if self._number and not self._held and not os.path.exists(path + ".done"):
            raise CompiledElsewhere(function)
        return self._wait(path)

    def finish(self, function: str, signature: object) -> None:
        """The kernel is compiled, and kept if that is possible."""
        path = self._path(function, signature)
        if path in self._held:
            self._held.remove(path)
            with suppress(OSError):
                os.replace(path, path + ".done")

    @contextmanager
    def saving(self) -> Iterator[None]:
        """One process at a time adds to the index of what is kept: an entry written meanwhile would be lost."""
        path, began = os.path.join(self._folder, "saving"), time.monotonic()
        with self._saving:
            while not self._create(path) and time.monotonic() - began < _MOST_SAVING_SECONDS:
                if self._is_alive(self._owner(path)):
                    time.sleep(_LOOK_SECONDS)
                else:
                    _remove(path)
            try:
                yield
            finally:
                _remove(path)

    def between_files(self) -> AbstractContextManager:
        """While it is entered, no thread of this process writes what is kept: a good moment to end."""
        return self._saving

    def _path(self, function: str, signature: object) -> str:
        return os.path.join(self._folder, sha256(f"{function} {signature}".encode()).hexdigest()[:24])

    def _take(self, path: str) -> bool:
        if os.path.exists(path + ".done") or not self._create(path):
            return False
        self._held.append(path)
        return True

    def _wait(self, path: str) -> bool:
        began = time.monotonic()
        while time.monotonic() - began < _MOST_SECONDS:
            if os.path.exists(path + ".done"):
                return True
            if not self._is_alive(self._owner(path)):
                return False
            time.sleep(_LOOK_SECONDS)
        return False

    def _create(self, path: str) -> bool:
        """Whether the file is new; where none can be made, nothing is shared, and every process is on its own."""
        try:
            with open(path, "x", encoding="ascii") as file:
                file.write(str(self._number))
        except FileExistsError:
            return False
        except OSError:
            return True
        return True

    def _owner(self, path: str) -> int:
        try:
            with open(path, encoding="ascii") as file:
                return int(file.read() or self._number)
        except (OSError, ValueError):  # done at this very moment, or not yet written
            return self._number


def _remove(path: str) -> None:
    with suppress(OSError):
        os.remove(path)
