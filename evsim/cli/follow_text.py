"""Predictions of a stream, a line a window, as they come."""

from __future__ import annotations

import json as json_module

import typer

from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.evaluation.follow import Follower, Stream, WindowPrediction
from evsim.plain_text import plain
from evsim.runs.preparation import Preparation

__all__ = ["print_predictions"]


def print_predictions(network: Network, weights: Weights, stream: Stream, preparation: Preparation, json: bool) -> None:
    """Follow until the source ends; text, or one JSON object a line."""
    follower = Follower(network, weights, stream, preparation)
    try:
        for prediction in follower:
            text = json_module.dumps(prediction.as_dict()) if json else plain(_line(prediction))
            typer.echo(text)
    except KeyboardInterrupt:  # the usual end of a stream that never ends
        typer.echo(_summary(follower), err=True)
        raise
    typer.echo(_summary(follower), err=True)


def _line(found: WindowPrediction) -> str:
    name = f" ({found.label})" if found.label is not None else ""
    span = f"{found.t_begin / 1e6:.3f} ... {found.t_end / 1e6:.3f} s"
    cut = "" if found.is_complete else ", cut short by the end"
    return (
        f"{span}  {found.n_events:,} events  class {found.prediction}{name}  "
        f"latency {found.latency_ms:.1f} ms (computing {found.compute_ms:.1f} ms){cut}"
    )


def _summary(follower: Follower) -> str:
    windows = follower.windows
    strays = f"{windows.n_strays:,} stray events far in the future dropped, " if windows.n_strays else ""
    held_back = follower.reader.seconds_held_back
    return (
        f"evsim: {windows.n_silent:,} silent windows skipped, {windows.n_late:,} late events dropped, "
        f"{strays}the source was held back for {held_back:.1f} s"
    )
