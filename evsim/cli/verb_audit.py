"""``evsim audit``: operation counts and energy, by every convention, ready to cite."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import Order
from evsim.cli.reading import READING, reads_recordings

__all__ = ["add_to"]

Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="Recording, file of many, or folder; more may follow as plain words."),
]
More = Annotated[list[str] | None, typer.Argument(help="More recordings (or traces).", show_default=False)]
Energy = Annotated[
    list[str] | None,
    typer.Option(help="Energy model: a bundled name, all, none, or a TOML file of your own. Repeat for several."),
]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("audit")(audit)


@reads_recordings()
def audit(
    context: typer.Context,
    preparation,
    more: More = None,
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Weights file (.npz), or a bundled network's name.")
    ] = "sdt-nmnist",
    input: Inputs = None,
    trace: Annotated[list[str] | None, typer.Option(help="Audit a recorded run; nothing is run again.")] = None,
    convention: Annotated[str, typer.Option(help="Counting convention by name, or all.")] = "all",
    energy: Energy = None,
    format: Annotated[str, typer.Option(help="table, csv, json, markdown or latex.")] = "table",
    compare: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Two weights files, on the same recordings.")
    ] = None,
    claim: Annotated[
        str | None, typer.Option(help="What the counts say of a paper's claim, in place of an audit: sdsa-87x.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="One LaTeX table for a paper: summary, layers, conventions, ...; list names all.")
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="Of that table: column, text or page; the smallest it fits when left out.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What the paper calls the network; of two that are compared, with a comma.")
    ] = None,
    bibtex: Annotated[
        bool, typer.Option("--bibtex", help="Write the BibTeX entries of the conventions and energy models instead.")
    ] = False,
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    order: Order = "stage",
) -> None:
    """Count every operation of a network on recordings, beside the published ways to count, and price it."""
    import evsim
    from evsim.auditing.formats import check_format
    from evsim.cli.audit_text import command_line, progress
    from evsim.cli.effect import refuse
    from evsim.cli.paper_text import emit_audit, paper_options, print_references, print_tables
    from evsim.cli.protect import protect_inputs

    check_format(format)
    if table == "list" or bibtex:
        print_tables(context) if not bibtex else print_references(context, convention, energy, output)
        return
    paper = paper_options(context, table, width, names)
    if claim is not None:
        refuse(context, ("convention", "energy", "compare", "table"), "--claim has its own, leave it out")
    asked = {"conventions": convention, "energy": energy, "claim": claim, "command": command_line()}
    if trace:
        refuse(context, (*READING, "input", "weights", "compare", "order"), "--trace has its own, leave it out")
        protect_inputs({"--output": output}, (), [*trace, *(more or []), *(energy or [])])
        emit_audit(evsim.audit(traces=[*trace, *(more or [])], **asked), format, output, paper)
        return
    protect_inputs({"--output": output}, compare or (weights,), [*(input or []), *(more or []), *(energy or [])])
    if compare:
        refuse(context, ("weights",), "--compare names the networks")
    inputs = [*(input or []), *(more or [])] or None
    with progress() as advance:
        found = {"preparation": preparation, "order": order, "advance": advance}
        report = evsim.audit(compare or weights, inputs, **found, **asked)
    emit_audit(report, format, output, paper)
