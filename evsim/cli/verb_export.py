"""``evsim export``: a trace in the format of another tool."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export")(export)


def export(
    trace: Annotated[str, typer.Argument(help="Trace written by evsim run --trace.")],
    output: Annotated[str, typer.Option("--output", "-o", help="File to write.")],
    format: Annotated[str, typer.Option(help="nir, sonata, neo, csv or packed.")] = "csv",
) -> None:
    """Write the spikes of a trace for other tools: NIR, SONATA, Neo, CSV, or packed bits."""
    from evsim.exports import export_trace
    from evsim.outputs import check_outputs
    from evsim.plain_text import plain
    from evsim.traces.trace import read_trace

    check_outputs({"--output": output}, [trace])
    for note in export_trace(read_trace(trace), format, output):
        typer.echo(plain(f"note: {note}"))
    typer.echo(plain(f"wrote {output}"))
