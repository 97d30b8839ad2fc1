"""Run: a finished run as a notebook wants it: prediction, logits, counts, spikes, pictures."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property

import numpy as np

from evsim.api.counts import Counts
from evsim.api.html import facts
from evsim.api.layer_spikes import SpikesByLayer
from evsim.api.run_plots import RunPlots
from evsim.auditing.layers import AuditedRun, describe, log_for
from evsim.engine.network import INPUT, Network
from evsim.errors import EvsimError
from evsim.runs.run import Finished
from evsim.runs.run_report import RunReport
from evsim.traces.trace import Trace, write_trace

__all__ = ["Run"]


class Run:
    """What `TrainedNetwork.run` returns.

    Parameters
    ----------
    network : Network
        The handlers that ran.
    finished : Finished
    keeps_spikes : bool

    Attributes
    ----------
    report : RunReport
        Everything ``evsim run --json`` says, as plain values.
    """

    def __init__(self, network: Network, finished: Finished, keeps_spikes: bool) -> None:
        self.network, self.report = network, finished.report
        self._finished, self._keeps_spikes = finished, keeps_spikes

    report: RunReport

    @property
    def prediction(self) -> int:
        """Index of the largest logit."""
        return self.report.prediction

    @property
    def label(self) -> str | None:
        """Name of the predicted class, where the weights file knows names."""
        return self.report.label

    @property
    def true_class(self) -> int | None:
        """The class that the recording carries."""
        return self.report.true_class

    @property
    def logits(self) -> np.ndarray:
        """float32 [n_classes]."""
        return self._finished.result.logits

    @property
    def logits_by_step(self) -> np.ndarray:
        """float32 [n_steps, n_classes]; `logits` is their mean."""
        return self._finished.result.logits_by_step

    @property
    def n_steps(self) -> int:
        """Steps of the recording."""
        return self.report.n_steps

    @property
    def asynchronous(self) -> dict | None:
        """Of a run without layer barriers: its options, deliveries, barriers, decision and what was left undone."""
        return self.report.asynchronous

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the recording, or done to it."""
        return tuple(self.report.notes)

    @cached_property
    def counts(self) -> Counts:
        """Every operation, one row a layer; also by step and by head."""
        return Counts(self.report.layers, lambda: self.audited)

    @cached_property
    def spikes(self) -> SpikesByLayer:
        """`LayerSpikes` by the checkpoint's module names.

        Raises
        ------
        EvsimError
            The run was made with ``keep_spikes=False``.
        """
        self._need_spikes()
        return SpikesByLayer(self.network, self._finished.probe, self.n_steps)

    @cached_property
    def trace(self) -> Trace:
        """The spikes of the input and of every population, as `write_trace` keeps them."""
        self._need_spikes()
        return self._finished.trace(self.network)

    @cached_property
    def audited(self) -> AuditedRun:
        """The run as counting conventions see it."""
        self._need_spikes()
        if self.report.asynchronous is not None:
            raise EvsimError(
                "conventions count a synchronous run, and this one has no layer barriers: counts.to_dict()"
            )
        log = log_for(self.network)
        for name in (INPUT, *(handler.name for handler in self.network.handlers)):
            for step in range(self.n_steps):
                log.show(name, step, self._finished.probe.spikes(name, step))
        described = describe(self.network, log, self._finished.result.ledger, self.n_steps)
        return replace(described, provenance={"weights": self.report.weights, "input": self.report.input})

    @cached_property
    def plot(self) -> RunPlots:
        """Pictures: ``run.plot.raster(ax=ax)``, ``run.plot.operations()``, ..."""
        return RunPlots(lambda: self.trace, self.counts)

    def write_trace(self, path: str | os.PathLike) -> None:
        """Write the spikes of every population and the ledger to an HDF5 file (docs/trace.md)."""
        write_trace(path, self.trace)

    def to_dict(self) -> dict:
        """The JSON object of ``evsim run --json`` (docs/run-json.md)."""
        return self.report.as_dict()

    def __repr__(self) -> str:
        total = self.counts.total
        name = f" ({self.label})" if self.label is not None else ""
        files = f"{self.report.input['file']} through {self.report.weights['file']}"
        counted = f"{total.acs:,} acs, {total.macs:,} macs in {self.n_steps} steps"
        return f"<run of {files}: class {self.prediction}{name}; {counted}>"

    def _repr_html_(self) -> str:
        name = f" ({self.label})" if self.label is not None else ""
        told = [
            ("network", f"{self.report.title}, {self.report.weights['file']}"),
            ("input", f"{self.report.input['file']}: {self.report.input['layout']}"),
            *(("note", note) for note in self.notes),
            ("prediction", f"class {self.prediction}{name}"),
            ("logits", "  ".join(f"{value:.4f}" for value in self.logits)),
            ("time", f"{self.report.wall_seconds:.4f} s for {self.n_steps} steps"),
        ]
        return facts(told) + self.counts._repr_html_()

    def _need_spikes(self) -> None:
        if not self._keeps_spikes:
            raise EvsimError("this run kept no spikes: run again with keep_spikes=True")
