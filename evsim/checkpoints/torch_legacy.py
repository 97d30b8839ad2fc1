"""The format that `torch.save` wrote before PyTorch 1.6: five pickles in a row, then the raw storages."""

from __future__ import annotations

import struct
from typing import BinaryIO

from evsim.checkpoints.refusal import Refused, listed, shown
from evsim.checkpoints.restricted_pickle import unpickle
from evsim.checkpoints.stored_tensor import StorageRef

__all__ = ["TorchLegacy"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class TorchLegacy:
    """What an old checkpoint holds; the same attributes and `fetch` as `TorchZip`.

    Parameters
    ----------
    file : binary file
        Stays open for as long as storages are read.
    size : int
        Of the file, in bytes.

    Raises
    ------
    Refused
        When the file is damaged or hostile, or is another pickle than torch.save wrote.
    """

    described = "old torch file (not zip)"
    big_endian = False

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.foreign: dict[str, None] = {}
        if self._next_pickle() != _MAGIC:
            raise Refused("a pickle, but not one that torch.save wrote")
        if (protocol := self._next_pickle()) != _PROTOCOL:
            raise Refused(f"an old torch file of protocol {shown(protocol)}, not {_PROTOCOL}")
        _check_machine(self._next_pickle())
        storages: dict[str, StorageRef] = {}
        self.payload = self._next_pickle(storages)
        self._places = self._find_places(self._next_pickle(), storages)

    def fetch(self, storage: StorageRef) -> bytes:
        """The bytes of a storage, exactly as many as the pickle says."""
        self._file.seek(self._places[storage.key])
        return self._file.read(storage.nbytes)

    def _next_pickle(self, storages: dict[str, StorageRef] | None = None) -> object:
        return unpickle(self._file, self._size - self._file.tell(), storages, self.foreign)

    def _find_places(self, keys: object, storages: dict[str, StorageRef]) -> dict[str, int]:
        """Where each storage begins: they follow the list of their keys, each behind its number of elements."""
        if type(keys) is not list or not all(type(key) is str for key in keys):
            raise Refused("its list of storages is not a list of names")
        if len(keys) != len(storages) or set(keys) != set(storages):
            if self.foreign:  # a storage of unknown type has an unknown size, and all that follow an unknown place
                raise Refused(f"its pickle refers to {listed(self.foreign)}, so its storages cannot be told apart")
            raise Refused("its list of storages does not name the storages that its tensors use")
        places = {}
        place = self._file.tell()
        for key in keys:
            self._check_size(place, storages[key])
            places[key] = place + 8
            place += 8 + storages[key].nbytes
        return places

    def _check_size(self, place: int, storage: StorageRef) -> None:
        if place + 8 + storage.nbytes > self._size:
            raise Refused(f"truncated: it ends within or before its storage {shown(storage.key)}")
        self._file.seek(place)
        (numel,) = struct.unpack("<q", self._file.read(8))
        if numel != storage.numel:
            raise Refused(f"its storage {shown(storage.key)} holds {numel} numbers, and should hold {storage.numel}")


def _check_machine(machine: object) -> None:
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise Refused("an old torch file from a big-endian machine, which evsim does not read")
