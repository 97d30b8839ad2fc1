"""Bit-packed spikes for hardware models: one bit a neuron and step, in a plain .npz file (see docs/trace.md)."""

from __future__ import annotations

import json
import math
from typing import BinaryIO

import numpy as np

from evsim.errors import TraceError
from evsim.traces.trace import Layer, Trace

__all__ = ["LOSES", "write"]

LOSES = ""
_MOST_BYTES = 1 << 32


def write(trace: Trace, file: BinaryIO) -> None:
    """``<layer>.bits`` uint8 [n_steps, ceil(n / 8)], lowest bit first; ``<layer>.payload`` in order of the set bits."""
    entries: dict[str, np.ndarray] = {}
    header = {"format": "evsim-packed", "format_version": 1, "n_steps": trace.n_steps, "layers": {}}
    for name, layer in trace.layers.items():
        header["layers"][name] = {"shape": list(layer.shape), "axes": layer.axes}
        order = np.lexsort((layer.address, layer.step))
        entries[f"{name}.bits"] = _bits(name, layer, trace.n_steps)
        if layer.payload is not None:
            entries[f"{name}.payload"] = layer.payload[order]
    np.savez_compressed(file, header=np.array(json.dumps(header)), **entries)


def _bits(name: str, layer: Layer, n_steps: int) -> np.ndarray:
    width = -(-math.prod(layer.shape) // 8)
    if width * n_steps > _MOST_BYTES:
        raise TraceError(f"{name}: {width * n_steps:,} bytes of packed bits; at most {_MOST_BYTES:,} are written")
    bits = np.zeros((n_steps, width), np.uint8)
    np.bitwise_or.at(bits, (layer.step, layer.address >> 3), (1 << (layer.address & 7)).astype(np.uint8))
    return bits
