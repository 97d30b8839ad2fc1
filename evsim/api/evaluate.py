"""evaluate: a whole dataset through one network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from evsim.api.trained_network import TrainedNetwork
from evsim.asynchronous.options import Asynchrony
from evsim.evaluation.dataset import Dataset, FindOptions, find_dataset
from evsim.evaluation.evaluate import Choice, Evaluation
from evsim.evaluation.examiner import Examiner, Plan
from evsim.evaluation.outcome import Outcome
from evsim.evaluation.report import EvaluationReport
from evsim.evaluation.threads import Threads
from evsim.recordings.duration import parse_microseconds
from evsim.runs.preparation import Preparation

__all__ = ["evaluate", "evaluation_of"]


def evaluate(
    network: TrainedNetwork | str | os.PathLike,
    dataset: object,
    *,
    root: str | None = None,
    split: str = "test",
    limit: int | None = None,
    shuffle_seed: int | None = None,
    split_by: str | None = None,
    fit: str | None = None,
    dt: str | None = None,
    steps: int | None = None,
    normalise: str | tuple | None = None,
    class_order: str | None = None,
    workers: int | None = None,
    watch: Callable[[Outcome], None] | None = None,
    asynchronous: Asynchrony | None = None,
) -> EvaluationReport:
    """The accuracy of a network on a dataset, with its 95 % interval, and the mean of every count.

    Parameters
    ----------
    network : TrainedNetwork, name or path
    dataset : name, path, Dataset, or sequence of (recording, label)
        A name that ``evsim evaluate`` knows (with `root`); a folder of classes or a file of labelled recordings; or
        any object with a length whose entries are (recording, label), like a dataset of tonic or PyTorch with its
        transforms: a recording is whatever `TrainedNetwork.run` takes.
    root : str, optional
        Where the named dataset is.
    split : {"test", "train"}
    limit, shuffle_seed : int, optional
        Only so many recordings; after a shuffle by this seed.
    split_by, fit, dt, steps, normalise : optional
        How recordings become steps, as in `TrainedNetwork.run`.
    class_order : {"lexicographic", "numeric"}, optional
        Number the dataset's classes by their position in that order of their names. Without it they are matched with
        the network's by name.
    workers : int, optional
        Threads; as many as cores when left out. Entries of a sequence are fetched by one thread at a time.
    watch : callable, optional
        Is shown each outcome.
    asynchronous : Asynchrony, optional
        Spike by spike, without layer barriers, in this order (docs/asynchronous.md).

    Returns
    -------
    EvaluationReport

    Raises
    ------
    EvsimError
        The dataset cannot be read, or does not fit the network.
    """
    length = None if dt is None else parse_microseconds(dt, "dt")
    preparation = Preparation(split_by, fit, dt=length, steps=steps)
    told = {"root": root, "split": split, "normalise": normalise, "class_order": class_order}
    told["asynchronous"] = asynchronous
    evaluation = evaluation_of(network, dataset, preparation, Choice(limit, shuffle_seed), **told)
    return evaluation.run(Threads(workers), watch=watch)


def evaluation_of(
    network: TrainedNetwork | str | os.PathLike,
    dataset: object,
    preparation: Preparation,
    choice: Choice,
    *,
    root: str | None = None,
    split: str = "test",
    download: bool = False,
    class_order: str | None = None,
    normalise: str | tuple | None = None,
    order: str = "stage",
    crop_pct: float | None = None,
    precision: str | None = None,
    asynchronous: Asynchrony | None = None,
) -> Evaluation:
    """A network before a dataset, ready to run with any crew and journal."""
    found = _found(dataset, root, FindOptions(split, download, class_order))
    if isinstance(network, TrainedNetwork):
        how = (normalise, order, crop_pct, network.precision, asynchronous)
        plan = Plan(network.origin["file"], found.kind, preparation, *how)
        examiner = Examiner(plan, network.network, network.weights, network.origin["sha256"])
        return Evaluation(plan, found, choice, examiner)
    how = (normalise, order, crop_pct, precision, asynchronous)
    return Evaluation(Plan(os.fspath(network), found.kind, preparation, *how), found, choice)


def _found(dataset: object, root: str | None, options: FindOptions) -> Dataset:
    told = options.class_order is not None
    if isinstance(dataset, Dataset):
        return replace(dataset, by_position=True) if told else dataset
    if isinstance(dataset, (str, os.PathLike)):
        return find_dataset(os.fspath(dataset), root, options)
    from evsim.api.sequence import dataset_of

    return replace(dataset_of(dataset), by_position=told)
