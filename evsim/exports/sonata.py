"""SONATA spikes: /spikes/<layer>/timestamps and node_ids, as libsonata and its relatives read them."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

import numpy as np

from evsim.traces.trace import Layer, Trace

__all__ = ["LOSES", "write"]

LOSES = "SONATA spikes carry no payload: graded events are written once each"
_MAGIC = np.uint32(0x0A7A)
_SORTING = {"none": 0, "by_id": 1, "by_time": 2}


def write(trace: Trace, file: BinaryIO) -> None:
    """A population a layer, sorted by time; a step is a millisecond, a node id the flat address."""
    import h5py

    whole = BytesIO()  # see `output_hdf5`
    with h5py.File(whole, "w") as stored:
        stored.attrs["magic"] = _MAGIC
        stored.attrs["version"] = np.array([0, 1], np.uint32)
        for name, layer in trace.layers.items():
            _write_population(stored.create_group(f"spikes/{name}"), layer)
    file.write(whole.getbuffer())


def _write_population(group, layer: Layer) -> None:
    import h5py

    order = np.lexsort((layer.address, layer.step))
    kind = h5py.enum_dtype(_SORTING, basetype=np.uint8)
    group.attrs.create("sorting", _SORTING["by_time"], dtype=kind)
    group["timestamps"] = layer.step[order].astype(np.float64)
    group["timestamps"].attrs["units"] = "ms"
    group["node_ids"] = layer.address[order].astype(np.uint64)
