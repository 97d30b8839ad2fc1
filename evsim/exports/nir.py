"""NIR graph data: a node a layer, its spikes as EventData (ValuedEventData where events are graded)."""

from __future__ import annotations

import math
from io import BytesIO
from typing import BinaryIO

import numpy as np

from evsim.traces.trace import Layer, Trace

__all__ = ["LOSES", "write"]

LOSES = ""


def write(trace: Trace, file: BinaryIO) -> None:
    """Times are in steps (dt = 1), indices are flat addresses, and there is one sample."""
    import nir

    nodes = {
        name: nir.NIRNodeData({"spikes": _events(nir, layer, trace.n_steps)}) for name, layer in trace.layers.items()
    }
    whole = BytesIO()  # see `output_hdf5`
    nir.write_data(whole, nir.NIRGraphData(nodes))
    file.write(whole.getbuffer())


def _events(nir, layer: Layer, n_steps: int):
    idx, time = layer.address[None].astype(np.int64), layer.step[None].astype(np.float64)
    size, end = math.prod(layer.shape), float(n_steps)
    if layer.payload is None:
        return nir.EventData(idx=idx, time=time, n_neurons=size, t_max=end)
    value = layer.payload[None].astype(np.float64)
    return nir.ValuedEventData(idx=idx, time=time, n_neurons=size, t_max=end, value=value)
