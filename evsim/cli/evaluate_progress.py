"""What a person sees while a dataset is evaluated, and the journal that survives it."""

from __future__ import annotations

import sys

import typer

from evsim.errors import EvsimError
from evsim.evaluation.evaluate import Evaluation
from evsim.evaluation.journal import Journal
from evsim.evaluation.outcome import Outcome
from evsim.plain_text import plain

__all__ = ["EvaluationProgress"]

MOST_COMPLAINTS = 5


class EvaluationProgress:
    """A bar with the running accuracy and the time left; on an interruption, how to continue.

    Parameters
    ----------
    evaluation : Evaluation
    path : str or None
        Of the journal; without one it is kept in the working folder until the report is written.
    resume : bool
    """

    def __init__(self, evaluation: Evaluation, path: str | None, resume: bool) -> None:
        self._is_kept = path is not None
        self._n_items = len(evaluation.dataset.items)
        self.journal = Journal(path or _default_path(evaluation), evaluation.identity, resume)
        self._n_done = self._n_hits = self._n_broken = 0
        self._bar = _bar()
        self._task = self._bar.add_task("", total=self._n_items, completed=0, accuracy="")

    def __enter__(self) -> EvaluationProgress:
        self._bar.start()
        return self

    def __exit__(self, kind, error, _) -> None:
        self._bar.stop()
        self.journal.close()
        if kind is None:
            return
        if self._n_done == self._n_broken:  # nothing worth continuing
            if not self.journal.outcomes:
                self.finish()
            return
        stopped = f"stopped after {self._n_done} of {self._n_items} recordings; add --resume to continue"
        if isinstance(error, EvsimError):
            raise EvsimError(f"{error}; {stopped} (journal {self.journal.path})") from error
        typer.echo(f"evsim: {stopped} (journal {self.journal.path})", err=True)

    def show(self, outcome: Outcome) -> None:
        """Called for each recording."""
        self._n_done += 1
        self._n_hits += outcome.is_correct
        if outcome.error:
            self._n_broken += 1
            self._complain(outcome)
        n_examined = self._n_done - self._n_broken
        accuracy = f"{100 * self._n_hits / n_examined:.2f} % right" if n_examined else ""
        self._bar.update(self._task, completed=self._n_done, accuracy=accuracy)

    def _complain(self, outcome: Outcome) -> None:
        """Name the first few broken recordings at once; the report has them all."""
        if self._n_broken <= MOST_COMPLAINTS:
            text = plain(f"broken: {outcome.id}: {outcome.error}")
            self._bar.console.print(text, markup=False, soft_wrap=True)

    def finish(self) -> None:
        """The report is safe: a journal nobody asked for has done its work."""
        if not self._is_kept:
            self.journal.path.unlink(missing_ok=True)


def _default_path(evaluation: Evaluation) -> str:
    """The same run finds its journal again, another run another one."""
    import hashlib
    import json

    digest = hashlib.sha256(json.dumps(evaluation.identity, sort_keys=True).encode()).hexdigest()
    return f"evsim-evaluate-{digest[:12]}.jsonl"


def _bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[accuracy]}"), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False)
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
