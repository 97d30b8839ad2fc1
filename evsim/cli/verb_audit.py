"""``evsim audit``: operation counts and energy, by every convention, ready to cite."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import Fit, Index, Order, SplitBy
from evsim.errors import EvsimError

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
DEFAULT_ENERGY = ("pair_4.6_0.9", "step_simple")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("audit")(audit)


def audit(
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
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    order: Order = "stage",
    split_by: SplitBy = None,
    fit: Fit = None,
    index: Index = None,
) -> None:
    """Count every operation of a network on recordings, beside the published ways to count, and price it."""
    from evsim.auditing.collect import audit_recordings, audit_traces
    from evsim.auditing.conventions import choose_conventions
    from evsim.auditing.formats import check_format
    from evsim.cli.audit_text import emit, progress, report_of
    from evsim.loading.zoo import default_recording, find_weights
    from evsim.runs.run import Preparation

    if order not in ("step", "stage"):
        raise EvsimError(f"--order {order}: expected step or stage")
    check_format(format)
    asked = choose_conventions(convention), _models(energy)
    if trace:
        if input or compare:
            raise EvsimError("--trace: a recorded run has its input and weights; leave out --input and --compare")
        emit(report_of([audit_traces([*trace, *(more or [])])], *asked), format, output)
        return
    inputs = [*(input or []), *(more or [])] or [default_recording(find_weights((compare or (weights,))[0]))]
    preparation = Preparation(split_by, fit, index)
    found = []
    for name in compare or (weights,):
        with progress() as advance:
            found.append(audit_recordings(find_weights(name), inputs, preparation, order, advance))
    emit(report_of(found, *asked), format, output)


def _models(names: list[str] | None):
    """The energy models asked for."""
    from evsim.auditing.energy_model import bundled_models, find_model

    chosen = list(names or DEFAULT_ENERGY)
    if chosen == ["none"]:
        return []
    return [find_model(name) for name in (bundled_models() if chosen == ["all"] else chosen)]
