"""A reader thread and a bounded queue: windows arrive one by one, and a slow consumer holds the source back."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator

from evsim.recordings.streaming.windows import Window, Windows

__all__ = ["QUEUE_WINDOWS", "WindowReader"]

QUEUE_WINDOWS = 4
"""Windows that may wait. Beyond them nothing is read: a pipe's writer is blocked, a file waits on the disk."""


class WindowReader:
    """Iterates over (window, moment it was closed) while a thread reads ahead, but not far.

    Parameters
    ----------
    blocks : iterable of bytes
        May block.
    decoder : StreamDecoder
    windows : Windows

    Attributes
    ----------
    seconds_held_back : float
        How long the source had to wait for us.
    """

    def __init__(self, blocks: Iterable[bytes], decoder, windows: Windows) -> None:
        self.seconds_held_back = 0.0
        self._blocks, self._decoder, self._windows = blocks, decoder, windows
        self._queue: queue.Queue = queue.Queue(QUEUE_WINDOWS)
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[tuple[Window, float]]:
        threading.Thread(target=self._read, name="evsim-follow", daemon=True).start()
        try:
            while (found := self._queue.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            self._stopped.set()

    def _read(self) -> None:
        try:
            for block in self._blocks:
                self._hand_over(self._windows.feed(self._decoder.feed(block)))
                if self._stopped.is_set():
                    return
            self._hand_over(self._windows.feed(self._decoder.finish()))
            self._hand_over(self._windows.finish())
            self._put(None)
        except BaseException as error:  # shown by the thread that iterates
            self._put(error)

    def _hand_over(self, windows: Iterable[Window]) -> None:
        for window in windows:
            closed = time.perf_counter()
            self._put((window, closed))
            self.seconds_held_back += time.perf_counter() - closed

    def _put(self, found) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(found, timeout=0.1)
                return
            except queue.Full:
                continue
