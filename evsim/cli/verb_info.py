"""``evsim info``: what is in a file?"""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.reading import READING, reads_recordings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("info")(info)


@reads_recordings("split_by", "fit", "crop_pct", "dt", "steps")
def info(
    context: typer.Context,
    preparation,
    file: Annotated[str, typer.Argument(help="Weights, checkpoint, recording or trace, or a bundled name.")],
) -> None:
    """Describe a weights file, a checkpoint, a recording or a trace: what it is and what it holds."""
    from evsim.cli.effect import refuse
    from evsim.cli.file_text import describe_file, is_recording
    from evsim.loading.zoo import find_any
    from evsim.plain_text import plain

    path = find_any(file)
    if not is_recording(path):
        refuse(context, READING, f"is for recordings, and {file} is none")
    for line in describe_file(path, preparation.reading, preparation.index):
        typer.echo(plain(line))
