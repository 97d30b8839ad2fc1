"""safetensors files, through the safetensors library's own parser."""

from __future__ import annotations

from operator import itemgetter
from typing import BinaryIO

import numpy as np
import safetensors

from evsim.checkpoints.mark import Mark
from evsim.checkpoints.refusal import Refused, shown

__all__ = ["SafetensorsFile"]

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


class SafetensorsFile:
    """What a safetensors file holds: a state dict whose arrays are already read.

    Parameters
    ----------
    file : binary file
    size : int
        Of the file, in bytes.

    Attributes
    ----------
    payload : dict of str to array
        bfloat16 widened to float32, other types as stored; in the order of their names. A `Mark` for each tensor of
        a type that NumPy has not (float8).

    Raises
    ------
    Refused
        When the file is damaged.
    """

    described = "safetensors file"
    foreign = ()

    def __init__(self, file: BinaryIO, size: int) -> None:
        try:
            entries = safetensors.deserialize(file.read(size))
        except safetensors.SafetensorError as error:
            raise Refused(f"not a valid safetensors file: {shown(str(error))}") from None
        self.payload = {name: _to_array(entry) for name, entry in sorted(entries, key=itemgetter(0))}


def _to_array(entry: dict) -> np.ndarray | Mark:
    if entry["dtype"] not in _DTYPES:
        return Mark(f"a tensor of {entry['dtype']}", True)
    values = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        return np.asarray(values.astype(np.uint32) << 16).view(np.float32)
    return np.array(values, dtype=values.dtype.newbyteorder("="))
