"""One array as the bytes of a `.npy` member: the plain subset of NumPy's format, its header read by a pattern.

NumPy's own reader evaluates the header as a Python literal and allocates the shape it claims before it looks for the
data; here the shape must fit the bytes that are there.
"""

from __future__ import annotations

import io
import re
from math import prod

import numpy as np

from evsim.checkpoints.refusal import Refused

__all__ = ["decode_array", "encode_array"]

_MAGIC = b"\x93NUMPY\x01\x00"
_SIZES = rb"((?:\d{1,12}(?:, \d{1,12}){0,31},?)?)"
_HEADER = re.compile(
    rb"\{'descr': '([<>|][bfiu][1248])', 'fortran_order': (True|False), 'shape': \(" + _SIZES + rb"\), \} *\n"
)
_LARGEST_SIZE = 2**40


def encode_array(array: np.ndarray) -> bytes:
    """The bytes of an array of numbers, the same on every machine: contiguous and little-endian.

    Raises
    ------
    Refused
        When it holds anything else than booleans, integers or floats of at most eight bytes.
    """
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise Refused(f"an array of type {array.dtype} cannot be stored")
    out = io.BytesIO()
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(out, plain, version=(1, 0), allow_pickle=False)
    return out.getvalue()


def decode_array(data: bytes) -> np.ndarray:
    """The array that `encode_array` (or NumPy) wrote; writable, contiguous, in native byte order.

    Raises
    ------
    Refused
        When the header is not that of a plain array of numbers, or claims another size than there is.
    """
    if not data.startswith(_MAGIC) or len(data) < 10:
        raise Refused("it is not in NumPy's format, version 1.0")
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10:start])
    if header is None:
        raise Refused("its NumPy header is not that of an array of numbers")
    descr, fortran, sizes = header.groups()
    return _shape_array(data[start:], _read_dtype(descr), [int(size) for size in re.findall(rb"\d+", sizes)], fortran)


def _read_dtype(descr: bytes) -> np.dtype:
    try:
        return np.dtype(descr.decode())
    except TypeError:  # such as one-byte floats
        raise Refused(f"its type {descr.decode()} is unknown") from None


def _shape_array(data: bytes, dtype: np.dtype, shape: list[int], fortran: bytes) -> np.ndarray:
    if prod(shape) * dtype.itemsize != len(data) or prod(max(size, 1) for size in shape) > _LARGEST_SIZE:
        raise Refused(f"it holds {len(data)} bytes, which do not make {dtype} of the shape {tuple(shape)}")
    # A byte other than 0 and 1 is no valid numpy.bool_.
    flat = np.frombuffer(data, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(data, dtype)
    array = flat.reshape(shape, order="F" if fortran == b"True" else "C")
    return np.array(array, dtype=dtype.newbyteorder("="), order="C")
