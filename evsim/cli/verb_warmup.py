"""``evsim warmup``: compile now, so that no later run has to."""

from __future__ import annotations

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("warmup")(warmup)


def warmup() -> None:
    """Compile the kernels of every network family, or load them from Numba's cache, for every kind of event.

    Later runs then compile nothing, whatever the network, its sizes and its input. The decoders of some recordings
    (EVT 3, ES, ECF) compile when such a file is first read, the kernels of fixed point at the first run with
    --precision int16 or int8, those of --mode asynchronous at the first such run, and what a recorded network has
    and no family at its first run.
    """
    from evsim.cli.warmup_text import print_warm_up

    print_warm_up()
