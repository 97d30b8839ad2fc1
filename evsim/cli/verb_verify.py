"""``evsim verify``: does a run equal the official model's?"""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.exit_code import ExitCode
from evsim.cli.options import Order, WeightsPath
from evsim.cli.reading import READING, reads_recordings

__all__ = ["add_to"]

_TORCH_ONLY = ("dataset", "root", "limit", "input")
_FILE_ONLY = tuple(name for name in READING if name != "fit")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


@reads_recordings("split_by", "crop_pct", "dt", "steps")
def verify(
    context: typer.Context,
    preparation,
    weights: WeightsPath,
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="Reference spikes and logits (.npz).")
    ] = None,
    against_torch: Annotated[
        str | None,
        typer.Option("--against-torch", metavar="CHECKPOINT", help="Run the PyTorch model of this checkpoint beside."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="With --against-torch: a dataset, as in evaluate.")
    ] = None,
    root: Annotated[str | None, typer.Option(help="Where the named dataset is.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many recordings of the dataset.")] = None,
    input: Annotated[
        str | None, typer.Option("--input", "-i", help="With --against-torch: one recording in place of a dataset.")
    ] = None,
    order: Order = "stage",
    strict: Annotated[bool, typer.Option("--strict", help="Free-running flips are a disagreement too.")] = False,
) -> None:
    """Compare a network with the PyTorch model on three levels: exact, local, free-running."""
    import evsim
    from evsim.cli.effect import refuse
    from evsim.cli.verify_text import print_verification

    if reference is not None:
        refuse(context, (*_TORCH_ONLY, *_FILE_ONLY), "goes with --against-torch, a reference has its own inputs")
    if dataset is None:
        refuse(context, ("root", "limit"), "goes with --dataset")
    else:
        refuse(context, _FILE_ONLY, "goes with --input, a dataset knows its files")

    def watch(n_done: int) -> None:
        typer.echo(f"{n_done:,} recordings compared", err=True)

    told = {"dataset": dataset, "root": root, "limit": limit, "recording": input, "order": order, "watch": watch}
    verification = evsim.verify(weights, reference, against_torch=against_torch, preparation=preparation, **told)
    print_verification(verification)
    free_is_fine = not strict or verification.free.differing == 0
    if not (verification.agrees and free_is_fine):
        raise typer.Exit(ExitCode.DISAGREES)
