"""Neo: one SpikeTrain a layer in a NIX file; the neuron of each spike is an array annotation.

A train for each of a million neurons would open in no tool; a train a layer does, and splits by its `address`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from unittest.mock import patch

from evsim.traces.trace import Layer, Trace

__all__ = ["LOSES", "write"]

LOSES = ""
_GROWTH = 2**20


def write(trace: Trace, file: BinaryIO) -> None:
    """A Block with one Segment; a step is a millisecond."""
    import neo
    import nixio

    block = neo.Block(name="evsim trace", n_steps=trace.n_steps, provenance=json.dumps(trace.provenance))
    segment = neo.Segment(name="run")
    segment.spiketrains = [_train(neo, name, layer, trace.n_steps) for name, layer in trace.layers.items()]
    block.segments.append(segment)
    with _in_memory(nixio), neo.NixIO("memory", mode="ow") as written:
        written.write_block(block)
        stored = written.nix_file._h5file
        stored.flush()
        file.write(stored.id.get_file_image())


@contextmanager
def _in_memory(nixio) -> Iterator[None]:
    """NIX opens files by their names alone; HDF5 must not be on a disk that may be full (see `output_hdf5`)."""
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(_GROWTH, False)
    with patch.object(nixio.file, "make_fapl", lambda: access):
        yield


def _train(neo, name: str, layer: Layer, n_steps: int):
    values = {"address": layer.address}
    if layer.payload is not None:
        values["payload"] = layer.payload
    return neo.SpikeTrain(
        layer.step.astype(float), units="ms", t_stop=float(n_steps), name=name, array_annotations=values,
        shape=json.dumps(layer.shape), axes=layer.axes,
    )  # fmt: skip
