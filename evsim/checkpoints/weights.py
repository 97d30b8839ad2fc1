"""evsim's own weights file: an uncompressed `.npz` with one array a tensor and one JSON header, and no pickle."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from evsim.checkpoints.array_member import decode_array, encode_array
from evsim.checkpoints.bounded_zip import BoundedZip
from evsim.checkpoints.header_check import FORMAT_VERSION, check_entries, check_header
from evsim.checkpoints.numbers import check_numbers
from evsim.checkpoints.refusal import Refused, naming, shown
from evsim.plain_text import plain_values

__all__ = ["Weights", "read_weights", "write_weights"]

HEADER = "evsim_header.json"
_SUFFIX = ".npy"
_LARGEST_HEADER = 2**20
_LONGEST_NAME = 1000
_EARLIEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of one network and what else is needed to build it.

    Parameters
    ----------
    tensors : dict of str to array
        Under the checkpoint's own names, in the type in which they are (to be) stored, all values finite.
    header : dict
        `family` (str), `hyper_parameters` (dict), `class_names` (list of str or None), `normalisation` (dict or
        None), `source` (dict: file, sha256, wrapper), `dropped` (list of the names of dead tensors left out), and
        any further key that JSON can hold, of which `precision` (float32, int16 or int8) says how to run by default,
        and `assumed` (dict of str to str) which hyper-parameters nobody told, and why they are as they are.
        `format_version` is 1; the writer sets it, and fills in what is missing of the others except the first two.
    """

    tensors: dict[str, np.ndarray]
    header: dict[str, object]


_DEFAULTS = {
    "format_version": FORMAT_VERSION,
    "class_names": None,
    "normalisation": None,
    "source": {},
    "dropped": [],
}


def write_weights(path: str | os.PathLike[str], weights: Weights) -> None:
    """Write a weights file whole or not at all; equal weights make equal bytes.

    Raises
    ------
    CheckpointError
        When the header or a tensor is not as `Weights` says, or the file cannot be written.
    """
    with naming(path):
        header = _DEFAULTS | plain_values(weights.header)
        check_entries(header)
        members = {HEADER: _encode_header(header)}
        members |= {_member_name(name): encode_array(np.asarray(array)) for name, array in weights.tensors.items()}
        check_numbers(weights.tensors)
        _write_whole(Path(path), members)


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a weights file; tensors come in the type in which they are stored.

    Raises
    ------
    CheckpointError
        In one line that begins with the file's name, when it is damaged, hostile, of another version, or holds
        anything that `Weights` would not.
    """
    with naming(path):
        if not Path(path).exists():
            raise Refused("no such file")
        if not Path(path).is_file():
            raise Refused("not a file")
        with open(path, "rb") as file:
            return _read(file)


def _read(file: BinaryIO) -> Weights:
    if file.read(4) != b"PK\x03\x04":
        raise Refused("not a weights file of evsim (an .npz file)")
    archive = BoundedZip(file, os.fstat(file.fileno()).st_size)
    if HEADER not in archive.names():
        raise Refused(f"has no member {HEADER}, so it is not a weights file of evsim")
    header = _decode_header(archive.read(HEADER, at_most=_LARGEST_HEADER))
    check_header(header)
    names = [name for name in archive.names() if name != HEADER]
    tensors = {_tensor_name(name): _decode_member(name, archive.read(name)) for name in names}
    check_numbers(tensors)
    return Weights(tensors, header)


def _write_whole(path: Path, members: Mapping[str, bytes]) -> None:
    # Beside the target, because a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as archive:
            for name, data in members.items():
                archive.writestr(_member(name), data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _member(name: str) -> zipfile.ZipInfo:
    """A member whose bytes depend on nothing but its name: no clock, no operating system."""
    info = zipfile.ZipInfo(name, _EARLIEST)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def _member_name(name: str) -> str:
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise Refused(f"a tensor cannot be stored under the name {shown(name)}")
    return name + _SUFFIX


def _tensor_name(member: str) -> str:
    if not member.endswith(_SUFFIX) or member == _SUFFIX or not member.isprintable():
        raise Refused(f"its member {shown(member)} is neither an array nor the header")
    return member.removesuffix(_SUFFIX)


def _decode_member(name: str, data: bytes) -> np.ndarray:
    try:
        return decode_array(data)
    except Refused as refusal:
        raise Refused(f"its member {shown(name)} cannot be read: {refusal}") from None


def _encode_header(header: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"the header cannot be written as JSON: {shown(str(error))}") from None
    if len(text) > _LARGEST_HEADER:
        raise Refused(f"the header takes {len(text)} bytes, more than {_LARGEST_HEADER}")
    return text.encode()


def _decode_header(data: bytes) -> dict[str, object]:
    try:
        header = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Refused("its header is not JSON") from None
    if type(header) is not dict:
        raise Refused("its header is not a JSON object")
    return plain_values(header)  # what a terminal, a page or a table gets to see of it harms none of them


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
