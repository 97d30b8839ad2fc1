"""``evsim lint``: is this network spike-driven?"""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.exit_code import ExitCode
from evsim.cli.reading import READING, reads_recordings
from evsim.cli.verb_audit import Inputs, More

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("lint")(lint)


@reads_recordings()
def lint(
    context: typer.Context,
    preparation,
    more: More = None,
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Weights file (.npz), or a bundled network's name.")
    ] = "sdt-nmnist",
    input: Inputs = None,
    trace: Annotated[list[str] | None, typer.Option(help="Check a recorded run; nothing is run again.")] = None,
    format: Annotated[str, typer.Option(help="table, csv, json, markdown or latex.")] = "table",
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a claim does not hold.")] = False,
) -> None:
    """List each place where a network is not spike-driven, with its share, and check the paper's four claims."""
    import evsim
    from evsim.auditing.formats import check_format
    from evsim.cli.audit_text import command_line, emit, progress
    from evsim.cli.effect import refuse
    from evsim.cli.protect import protect_inputs

    check_format(format)
    protect_inputs({"--output": output}, () if trace else (weights,), [*(trace or input or []), *(more or [])])
    if trace:
        refuse(context, (*READING, "input", "weights"), "--trace has its own, leave it out")
        report = evsim.lint(None, traces=[*trace, *(more or [])], command=command_line())
    else:
        inputs = [*(input or []), *(more or [])] or None
        with progress() as advance:
            told = {"preparation": preparation, "command": command_line(), "advance": advance}
            report = evsim.lint(weights, inputs, **told)
    emit(report, format, output)
    if strict and any(row["holds"] == "no" for row in report.to_dict("claims")):
        raise typer.Exit(ExitCode.DISAGREES)
