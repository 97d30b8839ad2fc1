"""RunReport: what `evsim run` says, as plain values; the table and the JSON object are two views of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

from evsim.engine.ledger import FORMER_NAMES_NOTE, Ledger, OpCounts, with_former_names
from evsim.engine.network import Network
from evsim.handlers.neurons import Population

__all__ = ["LayerRow", "RunReport", "layer_rows"]

SCHEMA = "evsim-run/2"


class Counted(Protocol):
    """A finished run: a `Result`, or the `Trace` of one."""

    ledger: Ledger
    n_steps: int


@dataclass(frozen=True)
class LayerRow:
    """One handler over a whole run.

    Parameters
    ----------
    name, kind : str
        The checkpoint's module name; the handler's type.
    neurons : int or None
        Of a population.
    firing_rate : float or None
        Of a population: spikes per neuron and step, over all steps.
    operand_density : float or None
        Of any other handler: nonzero entries of the operand really read, per entry and step, over all steps.
    counts : OpCounts
    """

    name: str
    kind: str
    neurons: int | None
    firing_rate: float | None
    operand_density: float | None
    counts: OpCounts


@dataclass(frozen=True)
class RunReport:
    """A run in numbers.

    Parameters
    ----------
    network, title : str
        Family and its full title.
    hyper_parameters : dict
    weights, input : dict
        File name, SHA-256 and what was found in it.
    notes : list of str
        What was assumed or done to the input.
    precision : str
        float32, or int16 or int8 in fixed point.
    n_steps : int
    prediction : int
    label : str or None
        Name of the predicted class.
    true_class : int or None
        As the recording carries it.
    logits : list of float
    layers : list of LayerRow
    wall_seconds, compile_seconds : float or None
        The run without, and the time spent on, compiling kernels or loading them from the cache; None for a run that
        is known from its trace.
    peak_memory_bytes : int or None
        Of the process, as the operating system accounts it.
    version : str
    asynchronous : dict or None
        Of a run without layer barriers: its options, and what `AsynchronousResult.as_dict` says of it.
    """

    network: str
    title: str
    hyper_parameters: dict
    weights: dict
    input: dict
    notes: list[str]
    precision: str
    n_steps: int
    prediction: int
    label: str | None
    true_class: int | None
    logits: list[float]
    layers: list[LayerRow]
    wall_seconds: float | None
    compile_seconds: float | None
    peak_memory_bytes: int | None
    version: str
    asynchronous: dict | None = None

    @property
    def mode(self) -> str:
        """synchronous or asynchronous."""
        return "synchronous" if self.asynchronous is None else "asynchronous"

    @property
    def totals(self) -> OpCounts:
        """The sum over all handlers."""
        return sum((row.counts for row in self.layers), start=OpCounts())

    def as_dict(self) -> dict:
        """The JSON object of ``evsim run --json``; its schema is in docs/run-json.md."""
        layers = [asdict(row) | {"counts": with_former_names(row.counts.as_dict())} for row in self.layers]
        told = {"schema": SCHEMA, "former_names": FORMER_NAMES_NOTE, **asdict(self), "mode": self.mode}
        return {**told, "layers": layers, "totals": with_former_names(self.totals.as_dict())}


def layer_rows(network: Network, result: Counted) -> list[LayerRow]:
    """One row a handler, in run order; a handler that was never called has a row of zeros."""
    totals = result.ledger.by_handler()
    return [_row(handler, totals.get(handler.name, OpCounts()), result.n_steps) for handler in network.handlers]


def _row(handler, counts: OpCounts, n_steps: int) -> LayerRow:
    neurons = rate = density = None
    if isinstance(handler, Population):
        neurons = handler.n_neurons
        rate = counts.events_out / (neurons * n_steps)
    elif counts.events_in or not getattr(handler, "wakers", ()):
        density = counts.events_in / (handler.n_inputs * n_steps)
    return LayerRow(handler.name, type(handler).__name__, neurons, rate, density, counts)
