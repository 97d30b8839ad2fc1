"""``evsim export``: a trace in the format of another tool, or a network's graph as NIR."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.errors import EvsimError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export")(export)


def export(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(help="Trace written by evsim run --trace, or a network's weights file (its graph, as NIR).")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="File to write.")],
    format: Annotated[
        str | None, typer.Option(help="nir, sonata, neo, csv or packed; csv when left out. Of a network: nir.")
    ] = None,
    dt: Annotated[str | None, typer.Option(help="Of a network: the length of a step, like 1ms.")] = None,
) -> None:
    """Write the spikes of a trace for other tools (NIR, SONATA, Neo, CSV, packed bits), or a network's graph as NIR."""
    from evsim.cli.effect import refuse
    from evsim.loading.file_kind import is_weights
    from evsim.loading.zoo import bundled, find_weights
    from evsim.outputs import check_outputs
    from evsim.plain_text import plain

    path = find_weights(file) if file in bundled() else file
    check_outputs({"--output": output}, [path])
    if is_weights(path):
        if format not in (None, "nir"):
            raise EvsimError(f"--format {format}: {file} is a network, whose graph is written as nir")
        notes = _network(path, output, dt)
    else:
        refuse(context, ("dt",), "is for a network, a trace counts its steps")
        notes = _trace(path, format or "csv", output)
    for note in notes:
        typer.echo(plain(f"note: {note}"))
    typer.echo(plain(f"wrote {output}"))


def _network(path: str, output: str, dt: str | None) -> list[str]:
    from evsim.graph.nir.export import export_nir

    return export_nir(path, output, dt)


def _trace(path: str, format: str, output: str) -> list[str]:
    from evsim.exports import export_trace
    from evsim.traces.trace import read_trace

    return export_trace(read_trace(path), format, output)
