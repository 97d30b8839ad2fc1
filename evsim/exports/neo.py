"""Neo: one SpikeTrain a layer in a NIX file; the neuron of each spike is an array annotation.

A train for each of a million neurons would open in no tool; a train a layer does, and splits by its `address`.
"""

from __future__ import annotations

import json

from evsim.traces.trace import Layer, Trace

__all__ = ["LOSES", "write"]

LOSES = ""


def write(trace: Trace, path: str) -> None:
    """A Block with one Segment; a step is a millisecond."""
    import neo
    import nixio  # noqa: F401  Neo names it only once a file is opened, in words of its own

    block = neo.Block(name="evsim trace", n_steps=trace.n_steps, provenance=json.dumps(trace.provenance))
    segment = neo.Segment(name="run")
    segment.spiketrains = [_train(neo, name, layer, trace.n_steps) for name, layer in trace.layers.items()]
    block.segments.append(segment)
    with neo.NixIO(path, mode="ow") as file:
        file.write_block(block)


def _train(neo, name: str, layer: Layer, n_steps: int):
    values = {"address": layer.address}
    if layer.payload is not None:
        values["payload"] = layer.payload
    return neo.SpikeTrain(
        layer.step.astype(float), units="ms", t_stop=float(n_steps), name=name, array_annotations=values,
        shape=json.dumps(layer.shape), axes=layer.axes,
    )  # fmt: skip
