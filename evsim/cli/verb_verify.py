"""``evsim verify``: does a run equal the official model's?"""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.exit_code import ExitCode
from evsim.cli.options import Fit, Index, Order, WeightsPath
from evsim.errors import EvsimError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


def verify(
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
    index: Index = None,
    order: Order = "stage",
    fit: Fit = None,
    strict: Annotated[bool, typer.Option("--strict", help="Free-running flips are a disagreement too.")] = False,
) -> None:
    """Compare a network with the PyTorch model on three levels: exact, local, free-running."""
    from evsim.cli.verify_text import print_verification
    from evsim.loading.zoo import find_weights
    from evsim.runs.run import Preparation

    path, preparation = find_weights(weights), Preparation(fit=fit, index=index)
    if (reference is None) == (against_torch is None):
        raise EvsimError("verify against what? say either --reference FILE or --against-torch CHECKPOINT")
    if reference is not None:
        verification = _against_file(path, reference, preparation, order)
    else:
        source = (dataset, root, limit, input)
        verification = _against_torch(path, against_torch, source, preparation, order)
    print_verification(verification)
    free_is_fine = not strict or verification.free.differing == 0
    if not (verification.agrees and free_is_fine):
        raise typer.Exit(ExitCode.DISAGREES)


def _against_file(weights: str, reference: str, preparation, order: str):
    from evsim.loading.importing import load_network
    from evsim.runs.run import fit_recording
    from evsim.traces.reference import read_reference
    from evsim.traces.verify import verify as verify_network

    network, loaded = load_network(weights)
    known = read_reference(reference)
    samples = [fit_recording(network, loaded, sample, preparation).spikes for sample in known.recordings()]
    return verify_network(network, samples, known, order)


def _against_torch(weights: str, checkpoint: str, source: tuple, preparation, order: str):
    from evsim.traces.dense_model import verify_against_dense

    dataset, root, limit, input = source
    if (dataset is None) == (input is None):
        raise EvsimError("--against-torch: on what? say either --dataset NAME or --input RECORDING")
    find = _recording if dataset is None else _dataset
    network, samples = find(weights, preparation, *([input] if dataset is None else [dataset, root, limit]))

    def watch(n_done: int) -> None:
        typer.echo(f"{n_done:,} recordings compared", err=True)

    return verify_against_dense(network, checkpoint, samples, order, watch)


def _recording(weights: str, preparation, input: str):
    """The network, and one recording for it."""
    from evsim.loading.importing import load_network
    from evsim.runs.run import prepare_input

    network, loaded = load_network(weights)
    return network, [prepare_input(network, loaded, input, preparation)]


def _dataset(weights: str, preparation, dataset: str, root: str | None, limit: int | None):
    """The network, and the recordings of a dataset, each read when its turn comes."""
    from evsim.arithmetic.precision import FLOAT
    from evsim.evaluation.dataset import choose_items, find_dataset
    from evsim.evaluation.examiner import Examiner, Plan

    found = find_dataset(dataset, root)
    examiner = Examiner.load(Plan(weights, found.kind, preparation, precision=FLOAT))
    return examiner.network, (examiner.steps(item) for item in choose_items(found.items, limit, None))
