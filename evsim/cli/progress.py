"""A progress bar that appears only when a run takes more than a second."""

from __future__ import annotations

import sys
import time

from evsim.engine.network import Network
from evsim.engine.spikes import Spikes
from evsim.plain_text import plain

__all__ = ["Progress"]

PATIENCE_SECONDS = 1.0
REFRESH_SECONDS = 0.1


class Progress:
    """An observer for `simulate` that shows on stderr how far a run is; silent where nobody watches.

    Parameters
    ----------
    network : Network
    n_steps : int
        Handlers times steps is the most that can be called; a silent handler is not called, so that the bar may
        end early.
    """

    def __init__(self, network: Network, n_steps: int) -> None:
        self._total = (len(network.handlers) + 1) * n_steps
        self._done = 0
        self._events = 0
        self._next_look = time.monotonic() + PATIENCE_SECONDS
        self._bar = None
        self._watched = sys.stderr.isatty()

    def show(self, name: str, step: int, spikes: Spikes) -> None:
        """Called by the simulator after each handler."""
        self._done += 1
        self._events += len(spikes)
        if self._watched and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + REFRESH_SECONDS
            self._draw(name, step)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, name: str, step: int) -> None:
        if self._bar is None:
            self._start()
        text = f"step {step}, {plain(name)}, {self._events:,} events"
        self._bar.update(self._task, completed=self._done, description=text)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task("", total=self._total)
