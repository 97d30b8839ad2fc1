"""check_feed_forward: no neuron is fed by what it sent itself at an earlier step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.label_rules import Timing
from evsim.graph.rolling.run import NEURON, RecordedOp

__all__ = ["check_feed_forward"]


def check_feed_forward(ops: Sequence[RecordedOp], neurons: Mapping[str, Timing]) -> None:
    """Follow what single-step modules send through the whole run.

    Raises
    ------
    Unrolled
        One of them is fed, through whatever lies between, by an earlier call of itself.
    """
    paths = dict.fromkeys(op.path for op in ops if op.name == NEURON and neurons[op.path].steps == "one")
    bits = {path: 1 << i for i, path in enumerate(paths)}
    behind: dict[int, int] = {}  # of each value, the modules that it depends on, a bit each
    for op in ops:
        met = 0
        for value in op.operands:
            met |= behind.get(value, 0)
        own = bits.get(op.path, 0) if op.name == NEURON else 0
        if met & own:
            raise Unrolled(
                f"{op.path}: call {op.call} is fed by what it sent in an earlier call: a recurrent connection, or a "
                "module that stands in two places; evsim runs feed-forward networks, step by step"
            )
        if met | own:
            behind |= dict.fromkeys((value for value in op.outs if value is not None), met | own)
