"""A run report as tables for a person, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

import typer
from rich.table import Table

from evsim.arithmetic.precision import FLOAT
from evsim.cli.terminal import console as make_console
from evsim.runs.run_report import LayerRow, RunReport

__all__ = ["order_in_words", "print_json", "print_report"]


def print_json(report: RunReport) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(report.as_dict(), indent=1, allow_nan=False))


def print_report(report: RunReport, trace_path: str | None) -> None:
    """What was loaded, the prediction, the layers, the totals."""
    console = make_console(_UNBOUNDED)
    for line in _loaded(report):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    full = _table(report, list(_COLUMNS), _UNBOUNDED)
    fits = console.measure(full, options=console.options.update(width=_UNBOUNDED)).maximum <= console.width
    narrow = [name for name in _COLUMNS if name not in _WIDE_ONLY]
    console.print(full if fits else _table(report, narrow, console.width), width=_UNBOUNDED, crop=False)
    if not fits:
        left_out = ", ".join(_WIDE_ONLY)
        told = f"\n{console.width} columns have no room for {left_out}; a wider window, a pipe or --json shows them"
        console.print(told, markup=False, soft_wrap=True)
    for line in _outcome(report, trace_path):
        console.print(line, markup=False, soft_wrap=True)


def _loaded(report: RunReport) -> Iterator[str]:
    yield f"network     {report.title} from {report.weights['file']}"
    yield f"input       {report.input['file']}: {report.input['layout']}"
    yield from (f"note        {note}" for note in report.notes)
    if report.precision != FLOAT:
        yield f"precision   {report.precision}, in fixed point"
    if report.asynchronous:
        yield f"mode        asynchronous: {order_in_words(report.asynchronous)}"


def _outcome(report: RunReport, trace_path: str | None) -> Iterator[str]:
    totals = report.totals.as_dict()
    shown = (name for name in _ALSO_COUNTED if totals[name] or name not in _WHERE_PRESENT)
    counted = ", ".join(f"{totals[name]:,} {_ALSO_COUNTED[name]}" for name in shown)
    yield from ("", f"also counted: {counted}", "")
    if totals["acs_kv_first"]:
        both = f"keys and values first {totals['acs_kv_first']:,}, queries and keys first {totals['acs_qk_first']:,}"
        found_by = f"found out with {totals['order_ands']:,} ANDs of 64 bits"
        yield from (f"additions that each order of the attention's products would have cost: {both}; {found_by}", "")
    if report.asynchronous:
        yield from _without_barriers(report.asynchronous, totals["membrane_adds"])
    yield f"prediction  {_prediction(report)}"
    yield "logits      " + "  ".join(f"{value:.4f}" for value in report.logits)
    memory = f", peak memory {report.peak_memory_bytes / 1e6:.0f} MB" if report.peak_memory_bytes else ""
    prepared = f"and {report.compile_seconds:.2f} s to prepare kernels"
    yield f"time        {report.wall_seconds:.3f} s for {report.n_steps} steps, {prepared}{memory}"
    if trace_path:
        yield f"trace       {trace_path}"


def order_in_words(how: dict) -> str:
    """The options of an asynchronous run, those that differ from what is usual or matter."""
    group = "everything that waits" if how["group"] is None else f"{how['group']:,} a group"
    words = [f"schedule {how['schedule']}"]
    if how["schedule"] != "layer":
        words += [group, f"commit at {how['commit']}", f"positive biases {how['bias']}"]
    words += [f"seed {how['seed']}"] * (how["schedule"] == "random") + ["refire"] * how["refire"]
    words += ["what follows a spike is kept"] * (how["after_spike"] == "keep")
    return ", ".join(words)


def _without_barriers(told: dict, membrane_adds: int) -> Iterator[str]:
    yield (
        f"delivered   {told['deliveries']:,} spikes and input events, {membrane_adds:,} additions to membranes; "
        f"{told['withdrawn']:,} withdrawn, {told['most_waiting']:,} waited at most"
    )
    decision, undone = told["decision"], told["undone"]
    yield f"decision    after {decision['delivery']:,} deliveries, {100 * decision['share']:.1f} % of them"
    yield f"barriers    {', '.join(told['barriers']) or 'none'}"
    if undone is not None:
        yield (
            f"undone      {undone['waiting']:,} spikes that waited, {undone['steps']} steps with "
            f"{undone['input_events']:,} input events"
        )


def _prediction(report: RunReport) -> str:
    text = f"class {report.prediction}"
    if report.label is not None:
        text += f" ({report.label})"
    if report.true_class is not None:
        verdict = "right" if report.true_class == report.prediction else "wrong"
        text += f"; the recording is labelled {report.true_class}: {verdict}"
    return text


def _table(report: RunReport, columns: list[str], width: int) -> Table:
    """One line a handler, at most `width` wide where that is possible: names are shortened, numbers never."""
    neurons = sum(row.neurons or 0 for row in report.layers)
    total = LayerRow("total", "", neurons, None, None, report.totals)
    widths = [max(len(name), *(len(_COLUMNS[name](row)) for row in (*report.layers, total))) for name in columns]
    room = max(_SHORTEST_NAME, width - sum(widths) - 2 * len(widths))
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("layer", no_wrap=True)
    for name, widest in zip(columns, widths, strict=True):
        table.add_column(name, justify="right", no_wrap=True, min_width=widest)
    for row in report.layers:
        cells = (_COLUMNS[name](row) for name in columns)
        table.add_row(_shortened(row.name, room), *cells, style="" if row.neurons else "dim")
    table.add_section()
    table.add_row(total.name, *(_COLUMNS[name](total) for name in columns), style="bold")
    return table


def _shortened(name: str, room: int) -> str:
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _count(value: int | None) -> str:
    return f"{value:,}" if value else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


_UNBOUNDED = 1000
_SHORTEST_NAME = 16
_WIDE_ONLY = ("neurons", "MACs", "masks", "updates")
_COLUMNS = {
    "neurons": lambda row: _count(row.neurons),
    "events in": lambda row: f"{row.counts.events_in:,}",
    "events out": lambda row: f"{row.counts.events_out:,}",
    "rate %": lambda row: _percent(row.firing_rate),
    "density %": lambda row: _percent(row.operand_density),
    "ACs": lambda row: _count(row.counts.acs),
    "MACs": lambda row: _count(row.counts.macs),
    "masks": lambda row: _count(row.counts.masks),
    "updates": lambda row: _count(row.counts.updates),
}
_ALSO_COUNTED = {
    "event_acs": "ACs if a payload of n is one addition, not n",
    "bias_adds": "bias additions",
    "residual_adds": "residual additions",
    "scalings": "scalings",
    "dense_macs": "dense MACs of operations without an event-driven form",
    "zero_macs": "of the MACs on a value of exactly 0",
    "comparisons": "comparisons",
    "weight_reads": "weight reads",
    "state_reads": "state reads",
    "state_writes": "state writes",
    "queue_ops": "queue operations",
}
_WHERE_PRESENT = ("dense_macs", "zero_macs")
"""What most networks have none of, and a 0 would only raise a question."""
