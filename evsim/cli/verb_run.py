"""``evsim run``: one recording through one network."""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.asynchrony import takes_asynchrony
from evsim.cli.options import Order, Precision, Threads, WeightsPath, parse_threads
from evsim.cli.reading import READING, reads_recordings
from evsim.errors import EvsimError

__all__ = ["add_to"]

STREAM_ONLY = ("window", "hop", "idle")
RECORDING_ONLY = (
    "input",
    "trace",
    "order",
    "threads",
    *(set(READING) - {"split_by", "fit", "layout", "sensor", "unit", "drop_outside"}),
)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("run")(run)


@reads_recordings()
@takes_asynchrony
def run(
    context: typer.Context,
    preparation,
    how,
    weights: WeightsPath = "sdt-nmnist",
    input: Annotated[str | None, typer.Option("--input", "-i", help="Recording; a bundled one when left out.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    trace: Annotated[str | None, typer.Option(help="Write the spikes of every population to this HDF5 file.")] = None,
    order: Order = "stage",
    precision: Precision = None,
    threads: Threads = "1",
    follow: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Predict window by window while events arrive: a pipe, a file; - is stdin."),
    ] = None,
    window: Annotated[str, typer.Option(help="With --follow: time covered by a prediction.")] = "100ms",
    hop: Annotated[
        str | None, typer.Option(help="With --follow: time between windows; the window when left out.")
    ] = None,
    idle: Annotated[
        str | None, typer.Option(help="With --follow: wait for a file to grow, and stop when it has not for so long.")
    ] = None,
) -> None:
    """Run a recording through a network event by event: prediction, per-layer table, every operation counted."""
    import evsim
    from evsim.cli.effect import refuse
    from evsim.cli.progress import Progress
    from evsim.cli.protect import protect_inputs
    from evsim.cli.run_text import print_json, print_report

    _check_order(order)
    n_threads = parse_threads(threads)
    if follow is not None:
        refuse(context, RECORDING_ONLY, "means nothing to a stream, leave it out or leave out --follow")
        _follow((weights, precision), (follow, window, hop, idle), preparation, json)
        return
    refuse(context, STREAM_ONLY, "goes with --follow FILE")
    protect_inputs({"--trace": trace}, (weights,), [input] if input else None)
    net = evsim.load(weights, precision=precision)
    shown = {"order": order, "threads": n_threads, "watch": Progress, "asynchronous": how}
    found = net.run(input, preparation=preparation, keep_spikes=trace is not None, **shown)
    if trace is not None:
        found.write_trace(trace)
    if json:
        print_json(found.report)
    else:
        print_report(found.report, trace)


def _check_order(order: str) -> None:
    if order not in ("step", "stage"):
        raise EvsimError(f"--order {order}: expected step or stage")


def _follow(weights: tuple[str, str | None], told: tuple, preparation, json: bool) -> None:
    import evsim
    from evsim.cli.follow_text import print_predictions
    from evsim.evaluation.follow import Stream, parse_microseconds

    path, window, hop, idle = told
    stream = Stream(
        path,
        parse_microseconds(window, "window"),
        parse_microseconds(hop, "hop") if hop else None,
        preparation.reading.layout,
        preparation.reading.sensor,
        parse_microseconds(idle, "idle") / 1e6 if idle else None,
        preparation.reading.unit,
        preparation.reading.drop_outside,
    )
    net = evsim.load(weights[0], precision=weights[1])
    print_predictions(net.network, net.weights, stream, preparation, json)
