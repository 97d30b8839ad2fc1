"""EvaluationReport: what `evsim evaluate` says, as plain values; the text, the JSON and the CSV are views of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from evsim.engine.ledger import FORMER_NAMES_NOTE, with_former_names
from evsim.evaluation.outcome import TOP, Outcome
from evsim.evaluation.wilson import wilson_interval

__all__ = ["ClassRow", "EvaluationReport", "Share", "summarise"]

SCHEMA = "evsim-evaluation/2"


@dataclass(frozen=True)
class Share:
    """`hits` of `n`, as a fraction and with its 95 % Wilson interval."""

    hits: int
    n: int
    fraction: float
    low: float
    high: float

    @staticmethod
    def of(hits: int, n: int) -> Share:
        """The share of `hits` in `n`."""
        return Share(hits, n, hits / n if n else 0.0, *wilson_interval(hits, n))


@dataclass(frozen=True)
class ClassRow:
    """One class: how many of its recordings were recognised, and how many predictions of it were right."""

    index: int
    name: str
    recall: Share
    precision: Share


@dataclass(frozen=True)
class EvaluationReport:
    """An evaluation in numbers.

    All but `timing` is a function of weights, recordings and options: the same after an interruption, with any
    number of workers, on any cluster.

    Parameters
    ----------
    weights : str
        The file's name.
    identity : dict
        Weights, dataset and options, as in the first line of the journal.
    notes : list of str
    n_recordings, n_broken : int
        Recordings of the dataset (after the limit); those that could not be read. Every other number is about
        the ones that could.
    top1 : Share
    top5 : Share or None
        None for a network of at most five classes.
    classes : list of ClassRow
    confusion : list of list of int
        [true class][predicted class].
    mean_counts : dict of str to float
        Operations per recording (`OpCounts`).
    broken : list of dict
        id and error.
    outcomes : list of Outcome
        In the order of the dataset.
    timing : dict
        Of this session: seconds, recordings, recordings_per_second, workers, resumed, peak_memory_bytes.
    """

    weights: str
    identity: dict
    notes: list[str]
    n_recordings: int
    n_broken: int
    top1: Share
    top5: Share | None
    classes: list[ClassRow]
    confusion: list[list[int]]
    mean_counts: dict[str, float]
    broken: list[dict]
    outcomes: list[Outcome]
    timing: dict

    def as_dict(self) -> dict:
        """The JSON object of ``evsim evaluate --json``; its schema is in docs/evaluate.md."""
        outcomes = [outcome.as_dict() for outcome in self.outcomes]
        outcomes = [values | {"counts": with_former_names(values["counts"])} for values in outcomes]
        counts = {"mean_counts": with_former_names(self.mean_counts), "outcomes": outcomes}
        return {"schema": SCHEMA, "former_names": FORMER_NAMES_NOTE, **asdict(self), **counts}


def summarise(
    outcomes: Sequence[Outcome],
    class_names: Sequence[str],
    weights: str,
    identity: dict,
    notes: Sequence[str],
    timing: dict,
) -> EvaluationReport:
    """All numbers from the outcomes, which must be in the order of the dataset."""
    examined = [outcome for outcome in outcomes if outcome.error is None]
    confusion = _confusion(examined, len(class_names))
    return EvaluationReport(
        weights=weights,
        identity=identity,
        notes=list(notes),
        n_recordings=len(outcomes),
        n_broken=len(outcomes) - len(examined),
        top1=Share.of(sum(outcome.is_correct for outcome in examined), len(examined)),
        top5=_top5(examined) if len(class_names) > TOP else None,
        classes=[_class_row(index, name, confusion) for index, name in enumerate(class_names)],
        confusion=confusion,
        mean_counts=_mean_counts(examined),
        broken=[{"id": outcome.id, "error": outcome.error} for outcome in outcomes if outcome.error is not None],
        outcomes=list(outcomes),
        timing=timing,
    )


def _confusion(examined: Sequence[Outcome], n_classes: int) -> list[list[int]]:
    matrix = [[0] * n_classes for _ in range(n_classes)]
    for outcome in examined:
        matrix[outcome.label][outcome.prediction] += 1
    return matrix


def _top5(examined: Sequence[Outcome]) -> Share:
    return Share.of(sum(outcome.label in outcome.top for outcome in examined), len(examined))


def _class_row(index: int, name: str, confusion: list[list[int]]) -> ClassRow:
    hits = confusion[index][index]
    return ClassRow(
        index, name, Share.of(hits, sum(confusion[index])), Share.of(hits, sum(row[index] for row in confusion))
    )


def _mean_counts(examined: Sequence[Outcome]) -> dict[str, float]:
    if not examined:
        return {}
    return {name: sum(outcome.counts[name] for outcome in examined) / len(examined) for name in examined[0].counts}
