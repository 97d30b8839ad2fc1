"""``evsim evaluate``: a whole dataset, with an accuracy and its interval."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.asynchrony import takes_asynchrony
from evsim.cli.options import Order, Precision, WeightsPath
from evsim.cli.reading import reads_recordings
from evsim.errors import EvsimError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("evaluate")(evaluate)


@reads_recordings("index")
@takes_asynchrony
def evaluate(
    context: typer.Context,
    preparation,
    how,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            "-d",
            help="nmnist, dvsgesture, cifar10dvs, mnist, cifar10, imagenet, or a path: "
            "a folder with a folder a class, or an HDF5 file of many labelled recordings.",
        ),
    ],
    weights: WeightsPath = "sdt-nmnist",
    root: Annotated[str | None, typer.Option(help="Where the named dataset is.")] = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    download: Annotated[
        bool, typer.Option("--download", help="Let tonic fetch the dataset into --root first.")
    ] = False,
    class_order: Annotated[
        str | None,
        typer.Option(help="Number classes by position, not by name: lexicographic (as published networks) or numeric."),
    ] = None,
    order: Order = "stage",
    precision: Precision = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many recordings.")] = None,
    shuffle_seed: Annotated[int | None, typer.Option(help="Shuffle the recordings first, by this seed.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; as many as cores when left out.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Dask scheduler to work for us, tcp://host:8786.")] = None,
    journal: Annotated[str | None, typer.Option(help="Keep results here as they come (JSON lines).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run from its journal.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a recording that cannot be read.")] = False,
    json: Annotated[str | None, typer.Option(help="Write the report to this file (- for standard output).")] = None,
    csv: Annotated[str | None, typer.Option(help="Write one row a recording to this file.")] = None,
) -> None:
    """Evaluate a network on a dataset: accuracy with its interval, confusion, mean operation counts."""
    from evsim.api.evaluate import evaluation_of
    from evsim.arithmetic.precision import check_precision
    from evsim.cli.effect import refuse
    from evsim.cli.evaluate_progress import EvaluationProgress
    from evsim.cli.evaluate_text import print_evaluation, write_csv, write_json
    from evsim.cli.protect import protect_inputs
    from evsim.evaluation import Cluster, Threads
    from evsim.evaluation.dataset import dataset_names
    from evsim.evaluation.evaluate import Choice

    if order not in ("step", "stage"):
        raise EvsimError(f"--order {order}: expected step or stage")
    if scheduler:
        refuse(context, ("workers",), "is for this machine, --scheduler for a cluster: say one of them")
    if precision is not None:
        check_precision(precision)
    if dataset not in dataset_names():
        refuse(context, ("root", "download"), f"is for a dataset with a name ({', '.join(dataset_names())})")
    told = {"root": root, "split": split, "download": download, "class_order": class_order}
    told |= {"order": order, "precision": precision, "crop_pct": preparation.crop_pct, "asynchronous": how}
    evaluation = evaluation_of(weights, dataset, preparation, Choice(limit, shuffle_seed), **told)
    outputs = {"--json": None if json == "-" else json, "--csv": csv, "--journal": journal}
    protect_inputs(outputs, (weights,), {item.path for item in evaluation.dataset.items})
    crew = Cluster(scheduler) if scheduler else Threads(workers)
    with EvaluationProgress(evaluation, journal, resume) as progress:
        report = evaluation.run(crew, progress.journal, progress.show, strict)
        if json:
            write_json(json, report)
        if csv:
            write_csv(csv, report)
        progress.finish()
    if json != "-":
        print_evaluation(report)
