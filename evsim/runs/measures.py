"""What a process measures of itself and of files: memory, time spent compiling, digests."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager

from evsim.errors import EvsimError

__all__ = ["compile_clock", "file_sha256", "peak_memory_bytes"]


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far; 0 where the operating system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def file_sha256(path: str) -> str:
    """SHA-256 of a file, read piece by piece.

    Raises
    ------
    EvsimError
        It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except FileNotFoundError:
        raise EvsimError(f"{path}: no such file") from None
    except OSError as error:
        raise EvsimError(f"{path}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


class _Clock:
    seconds = 0.0


@contextmanager
def compile_clock():
    """Adds up the time Numba spends compiling kernels or loading them from its cache."""
    from numba.core import event

    clock = _Clock()

    def add(seconds: float) -> None:
        clock.seconds += seconds

    with event.install_timer("numba:compiler_lock", add):
        yield clock
