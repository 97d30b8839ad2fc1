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
    style: Annotated[str, typer.Option(help="dots, density, or auto: marks where they have room.")] = "auto",
    scale: Annotated[
        str, typer.Option(help="Colours and rates end at one value (shared) or each at its own (panel).")
    ] = "shared",
    size: Annotated[str, typer.Option(help="Fonts and width for a column, a text width or a slide.")] = "text",
    width: Annotated[str | None, typer.Option(help="Another width, like 3.5in or 180mm.")] = None,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    dpi: Annotated[int, typer.Option(help="Resolution of bitmaps.", min=30, max=1200)] = 200,
) -> None:
    """Draw the spikes of every layer: rasters with population rates, from a trace or straight from a run."""
    from evsim.cli.effect import refuse
    from evsim.cli.figures import parse_theme, parse_width, trace_of, write_figure
    from evsim.cli.protect import protect_inputs
    from evsim.plain_text import plain
    from evsim.plots import raster_figure
    from evsim.plots.sizes import find_size

    chosen, inches = parse_theme(theme), None if width is None else parse_width(width)
    find_size(size)
    if trace is not None:
        refuse(context, (*READING, "weights", "input"), "--trace has its own, leave it out")
    protect_inputs({"--output": output}, () if trace else (weights,), [trace or input] if trace or input else None)
    recorded = trace_of(trace, weights, input, preparation)
    look = {"size": size, "style": style, "scale": scale}
    figure = raster_figure(recorded, layer or (), inches, by, chosen, dpi=dpi, **look)
    write_figure(figure, output, dpi)
    typer.echo(plain(f"wrote {output}"))
