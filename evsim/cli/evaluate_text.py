"""An evaluation as tables for a person, as JSON and as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

import typer
from rich.table import Table

from evsim.arithmetic.precision import FLOAT
from evsim.cli.run_text import order_in_words
from evsim.cli.terminal import console as make_console
from evsim.engine.ledger import with_former_names
from evsim.evaluation.report import EvaluationReport, Share
from evsim.outputs import output_text, write_output
from evsim.plain_text import plain_cell

__all__ = ["print_evaluation", "write_csv", "write_json"]

WIDEST_CONFUSION = 20
"""Classes up to which the confusion matrix is printed; the JSON report has it always."""


def print_evaluation(report: EvaluationReport) -> None:
    """Accuracy, classes, confusion, counts, speed."""
    console = make_console()
    for line in _facts(report):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    console.print(_class_table(report))
    console.print()
    console.print(_count_table(report))
    console.print()
    for line in _ending(report):
        console.print(line, markup=False, soft_wrap=True)


def write_json(path: str, report: EvaluationReport) -> None:
    """One JSON object, to a file or standard output."""
    text = json.dumps(report.as_dict(), indent=1, allow_nan=False)
    if path == "-":
        typer.echo(text)
        return
    write_output(path, f"{text}\n".encode())


def write_csv(path: str, report: EvaluationReport) -> None:
    """One row a recording, in the order of the dataset."""
    counts = list(with_former_names(report.mean_counts))
    with output_text(path) as file:
        rows = csv.writer(file)
        rows.writerow(["id", "label", "prediction", "correct", "top", "seconds", "error", *counts])
        for outcome in report.outcomes:
            top = " ".join(map(str, outcome.top))
            found = [outcome.prediction, int(outcome.is_correct), top, f"{outcome.seconds:.6f}", outcome.error]
            counted = with_former_names(outcome.counts)
            cells = [outcome.id, outcome.label, *found, *(counted.get(name) for name in counts)]
            rows.writerow(map(plain_cell, cells))


def _facts(report: EvaluationReport) -> Iterator[str]:
    identity = report.identity
    yield f"weights     {report.weights}, SHA-256 {identity['weights_sha256'][:16]}"
    yield f"dataset     {identity['dataset']}, {report.n_recordings:,} recordings"
    yield from (f"note        {note}" for note in report.notes)
    if identity["options"].get("precision", FLOAT) != FLOAT:
        yield f"precision   {identity['options']['precision']}, in fixed point"
    if identity["options"].get("asynchronous"):
        yield f"mode        asynchronous: {order_in_words(identity['options']['asynchronous'])}"
    if report.n_broken:
        yield f"broken      {report.n_broken:,} recordings could not be read; every number is about the others"
        yield from (f"            {broken['id']}: {broken['error']}" for broken in report.broken[:5])
    yield f"accuracy    {_share(report.top1)}"
    if report.top5:
        yield f"top 5       {_share(report.top5)}"


def _share(share: Share) -> str:
    interval = f"{100 * share.low:.2f} ... {100 * share.high:.2f} %"
    return f"{100 * share.fraction:.2f} % ({share.hits:,} of {share.n:,}), 95 % interval {interval}"


def _class_table(report: EvaluationReport) -> Table:
    """Recall and precision of each class; beside them, for few classes, the confusion matrix."""
    table = _table("class", "recordings", "recognised %", "95 % interval", "predictions right %")
    shows_confusion = len(report.classes) <= WIDEST_CONFUSION
    for row in report.classes if shows_confusion else ():
        table.add_column(str(row.index), justify="right")
    for row in report.classes:
        if row.recall.n == 0 and not shows_confusion:
            continue
        interval = f"{100 * row.recall.low:.1f} ... {100 * row.recall.high:.1f}" if row.recall.n else ""
        cells = [str(n) if n else "." for n in report.confusion[row.index]] if shows_confusion else []
        name = row.name if row.name == str(row.index) else f"{row.index} {row.name}"
        table.add_row(name, f"{row.recall.n:,}", _percent(row.recall), interval, _percent(row.precision), *cells)
    return table


def _percent(share: Share) -> str:
    return f"{100 * share.fraction:.1f}" if share.n else ""


def _count_table(report: EvaluationReport) -> Table:
    table = _table("operations", "mean per recording")
    for name, mean in report.mean_counts.items():
        table.add_row(name, f"{mean:,.1f}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _ending(report: EvaluationReport) -> Iterator[str]:
    timing = report.timing
    workers = f"{timing['workers']} worker{'s' if timing['workers'] != 1 else ''}"
    memory = f", peak memory {timing['peak_memory_bytes'] / 1e6:.0f} MB" if timing["peak_memory_bytes"] else ""
    earlier = f" ({timing['resumed']:,} more came from the journal)" if timing["resumed"] else ""
    if timing["recordings"]:
        rate = f"{timing['recordings_per_second']:.2f} recordings a second with {workers}{memory}"
        yield f"time        {timing['seconds']:.2f} s for {timing['recordings']:,} recordings{earlier}, {rate}"
    else:
        yield "time        every recording came from the journal"
