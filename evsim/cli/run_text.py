"""A run report as tables for a person, and as JSON."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table

from evsim.report import LayerRow, RunReport

__all__ = ["print_json", "print_report"]

_COLUMNS = ("ACs", "MACs", "masks", "updates")


def print_json(report: RunReport) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(report.as_dict(), indent=1, allow_nan=False))


def print_report(report: RunReport, trace_path: str | None) -> None:
    """What was loaded, the prediction, the layers, the totals."""
    console = Console(soft_wrap=False, highlight=False)
    console.print(f"network   {report.title} from {report.weights['file']}", markup=False)
    console.print(f"input     {report.input['file']}: {report.input['layout']}", markup=False)
    for note in report.notes:
        console.print(f"note      {note}", markup=False)
    console.print()
    console.print(_table(report))
    _print_totals(console, report)
    console.print(f"prediction  {_prediction(report)}", style="bold", markup=False)
    console.print("logits      " + "  ".join(f"{value:.4f}" for value in report.logits), markup=False)
    memory = f", peak memory {report.peak_memory_bytes / 1e6:.0f} MB" if report.peak_memory_bytes else ""
    console.print(
        f"time        {report.wall_seconds:.3f} s for {report.n_steps} steps, "
        f"and {report.compile_seconds:.2f} s to prepare kernels{memory}",
        markup=False,
    )
    if trace_path:
        console.print(f"trace       {trace_path}", markup=False)


def _prediction(report: RunReport) -> str:
    text = f"class {report.prediction}"
    if report.label is not None:
        text += f" ({report.label})"
    if report.true_class is not None:
        verdict = "right" if report.true_class == report.prediction else "wrong"
        text += f"; the recording is labelled {report.true_class}: {verdict}"
    return text


def _table(report: RunReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True, overflow="ellipsis", min_width=24)
    for name in ("neurons", "events in", "events out", "rate %", "density %", *_COLUMNS):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.layers:
        table.add_row(*_cells(row), style="" if row.neurons else "dim")
    totals = report.totals
    neurons = sum(row.neurons or 0 for row in report.layers)
    cells = [neurons, totals.events_in, totals.events_out, None, None]
    cells += [totals.acs, totals.macs, totals.masks, totals.updates]
    table.add_section()
    table.add_row("total", *(_count(cell) if cell is not None else "" for cell in cells), style="bold")
    return table


def _cells(row: LayerRow) -> list[str]:
    counts = row.counts
    return [
        row.name,
        _count(row.neurons) if row.neurons else "",
        _count(counts.events_in),
        _count(counts.events_out),
        "" if row.firing_rate is None else f"{100 * row.firing_rate:.2f}",
        "" if row.operand_density is None else f"{100 * row.operand_density:.2f}",
        *(_count(value) if value else "" for value in (counts.acs, counts.macs, counts.masks, counts.updates)),
    ]


def _print_totals(console: Console, report: RunReport) -> None:
    totals = report.totals.as_dict()
    words = {
        "unit_acs": "unit ACs",
        "bias_adds": "bias additions",
        "residual_adds": "residual additions",
        "comparisons": "comparisons",
        "weight_reads": "weight reads",
        "state_reads": "state reads",
        "state_writes": "state writes",
        "queue_ops": "queue operations",
    }
    shown = ", ".join(f"{_count(totals[name])} {word}" for name, word in words.items())
    console.print(f"\nalso counted: {shown}\n", markup=False)


def _count(value: int) -> str:
    return f"{value:,}"
