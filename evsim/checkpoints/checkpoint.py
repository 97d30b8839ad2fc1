"""Checkpoint: the tensors of one trained network, out of whichever file and wrapper they came in."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from evsim.checkpoints.file_format import find_format
from evsim.checkpoints.numbers import check_finite
from evsim.checkpoints.plain_values import plain_arguments
from evsim.checkpoints.refusal import Refused, listed, naming
from evsim.checkpoints.safetensors_file import SafetensorsFile
from evsim.checkpoints.stored_tensor import StoredTensor
from evsim.checkpoints.torch_legacy import TorchLegacy
from evsim.checkpoints.torch_zip import TorchZip
from evsim.checkpoints.wrapper import unwrap

__all__ = ["Checkpoint", "read_checkpoint"]

_Archive = TorchZip | TorchLegacy | SafetensorsFile
_READERS: dict[str, type[_Archive]] = {"zip": TorchZip, "legacy": TorchLegacy, "safetensors": SafetensorsFile}
_LARGEST_RATIO = 8
_ALWAYS_ALLOWED = 2**20


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was read of a checkpoint file.

    Parameters
    ----------
    tensors : dict of str to array
        The state dict, names without what tools put around them (`module.`, `_orig_mod.`), types as stored (bfloat16
        widened to float32), all values finite.
    args : dict
        The command line that the training script stored, plain values only; empty when there was none.
    wrapper : str
        In words, the format and the wrapper found.
    sha256 : str
        Of the file, in hexadecimal.
    path : str
        As given.
    notes : tuple of str
        What a person might want to know: what was stripped, ignored, or not used. One line each.
    """

    tensors: dict[str, np.ndarray]
    args: dict[str, object]
    wrapper: str
    sha256: str
    path: str
    notes: tuple[str, ...]


def read_checkpoint(
    path: str | os.PathLike[str], ema: bool = False, key: str | None = None, prefix: str | None = None
) -> Checkpoint:
    """Read a PyTorch checkpoint (zip or old format) or a safetensors file, recognised by its content.

    Parameters
    ----------
    path : path
    ema : bool
        Take the moving average of the weights instead of the weights.
    key : str, optional
        The keys that lead to the state dict, joined by dots, where the file holds several dicts of tensors.
    prefix : str, optional
        Take only the tensors whose names begin so.

    Raises
    ------
    CheckpointError
        In one line that begins with the file's name, when it cannot be read as a checkpoint, is hostile, has no
        moving average that was asked for, no tensors, or tensors that are not finite.
        Nothing that a file asks for is ever executed.
    """
    with naming(path):
        if not Path(path).exists():
            raise Refused("no such file")
        if not Path(path).is_file():
            raise Refused("not a file")
        with open(path, "rb") as file:
            return _read(file, os.fspath(path), ema, key, prefix)


def _read(file: BinaryIO, path: str, ema: bool, key: str | None, prefix: str | None) -> Checkpoint:
    size = os.fstat(file.fileno()).st_size
    archive = _READERS[find_format(file.read(512), size)](_rewound(file), size)
    found = unwrap(archive.payload, ema, key, prefix)
    arrays = _load(found.tensors, archive, max(_ALWAYS_ALLOWED, _LARGEST_RATIO * size))
    check_finite(arrays)
    args, ignored = plain_arguments(found.args)
    passed_over = f"passed over {listed(archive.foreign)}, which is no data; nothing was executed"
    foreign = (passed_over,) if archive.foreign else ()
    sha256 = hashlib.file_digest(_rewound(file), "sha256").hexdigest()
    return Checkpoint(
        arrays, args, f"{archive.described}: {found.wrapper}", sha256, path, found.notes + ignored + foreign
    )


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _load(tensors: dict[str, StoredTensor | np.ndarray], archive: _Archive, limit: int) -> dict[str, np.ndarray]:
    # Views may be larger than their storage (a stride of 0) or share it, so the sum is what has to be bounded.
    if (total := sum(tensor.nbytes for tensor in tensors.values())) > limit:
        raise Refused(f"its tensors would take {total} bytes, many times the size of the file")
    raw: dict[str, bytes] = {}
    return {name: _load_tensor(tensor, archive, raw) for name, tensor in tensors.items()}


def _load_tensor(tensor: StoredTensor | np.ndarray, archive: _Archive, raw: dict[str, bytes]) -> np.ndarray:
    if isinstance(tensor, np.ndarray):
        return tensor
    key = tensor.storage.key
    if key not in raw:
        raw[key] = archive.fetch(tensor.storage)
    return tensor.to_array(raw[key], archive.big_endian)
