"""``evsim lint``: is this network spike-driven?"""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.exit_code import ExitCode
from evsim.cli.options import Fit, Index, SplitBy
from evsim.cli.verb_audit import Inputs, More

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("lint")(lint)


def lint(
    more: More = None,
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Weights file (.npz), or a bundled network's name.")
    ] = "sdt-nmnist",
    input: Inputs = None,
    format: Annotated[str, typer.Option(help="table, csv, json, markdown or latex.")] = "table",
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a claim does not hold.")] = False,
    split_by: SplitBy = None,
    fit: Fit = None,
    index: Index = None,
) -> None:
    """List each place where a network is not spike-driven, with its share, and check the paper's four claims."""
    from evsim.auditing.collect import audit_recordings
    from evsim.auditing.formats import check_format
    from evsim.auditing.lint_sheets import is_spike_driven, lint_sheets
    from evsim.auditing.sheet import Report
    from evsim.cli.audit_text import command_line, emit, progress
    from evsim.loading.zoo import default_recording, find_weights
    from evsim.runs.run import Preparation

    check_format(format)
    inputs = [*(input or []), *(more or [])] or [default_recording(find_weights(weights))]
    with progress() as advance:
        preparation = Preparation(split_by, fit, index)
        runs, provenance = audit_recordings(find_weights(weights), inputs, preparation, advance=advance)
    title = f"lint of {provenance['network']}"
    emit(Report(title, lint_sheets(runs), {**provenance, "command": command_line()}), format, output)
    if strict and not is_spike_driven(runs):
        raise typer.Exit(ExitCode.DISAGREES)
