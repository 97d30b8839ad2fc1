"""``evsim run``: one recording through one network."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.options import CropPct, Fit, Index, Order, Precision, SplitBy, Threads, WeightsPath, parse_threads
from evsim.errors import EvsimError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("run")(run)


def run(
    weights: WeightsPath = "sdt-nmnist",
    input: Annotated[str | None, typer.Option("--input", "-i", help="Recording; a bundled one when left out.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    trace: Annotated[str | None, typer.Option(help="Write the spikes of every population to this HDF5 file.")] = None,
    order: Order = "stage",
    precision: Precision = None,
    threads: Threads = "1",
    split_by: SplitBy = None,
    fit: Fit = None,
    index: Index = None,
    crop_pct: CropPct = None,
    follow: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Predict while events arrive: a growing file or pipe; - is stdin."),
    ] = None,
    window: Annotated[str, typer.Option(help="With --follow: time covered by a prediction.")] = "100ms",
    hop: Annotated[
        str | None, typer.Option(help="With --follow: time between windows; the window when left out.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="With --follow: its format, or the order of its columns (txyp).")
    ] = None,
    sensor: Annotated[str | None, typer.Option(help="With --follow: HEIGHTxWIDTH of the sensor.")] = None,
    idle: Annotated[str | None, typer.Option(help="With --follow: stop when a file has not grown for so long.")] = None,
) -> None:
    """Run a recording through a network event by event: prediction, per-layer table, every operation counted."""
    from evsim.arithmetic.precision import check_precision
    from evsim.cli.progress import Progress
    from evsim.cli.run_text import print_json, print_report
    from evsim.loading.zoo import default_recording, find_weights
    from evsim.runs.run import Preparation
    from evsim.runs.run import run as run_recording
    from evsim.traces.trace import write_trace

    if order not in ("step", "stage"):
        raise EvsimError(f"--order {order}: expected step or stage")
    if precision is not None:
        check_precision(precision)
    n_threads = parse_threads(threads)
    if follow is not None:
        if input is not None or trace is not None or index is not None or n_threads != 1:
            raise EvsimError("--follow reads a stream: --input, --index, --trace and --threads do not go with it")
        told = (follow, window, hop, layout, sensor, idle)
        _follow((find_weights(weights), precision), told, Preparation(split_by, fit), json)
        return
    weights = find_weights(weights)
    path = input if input is not None else default_recording(weights)
    preparation = Preparation(split_by, fit, index, crop_pct)
    how = {"order": order, "threads": n_threads, "precision": precision}
    report, recorded = run_recording(weights, path, preparation, watch=Progress, keeps_spikes=trace is not None, **how)
    if recorded is not None:
        write_trace(trace, recorded)
    if json:
        print_json(report)
    else:
        print_report(report, trace)


def _follow(weights: tuple[str, str | None], told: tuple, preparation, json: bool) -> None:
    from evsim.cli.follow_text import print_predictions
    from evsim.evaluation.follow import Stream, parse_microseconds, parse_sensor
    from evsim.loading.importing import load_network

    path, window, hop, layout, sensor, idle = told
    stream = Stream(
        path,
        parse_microseconds(window, "window"),
        parse_microseconds(hop, "hop") if hop else None,
        layout,
        parse_sensor(sensor),
        parse_microseconds(idle, "idle") / 1e6 if idle else None,
    )
    print_predictions(*load_network(*weights), stream, preparation, json)
