"""A progress line that appears only when a run takes more than a second."""

from __future__ import annotations

import sys
import time

from evsim.spikes import Spikes

__all__ = ["Progress"]

PATIENCE_SECONDS = 1.0


class Progress:
    """An observer for `simulate` that shows on stderr which handler and step it is at."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._status = None
        self._events = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, name: str, step: int, spikes: Spikes) -> None:
        """Called by the simulator after each handler."""
        self._events += len(spikes)
        waited = time.monotonic() - self._begin
        if waited < PATIENCE_SECONDS or not sys.stderr.isatty():
            return
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status("")
            self._status.start()
        self._status.update(f"{waited:.0f} s  step {step}  {name}  {self._events:,} events so far")
