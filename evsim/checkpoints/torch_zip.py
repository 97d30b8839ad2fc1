"""The zip format that `torch.save` has written since PyTorch 1.6."""

from __future__ import annotations

import io
from typing import BinaryIO

from evsim.checkpoints.bounded_zip import BoundedZip
from evsim.checkpoints.refusal import Refused, shown
from evsim.checkpoints.restricted_pickle import unpickle
from evsim.checkpoints.stored_tensor import StorageRef

__all__ = ["TorchZip"]

_LARGEST_PICKLE = 64 * 2**20


class TorchZip:
    """What a zip checkpoint holds: its pickled object at once, the bytes of its storages when asked for.

    Parameters
    ----------
    file : binary file
        Stays open for as long as storages are read.
    size : int
        Of the file, in bytes.

    Attributes
    ----------
    payload : object
        What was saved, with a `StoredTensor` for each tensor.
    foreign : dict
        The names that its pickle mentions and that mean nothing here, in their order.
    big_endian : bool
        The byte order of the storages.

    Raises
    ------
    Refused
        When the archive is damaged or hostile, or is not one that torch.save wrote.
    """

    described = "torch zip file"

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._zip = BoundedZip(file, size)
        self._root = _find_root(self._zip.names())
        self.big_endian = self._read_byte_order()
        data = self._zip.read(f"{self._root}/data.pkl", _LARGEST_PICKLE)
        self.foreign: dict[str, None] = {}
        self.payload = unpickle(io.BytesIO(data), len(data), foreign=self.foreign)

    def fetch(self, storage: StorageRef) -> bytes:
        """The bytes of a storage, exactly as many as the pickle says.

        Raises
        ------
        Refused
            When the member is missing, damaged or of another size.
        """
        name = f"{self._root}/data/{storage.key}"
        if self._zip.size(name) != storage.nbytes:
            raise Refused(
                f"its storage {shown(storage.key)} should hold {storage.numel} {storage.dtype} numbers,"
                f" {storage.nbytes} bytes, and holds {self._zip.size(name)}"
            )
        return self._zip.read(name)

    def _read_byte_order(self) -> bool:
        name = f"{self._root}/byteorder"
        # Files older than PyTorch 2.1 do not say: nobody trained on a big-endian machine.
        order = self._zip.read(name, at_most=16) if name in self._zip.names() else b"little"
        if order not in (b"little", b"big"):
            raise Refused(f"its byte order is {shown(order)}")
        return order == b"big"


def _find_root(names: list[str]) -> str:
    """The one directory that torch puts everything into; its name is that of the file first saved."""
    roots = [name.removesuffix("/data.pkl") for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) == 1:
        if f"{roots[0]}/constants.pkl" in names:
            raise Refused("a TorchScript program, not a checkpoint: save its state_dict instead")
        return roots[0]
    if names and all(name.endswith((".npy", "evsim_header.json")) for name in names):
        raise Refused("a NumPy .npz file, not a PyTorch checkpoint")
    raise Refused("a zip archive without the data.pkl of a PyTorch checkpoint")
