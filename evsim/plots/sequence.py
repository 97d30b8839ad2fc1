"""The sequence of spikes in place of time: a run without layer barriers as it unfolded within its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evsim.errors import TraceError
from evsim.traces.trace import Trace

__all__ = ["COLUMNS", "Sequenced", "in_sequence"]

COLUMNS = 240
"""Columns of a picture, at most: in a paper column each has two pixels at 200 dots an inch."""


@dataclass(frozen=True, eq=False)
class Sequenced:
    """A trace whose steps are columns of as many spikes each.

    Parameters
    ----------
    trace : Trace
        Its `step` is a column.
    spikes_a_column : int
    first_column : float [n_steps]
        Where each step of the run begins.
    """

    trace: Trace
    spikes_a_column: int
    first_column: np.ndarray

    def mark_steps(self, ax) -> None:
        """A tick and a thin line where each step begins."""
        for column in self.first_column[1:]:
            ax.axvline(column - 0.5, color="0.6", linewidth=0.4, zorder=0)
        every = max(1, -(-self.first_column.size // 8))
        ax.set_xticks(self.first_column[::every] - 0.5, range(0, self.first_column.size, every))


def in_sequence(trace: Trace, columns: int = COLUMNS) -> Sequenced:
    """The same spikes by their place in the sequence of all: step after step, within a step in the order of the run.

    Raises
    ------
    TraceError
        The trace has no order: it is of a synchronous run.
    """
    if not any(layer.order is not None for layer in trace.layers.values()):
        raise TraceError("the trace has no order of spikes; evsim run --mode asynchronous --trace FILE makes one")
    last = np.full(trace.n_steps, -1)
    for layer in trace.layers.values():
        if layer.order is not None:
            np.maximum.at(last, layer.step, layer.order)
    first = np.concatenate([[0], np.cumsum(last + 1)])
    a_column = max(1, -(-int(first[-1]) // columns))
    layers = {}
    for name, layer in trace.layers.items():
        place = first[layer.step] + (0 if layer.order is None else layer.order)
        layers[name] = replace(layer, step=(place // a_column).astype(np.int32))
    n_columns = max(1, -(-int(first[-1]) // a_column))
    return Sequenced(replace(trace, layers=layers, n_steps=n_columns), a_column, first[:-1] / a_column)
