"""``evsim report``: a run as one HTML page."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import Fit, Index, SplitBy, WeightsPath

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


def report(
    weights: WeightsPath = "sdt-nmnist",
    input: Annotated[
        str | None, typer.Option("--input", "-i", help="Recording; a bundled digit when left out.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="HTML page to write.")] = "report.html",
    split_by: SplitBy = None,
    fit: Fit = None,
    index: Index = None,
) -> None:
    """Write one self-contained HTML page: prediction, layers, operations, energy, lint, rasters, provenance."""
    from evsim.checkpoints.weights import read_weights
    from evsim.cli.audit_text import command_line
    from evsim.cli.output_file import write_output
    from evsim.cli.progress import Progress
    from evsim.loading.zoo import default_recording, find_weights
    from evsim.reports import html_page, tell
    from evsim.runs.run import Preparation, run

    path = input if input is not None else default_recording(find_weights(weights))
    found = find_weights(weights)
    run_report, trace = run(found, path, Preparation(split_by, fit, index), watch=Progress)
    story = tell(run_report, trace, read_weights(found).header.get("class_names"), command_line())
    write_output(output, html_page(story).encode("utf-8"))
    typer.echo(f"wrote {output}")
