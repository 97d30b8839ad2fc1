"""``evsim report``: a run as one HTML page."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import WeightsPath
from evsim.cli.reading import READING, reads_recordings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


@reads_recordings()
def report(
    context: typer.Context,
    preparation,
    trace: Annotated[str | None, typer.Option("--trace", "-t", help="A trace; else weights and input are run.")] = None,
    weights: WeightsPath = "sdt-nmnist",
    input: Annotated[
        str | None, typer.Option("--input", "-i", help="Recording; a bundled digit when left out.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="HTML page to write.")] = "report.html",
) -> None:
    """Write one self-contained HTML page: prediction, layers, operations, energy, lint, rasters, provenance."""
    import evsim
    from evsim.cli.audit_text import command_line
    from evsim.cli.effect import refuse
    from evsim.cli.progress import Progress
    from evsim.cli.protect import protect_inputs
    from evsim.outputs import write_output
    from evsim.plain_text import plain
    from evsim.reports import html_page, tell, tell_trace
    from evsim.traces.trace import read_trace

    protect_inputs({"--output": output}, () if trace else (weights,), [trace or input] if trace or input else None)
    if trace is not None:
        refuse(context, (*READING, "weights", "input"), "--trace has its own, leave it out")
        story = tell_trace(read_trace(trace), command_line())
    else:
        net = evsim.load(weights)
        found = net.run(input, preparation=preparation, watch=Progress)
        story = tell(found.report, found.trace, found.audited, net.class_names, command_line())
    write_output(output, html_page(story).encode("utf-8"))
    typer.echo(plain(f"wrote {output}"))
