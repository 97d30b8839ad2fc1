"""evaluate: a whole dataset through one network; accuracy with its interval, and the mean of every count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from evsim import __version__
from evsim.errors import EvsimError
from evsim.evaluation.dataset import Dataset, Item, align_classes, choose_items, kind_module
from evsim.evaluation.examiner import Examiner, Plan
from evsim.evaluation.journal import Journal
from evsim.evaluation.outcome import Outcome
from evsim.evaluation.report import EvaluationReport, summarise
from evsim.evaluation.resumed import check_resumed
from evsim.evaluation.threads import Threads
from evsim.loading.compiled_together import compiled_together
from evsim.loading.warm_up import warm_up
from evsim.runs.measures import peak_memory_bytes

__all__ = ["Choice", "Crew", "Evaluation", "evaluate"]


class Crew(Protocol):
    """Whoever examines the recordings: `Threads` of this machine or a `Cluster`."""

    size: int

    def run(self, examiner: Examiner, items: Sequence[Item]) -> Iterator[Sequence[Outcome]]: ...


@dataclass(frozen=True)
class Choice:
    """Which recordings of a dataset: all, or the first `limit` after a shuffle by `shuffle_seed`."""

    limit: int | None = None
    shuffle_seed: int | None = None


class Evaluation:
    """A network before a dataset, checked against each other and ready to run.

    Parameters
    ----------
    plan : Plan
    dataset : Dataset
    choice : Choice, optional
    examiner : Examiner, optional
        One whose network is there already; else the plan's weights are read.

    Raises
    ------
    EvsimError
        The weights cannot be read, or the dataset has more classes than the network.
    """

    def __init__(
        self, plan: Plan, dataset: Dataset, choice: Choice | None = None, examiner: Examiner | None = None
    ) -> None:
        choice = choice or Choice()
        self.examiner = replace(examiner or Examiner.load(plan), reader=dataset.reader)
        names = self.examiner.weights.header.get("class_names")
        aligned = align_classes(dataset, names)
        self.dataset = replace(aligned, items=choose_items(aligned.items, choice.limit, choice.shuffle_seed))
        if self.examiner.crop_pct is not None:
            note = f"images are resized as timm does, with crop_pct {self.examiner.crop_pct:g}"
            self.dataset = replace(self.dataset, notes=(*self.dataset.notes, note))
        self.class_names = _names(names or aligned.class_names or (), self.examiner.n_classes)
        self.identity = self._identity(choice)
        self._check()

    def run(
        self,
        crew: Crew,
        journal: Journal | None = None,
        watch: Callable[[Outcome], None] | None = None,
        strict: bool = False,
    ) -> EvaluationReport:
        """Examine what the journal does not hold yet, and report on everything.

        Parameters
        ----------
        crew : Crew
        journal : Journal, optional
            Made with this evaluation's `identity`; grows by each outcome.
        watch : callable, optional
            Is shown each outcome, those of the journal first.
        strict : bool
            A recording that cannot be read ends the run.
        """
        if journal:
            check_resumed(journal, self.dataset.items, self.examiner.n_classes)
        done = dict(journal.outcomes) if journal else {}
        for outcome in done.values():
            _receive(outcome, watch, strict)
        missing = [item for item in self.dataset.items if item.id not in done]
        if missing and isinstance(crew, Threads):
            network = self.examiner.network
            with compiled_together([self.examiner.weights.header["family"]], network.precision):
                warm_up(network)
        begin = time.perf_counter()
        for outcomes in crew.run(self.examiner, missing) if missing else ():
            if journal:
                journal.append(*outcomes)
            for outcome in outcomes:
                done[outcome.id] = outcome
                _receive(outcome, watch, strict)
        timing = _timing(time.perf_counter() - begin, len(missing), len(done) - len(missing), crew.size)
        return self._report(done, timing)

    def _report(self, done: dict[str, Outcome], timing: dict) -> EvaluationReport:
        outcomes = [done[item.id] for item in self.dataset.items]
        if all(outcome.error for outcome in outcomes):
            raise EvsimError(f"none of the {len(outcomes)} recordings could be read; the first: {outcomes[0].error}")
        name = self.examiner.plan.weights.replace("\\", "/").rsplit("/", 1)[-1]
        return summarise(outcomes, self.class_names, name, self.identity, self.dataset.notes, timing)

    def _identity(self, choice: Choice) -> dict:
        plan, dataset = self.examiner.plan, self.dataset
        told = {name: value for name, value in asdict(plan.preparation.reading).items() if value is not None}
        preparation = {"split_by": plan.preparation.split_by, "fit": plan.preparation.fit, "reading": told}
        cut = {"dt": plan.preparation.dt, "steps": plan.preparation.steps}
        preparation |= {name: value for name, value in cut.items() if value is not None}
        return {
            "version": __version__,
            "weights_sha256": self.examiner.sha256,
            "dataset": dataset.kind,
            "n_recordings": len(dataset.items),
            "recordings_sha256": dataset.fingerprint(),
            "options": {
                **preparation,
                "normalise": plan.normalise,
                "crop_pct": plan.crop_pct,
                "order": plan.order,
                "precision": self.examiner.network.precision,
                "limit": choice.limit,
                "shuffle_seed": choice.shuffle_seed,
                "asynchronous": None if plan.asynchronous is None else plan.asynchronous.as_dict(),
            },
        }

    def _check(self) -> None:
        if self.dataset.reader is None and hasattr(kind_module(self.dataset.kind), "read"):
            for name in ("layout", "sensor", "unit", "axes"):
                if getattr(self.examiner.plan.preparation.reading, name) is not None:
                    raise EvsimError(f"--{name}: a dataset of kind {self.dataset.kind} knows its files, leave it out")
        if not self.dataset.items:
            raise EvsimError("no recording is left after --limit")
        ids = {item.id for item in self.dataset.items}
        if len(ids) < len(self.dataset.items):
            raise EvsimError(f"the {self.dataset.kind} dataset holds two recordings of the same name")
        n_classes = self.examiner.n_classes
        for item in self.dataset.items:
            if not 0 <= item.label < n_classes:
                raise EvsimError(
                    f"{item.path}: recording {item.id} is of class {item.label}, but the network tells only "
                    f"{n_classes} classes apart, numbered from 0"
                )


def evaluate(plan: Plan, dataset: Dataset, crew: Crew | None = None, choice: Choice | None = None) -> EvaluationReport:
    """Evaluate without a journal; `Evaluation` has more."""
    return Evaluation(plan, dataset, choice).run(crew or Threads())


def _receive(outcome: Outcome, watch: Callable[[Outcome], None] | None, strict: bool) -> None:
    if strict and outcome.error:
        raise EvsimError(f"{outcome.id}: {outcome.error}")
    if watch:
        watch(outcome)


def _names(known: Sequence[str], n_classes: int) -> list[str]:
    """A name for each class; its number where nobody knows better."""
    return [known[index] if index < len(known) else str(index) for index in range(n_classes)]


def _timing(seconds: float, n_now: int, n_before: int, n_workers: int) -> dict:
    return {
        "seconds": seconds,
        "recordings": n_now,
        "recordings_per_second": n_now / seconds if n_now else None,
        "workers": n_workers,
        "resumed": n_before,
        "peak_memory_bytes": peak_memory_bytes(),
    }
