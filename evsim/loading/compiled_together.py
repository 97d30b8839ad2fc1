"""compiled_together: kernels that are not kept yet are compiled by several processes, a share each.

Numba compiles one kernel at a time, whatever the number of threads. So at the first kernel that is missing one more
process starts for each further core and works through the kernels of the same families, those first that a run needs
last (`compile_helper`). What one has begun the others leave alone or wait for (`arithmetic/claims.py`), and everybody
finds what is finished where Numba keeps compiled kernels. Results cannot change: it is the same code, out of the same
cache. Helpers print nothing and end with the run, whether they are done or not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from evsim.arithmetic.claims import Claims
from evsim.arithmetic.kernel_cache import repeat_damage, sharing, why_not_kept
from evsim.loading.cores import available_cores
from evsim.networks import family

__all__ = ["LIMIT", "Helpers", "compiled_together"]

LIMIT = "EVSIM_COMPILE_PROCESSES"
"""The variable that says how many processes may compile, this one included; 1 for none but this."""
_MOST = 4
"""More than the kernels that any run is waiting for at a time."""
_SCRIPT = "import sys; sys.path[:] = {path!r}; from evsim.loading.compile_helper import main; main(*sys.argv[1:])"


class Helpers:
    """The processes that compile beside this one; none until a kernel is missing.

    Parameters
    ----------
    families : sequence of str
        Of whose kernels they compile all they come to.
    precision : str
    mode : {"synchronous", "asynchronous"}
    """

    def __init__(self, families: Sequence[str], precision: str, mode: str) -> None:
        helped = [name for name in families if hasattr(family(name), "SMALLEST")]
        self._asked = [",".join(helped), precision, mode]
        self._processes: list[subprocess.Popen] = []
        self._claims: Claims | None = None
        self._folder = ""
        self._may_begin = bool(helped)

    @property
    def n_begun(self) -> int:
        """Processes that were started."""
        return len(self._processes)

    def claims(self) -> Claims | None:
        """What is shared with them; they start when this is asked for the first time."""
        if self._may_begin:
            self._may_begin = False
            with suppress(OSError):  # no folder, no process: this one compiles everything
                self._begin(_n_processes() - 1)
        return None if why_not_kept() else self._claims

    def end(self) -> None:
        """Send them away, whatever they are at; what they said of damaged files is said here."""
        claims, self._may_begin, self._claims = self._claims, False, None
        if claims is None:
            return
        with claims.saving():  # so that none is at writing a file
            for process in self._processes:
                process.kill()
        for process in self._processes:
            process.stdin.close()
            process.wait()
        for path in Path(self._folder).glob("said.*"):
            repeat_damage(path.read_text(errors="replace"))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, n_helpers: int) -> None:
        if n_helpers < 1 or not sys.executable or getattr(sys, "frozen", False) or why_not_kept():
            return
        self._folder = tempfile.mkdtemp(prefix="evsim-")
        self._claims = Claims(self._folder, 0, self._is_alive)
        script = _SCRIPT.format(path=sys.path)
        for number in range(1, n_helpers + 1):
            command = [sys.executable, "-c", script, self._folder, str(number), *self._asked]
            self._processes.append(self._start(command, os.path.join(self._folder, f"said.{number}")))

    @staticmethod
    def _start(command: list[str], said: str) -> subprocess.Popen:
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows
        with open(said, "wb") as errors:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, creationflags=flags
            )

    def _is_alive(self, number: int) -> bool:
        return number == 0 or self._processes[number - 1].poll() is None


@contextmanager
def compiled_together(
    families: Sequence[str], precision: str = "float32", mode: str = "synchronous"
) -> Iterator[Helpers]:
    """While it is entered, helpers compile along, from the first missing kernel on; parameters as in `Helpers`."""
    helpers = Helpers(families, precision, mode)
    try:
        with sharing(helpers.claims):
            yield helpers
    finally:
        helpers.end()


def _n_processes() -> int:
    limit = os.environ.get(LIMIT, "")
    return min(_MOST, int(limit) if limit.isdecimal() else available_cores())
