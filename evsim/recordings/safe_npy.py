"""Reading NumPy arrays of unknown origin: no pickles, and never more than the bytes that are there."""

from __future__ import annotations

from tokenize import TokenError
from typing import BinaryIO

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.discover import one_line

__all__ = ["MAGIC", "MAX_BYTES", "npy_header", "read_npy"]

MAGIC = b"\x93NUMPY"
MAX_BYTES = 2**32
HEADER_ERRORS = (ValueError, EOFError, RecursionError, MemoryError, SyntaxError, TokenError)


def read_npy(path, stream: BinaryIO, n_bytes: int, name: str = "") -> np.ndarray:
    """One array in .npy form from a stream of `n_bytes`.

    Raises
    ------
    RecordingError
        When the header is damaged, holds Python objects, or claims more than the stream has.
    """
    where = f"{path}: {name!r}" if name else f"{path}"
    try:
        shape, fortran, dtype = _header(stream)
    except HEADER_ERRORS as error:
        raise RecordingError(f"{where}: damaged NumPy header ({one_line(error)})") from error
    if dtype.hasobject:
        raise RecordingError(f"{where}: holds Python objects, which evsim never unpickles")
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if claimed > n_bytes or min(shape, default=0) < 0:
        raise RecordingError(f"{where}: truncated: shape {shape} needs {claimed} bytes, the file has {n_bytes}")
    data = stream.read(claimed)
    if len(data) != claimed:
        raise RecordingError(f"{where}: truncated: {len(data)} bytes of {claimed}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def npy_header(path, stream: BinaryIO, name: str = "") -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array that begins here."""
    where = f"{path}: {name!r}" if name else f"{path}"
    try:
        shape, _, dtype = _header(stream)
    except HEADER_ERRORS as error:
        raise RecordingError(f"{where}: damaged NumPy header ({one_line(error)})") from error
    return shape, dtype


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version[0]}.{version[1]} of the .npy format; expected 1.0 or 2.0")
