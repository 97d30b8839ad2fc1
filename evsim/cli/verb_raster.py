"""``evsim raster``: who fired when, one panel a layer."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.reading import READING, reads_recordings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("raster")(raster)


@reads_recordings()
def raster(
    context: typer.Context,
    preparation,
    trace: Annotated[str | None, typer.Option("--trace", "-t", help="A trace; else weights and input are run.")] = None,
    weights: Annotated[str, typer.Option("--weights", "-w", help="Weights file or bundled network.")] = "sdt-nmnist",
    input: Annotated[
        str | None, typer.Option("--input", "-i", help="Recording; a bundled digit when left out.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="Picture: .pdf, .svg or .png.")] = "raster.pdf",
    layer: Annotated[list[str] | None, typer.Option("--layer", "-l", help="Name or pattern; may be repeated.")] = None,
    by: Annotated[
        str | None, typer.Option(help="Group neurons by channel, token, head, row, col; order: spikes in sequence.")
    ] = None,
    width: Annotated[str, typer.Option(help="Width of the picture, like 3.5in or 180mm.")] = "7in",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    dpi: Annotated[int, typer.Option(help="Resolution of bitmaps.", min=30, max=1200)] = 200,
) -> None:
    """Draw the spikes of every layer: rasters with population rates, from a trace or straight from a run."""
    from evsim.cli.effect import refuse
    from evsim.cli.figures import parse_theme, parse_width, trace_of, write_figure
    from evsim.plots import raster_figure

    chosen, inches = parse_theme(theme), parse_width(width)
    if trace is not None:
        refuse(context, (*READING, "weights", "input"), "--trace has its own, leave it out")
    recorded = trace_of(trace, weights, input, preparation)
    figure = raster_figure(recorded, layer or (), inches, by, chosen, dpi=dpi)
    write_figure(figure, output, dpi)
    typer.echo(f"wrote {output}")
