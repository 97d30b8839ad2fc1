"""Bytes as they arrive: from standard input or a pipe until it is closed, from a file to its end or as it grows."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator

from evsim.errors import RecordingError

__all__ = ["BLOCK_BYTES", "arriving_bytes"]

BLOCK_BYTES = 2**16
POLL_SECONDS = 0.02


def arriving_bytes(path: str, idle_seconds: float | None = None) -> Iterator[bytes]:
    """Blocks of at most 64 kB, as soon as there is something to read.

    Parameters
    ----------
    path : str
        A file, a named pipe, or "-" for standard input.
    idle_seconds : float, optional
        Wait for a file to grow, and give it up when it has not for so long; without it, its end is the end. A pipe
        ends when its writer closes it.

    Raises
    ------
    RecordingError
        No such file, or a file that became shorter than what was read of it.
    """
    if path == "-":
        if sys.stdin is None:
            raise RecordingError("-: standard input is closed; expected events from a pipe")
        yield from _until_closed(sys.stdin.fileno())
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be followed ({error.strerror})") from None
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise RecordingError(f"{path}: is a folder; expected a file that grows, or -")
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        yield from _while_growing(path, descriptor, idle_seconds) if is_file else _until_closed(descriptor)
    finally:
        os.close(descriptor)


def _until_closed(descriptor: int) -> Iterator[bytes]:
    try:
        while block := os.read(descriptor, BLOCK_BYTES):
            yield block
    except OSError as error:  # standard input may be a folder
        raise RecordingError(f"-: cannot be followed ({error.strerror})") from None


def _while_growing(path: str, descriptor: int, idle_seconds: float | None) -> Iterator[bytes]:
    n_read, last_growth = 0, time.monotonic()
    while True:
        if block := os.read(descriptor, BLOCK_BYTES):
            n_read += len(block)
            yield block
            last_growth = time.monotonic()  # after the yield: waiting for us is not idleness of the file
        elif os.fstat(descriptor).st_size < n_read:
            raise RecordingError(f"{path}: became shorter while it was followed")
        elif idle_seconds is None or time.monotonic() - last_growth >= idle_seconds:
            return
        else:
            time.sleep(POLL_SECONDS)
