"""``evsim import``: a training checkpoint becomes a weights file."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import parse_settings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import")(import_)


def import_(
    checkpoint: Annotated[str, typer.Argument(help="PyTorch checkpoint or safetensors file.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Weights file to write (.npz).")],
    ema: Annotated[bool, typer.Option("--ema", help="Take the moving-average weights.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter the file cannot tell.")
    ] = None,
) -> None:
    """Read a trained network out of a PyTorch checkpoint, without PyTorch and without executing its pickle."""
    from evsim.checkpoints.importing import import_checkpoint
    from evsim.checkpoints.weights import write_weights
    from evsim.cli.weights_text import describe_weights

    weights, notes = import_checkpoint(checkpoint, parse_settings(settings or []), ema)
    write_weights(output, weights)
    for line in [*describe_weights(weights), *(f"note: {note}" for note in notes), f"wrote {output}"]:
        typer.echo(line)
