"""``evsim info``: what is in a file?"""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("info")(info)


def info(file: Annotated[str, typer.Argument(help="Weights, checkpoint, recording or trace.")]) -> None:
    """Describe a weights file, a checkpoint, a recording or a trace: what it is and what it holds."""
    from evsim.cli.file_text import describe_file

    for line in describe_file(file):
        typer.echo(line)
