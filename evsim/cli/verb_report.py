"""``evsim report``: a run as one HTML page."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import WeightsPath
from evsim.cli.reading import reads_recordings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


@reads_recordings()
def report(
    preparation,
    weights: WeightsPath = "sdt-nmnist",
    input: Annotated[
        str | None, typer.Option("--input", "-i", help="Recording; a bundled digit when left out.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="HTML page to write.")] = "report.html",
) -> None:
    """Write one self-contained HTML page: prediction, layers, operations, energy, lint, rasters, provenance."""
    import evsim
    from evsim.cli.audit_text import command_line
    from evsim.cli.output_file import write_output
    from evsim.cli.progress import Progress
    from evsim.reports import html_page, tell

    found = evsim.load(weights).run(input, preparation=preparation, watch=Progress)
    story = tell(found.report, found.trace, found.audited, found.net.class_names, command_line())
    write_output(output, html_page(story).encode("utf-8"))
    typer.echo(f"wrote {output}")
