"""StorageRef and StoredTensor: what a pickle says about a tensor, believed only after it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from evsim.checkpoints.refusal import Refused, shown

__all__ = ["STORAGE_TYPES", "UNREAD_TYPES", "StorageRef", "StoredTensor"]

# bfloat16 is read as uint16 and widened: NumPy has no such type, and the upper half of a float32 is exact.
STORAGE_TYPES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.ComplexFloatStorage": "complex64",
    "torch.ComplexDoubleStorage": "complex128",
    "torch.QInt8Storage": "qint8",
    "torch.QUInt8Storage": "quint8",
    "torch.QInt32Storage": "qint32",
    "torch.storage.UntypedStorage": "bytes",
}
_READ_AS = {
    "bfloat16": "uint16", "bool": "uint8", "qint8": "int8", "quint8": "uint8", "qint32": "int32", "bytes": "uint8",
}  # fmt: skip
UNREAD_TYPES = ("complex64", "complex128", "qint8", "quint8", "qint32", "bytes")
"""Of storages whose size is known and whose tensors are no weights of any network here."""
_MOST_DIMENSIONS = 32
_LARGEST_SIZE = 2**40


@dataclass(frozen=True, slots=True)
class StorageRef:
    """A storage of `numel` elements that the file keeps under `key`."""

    dtype: str
    key: str
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * _disk_dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A strided view of a storage that is still on disk.

    Parameters
    ----------
    storage : StorageRef
    offset : int
        Of its first element.
    shape, strides : tuple of int
        Both in elements, of equal length.

    Raises
    ------
    Refused
        When made with anything but non-negative integers, or reaching outside its storage.
    """

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        if type(self.storage) is not StorageRef:
            raise Refused("a tensor is built on something that is not a storage")
        if not _are_sizes((self.offset,)) or not _are_sizes(self.shape) or not _are_sizes(self.strides):
            raise Refused("the offset, shape or strides of a tensor are not non-negative integers of a sane size")
        if len(self.shape) != len(self.strides):
            raise Refused(f"a tensor has {len(self.shape)} sizes and {len(self.strides)} strides")
        if prod(max(size, 1) for size in self.shape) > _LARGEST_SIZE:
            raise Refused(f"a tensor claims the shape {shown(self.shape)}")
        if self.end() > self.storage.numel:
            raise Refused(
                f"a tensor of shape {shown(self.shape)} reaches to element {self.end()} of a storage"
                f" that holds {self.storage.numel}"
            )

    def end(self) -> int:
        """One past the last element of the storage that the view touches; an empty view touches none."""
        if 0 in self.shape:
            return 0
        return self.offset + 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))

    @property
    def nbytes(self) -> int:
        """What the array of `to_array` will take."""
        return prod(self.shape) * (4 if self.storage.dtype == "bfloat16" else _disk_dtype(self.storage.dtype).itemsize)

    def to_array(self, raw: bytes, big_endian: bool = False) -> np.ndarray:
        """Copy the view out of the bytes of its storage, so that views that share places end up apart.

        Parameters
        ----------
        raw : bytes
            The whole storage.
        big_endian : bool
            The byte order of `raw`.

        Returns
        -------
        numpy.ndarray
            Contiguous, in native byte order; bfloat16 widened to float32, other types as stored.
        """
        if len(raw) != self.storage.nbytes:
            raise Refused(f"storage {shown(self.storage.key)} holds {len(raw)} bytes, not {self.storage.nbytes}")
        dtype = _disk_dtype(self.storage.dtype).newbyteorder(">" if big_endian else "<")
        places = np.frombuffer(raw, dtype)[self.offset :] if raw else np.empty(0, dtype)
        strides = [stride * dtype.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(places, self.shape, strides, writeable=False)
        return _widen(view.astype(dtype.newbyteorder("="), order="C"), self.storage.dtype)


def _disk_dtype(name: str) -> np.dtype:
    return np.dtype(_READ_AS.get(name, name))


def _widen(array: np.ndarray, name: str) -> np.ndarray:
    if name == "bfloat16":
        return np.asarray(array.astype(np.uint32) << 16).view(np.float32)
    # A byte other than 0 and 1 is no valid numpy.bool_, so it is compared instead of reinterpreted.
    return np.asarray(array != 0) if name == "bool" else array


def _are_sizes(values: object) -> bool:
    return (
        type(values) is tuple
        and len(values) <= _MOST_DIMENSIONS
        and all(type(value) is int and 0 <= value <= _LARGEST_SIZE for value in values)
    )
