"""Plain CSV: one line an event."""

from __future__ import annotations

import csv
import io
from itertools import repeat
from typing import BinaryIO

import numpy as np

from evsim.plain_text import plain_cell
from evsim.traces.trace import Layer, Trace

__all__ = ["LOSES", "write"]

LOSES = ""
_CHUNK = 100_000


def write(trace: Trace, file: BinaryIO) -> None:
    """``layer,step,address,<axes>,payload``; an axis that a layer does not have is left empty, so is payload 1."""
    axes = list(dict.fromkeys(axis for layer in trace.layers.values() for axis in layer.axes.split(",")))
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    rows = csv.writer(text)
    rows.writerow(["layer", "step", "address", *map(plain_cell, axes), "payload"])
    for name, layer in trace.layers.items():
        for begin in range(0, layer.step.size, _CHUNK):
            columns = _columns(layer, slice(begin, begin + _CHUNK), axes)
            rows.writerows(zip(repeat(plain_cell(name, keeps_lines=True)), *columns, strict=False))
    text.detach()


def _columns(layer: Layer, part: slice, axes: list[str]) -> list:
    step, address = layer.step[part], layer.address[part]
    places = dict(zip(layer.axes.split(","), np.unravel_index(address, layer.shape), strict=True))
    payload = repeat("") if layer.payload is None else layer.payload[part].tolist()
    coordinates = [places[axis].tolist() if axis in places else repeat("") for axis in axes]
    return [step.tolist(), address.tolist(), *coordinates, payload]
