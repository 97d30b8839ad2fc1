"""BoundedZip: a zip archive whose every member was weighed before it is read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from evsim.checkpoints.refusal import Refused, shown

__all__ = ["BoundedZip"]

_MOST_MEMBERS = 200_000
# Zeros deflate a thousandfold, weights hardly at all. Small files may hold zeros, large ones must hold weights.
_ALWAYS_ALLOWED = 64 * 2**20
_LARGEST_RATIO = 20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,  # and NotImplementedError
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BoundedZip:
    """Read the members of a zip archive, each at most once as large as it says, all of them together bounded.

    Parameters
    ----------
    file : binary file
        Stays open for as long as members are read; the caller closes it.
    size : int
        Of the file, in bytes.
    largest_ratio : int
        How many times the size of a large file its members may have together.

    Raises
    ------
    Refused
        When the archive is damaged, has two members of one name, an encrypted or exotically compressed one, or when
        its members together would be much larger than the file.
    """

    def __init__(self, file: BinaryIO, size: int, largest_ratio: int = _LARGEST_RATIO) -> None:
        with _zip_damage():
            self._zip = zipfile.ZipFile(file)
        self._members = {info.filename: info for info in self._zip.infolist()}
        self._check_names()
        for info in self._members.values():
            _check_member(info)
        total = sum(info.file_size for info in self._members.values())
        if total > max(_ALWAYS_ALLOWED, largest_ratio * size):
            raise Refused(f"its members would take {total} bytes, out of a file of {size}: a zip bomb")

    def _check_names(self) -> None:
        counts = Counter(info.filename for info in self._zip.infolist())
        if len(counts) > _MOST_MEMBERS:
            raise Refused(f"it has {len(counts)} members, more than {_MOST_MEMBERS}")
        for name, count in counts.items():
            if count > 1:
                raise Refused(f"it has {count} members named {shown(name)}")

    def names(self) -> list[str]:
        """The member names, in the order of the archive."""
        return list(self._members)

    def size(self, name: str) -> int:
        """The size of a member in bytes.

        Raises
        ------
        Refused
            When there is no such member.
        """
        if name not in self._members:
            raise Refused(f"its member {shown(name)} is missing")
        return self._members[name].file_size

    def read(self, name: str, at_most: int | None = None) -> bytes:
        """The bytes of a member.

        Raises
        ------
        Refused
            When it is missing, damaged, larger than `at_most`, or not as large as the archive says.
        """
        size = self.size(name)
        if at_most is not None and size > at_most:
            raise Refused(f"its member {shown(name)} holds {size} bytes, more than {at_most}")
        with _zip_damage(), self._zip.open(self._members[name]) as member:
            # Asking for the size, never for "everything", is what bounds the decompressor.
            data = member.read(size)
            rest = member.read(1)
        if len(data) != size or rest:
            raise Refused(f"its member {shown(name)} is not the {size} bytes long that the archive says")
        return data


def _check_member(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 0x1:
        raise Refused(f"its member {shown(info.filename)} is encrypted")
    if info.compress_type not in _METHODS:
        raise Refused(f"its member {shown(info.filename)} uses the compression method {info.compress_type}")
    if info.file_size < 0 or info.header_offset < 0:
        raise Refused(f"its member {shown(info.filename)} has a negative size or place")


@contextmanager
def _zip_damage() -> Iterator[None]:
    """The many ways in which `zipfile` says that an archive is broken, made one."""
    try:
        yield
    except _DAMAGE as error:
        raise Refused(f"damaged zip archive: {shown(str(error))}") from None
