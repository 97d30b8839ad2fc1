"""The story of a run that is known from its trace alone."""

from __future__ import annotations

from evsim import networks
from evsim.auditing.replay import describe_trace, shape_of_network
from evsim.errors import TraceError
from evsim.reports.story import Story, tell
from evsim.runs.run_report import RunReport, layer_rows
from evsim.traces.trace import ASYNCHRONOUS_NOTE, Trace

__all__ = ["tell_trace"]


def tell_trace(trace: Trace, command: str) -> Story:
    """What the trace and its ledger hold; times and memory are not among it.

    Raises
    ------
    TraceError
        The trace does not say of which network it is, or does not fit it.
    """
    audited = describe_trace(trace)
    known = trace.provenance
    if not trace.logits.size:
        raise TraceError("the trace has no logits: the network has no classifier, and there is no prediction to tell")
    report = RunReport(
        network=known["network"],
        title=networks.family(known["network"]).TITLE,
        hyper_parameters=known["hyper_parameters"],
        weights=known["weights"],
        input=known["input"],
        notes=[*known.get("notes", []), *([ASYNCHRONOUS_NOTE] if trace.is_asynchronous else [])],
        precision=known.get("precision", ""),
        n_steps=trace.n_steps,
        prediction=int(trace.logits.argmax()),
        label=None,
        true_class=None,
        logits=[float(value) for value in trace.logits],
        layers=layer_rows(shape_of_network(trace), trace),
        wall_seconds=None,
        compile_seconds=None,
        peak_memory_bytes=None,
        version=known.get("version", ""),
    )
    return tell(report, trace, audited, None, command)
