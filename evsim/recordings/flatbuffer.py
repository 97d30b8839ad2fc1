"""The few parts of a flatbuffer that AEDAT 4 needs, every offset checked against the bytes that are there."""

from __future__ import annotations

import struct

from evsim.errors import RecordingError

__all__ = ["Flatbuffer"]


class Flatbuffer:
    """One size-prefixed buffer; numbers are little-endian, tables point to their field list ("vtable")."""

    def __init__(self, path, data: bytes, identifier: bytes) -> None:
        self._path = path
        self._data = data
        if data[8:12] != identifier:
            raise RecordingError(f"{path}: damaged: expected a block {identifier.decode()!r}, found {data[8:12]!r}")
        self.root = 4 + self.number("<I", 4)

    def number(self, form: str, at: int) -> int:
        """One number of a struct form at a place."""
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            raise RecordingError(f"{self._path}: damaged: a block of {len(self._data)} bytes points outside of itself")
        return struct.unpack_from(form, self._data, at)[0]

    def field(self, number: int) -> int | None:
        """Where field `number` of the root table is, or None when it has its default value."""
        vtable = self.root - self.number("<i", self.root)
        if 4 + 2 * number + 2 > self.number("<H", vtable):
            return None
        offset = self.number("<H", vtable + 4 + 2 * number)
        return self.root + offset if offset else None

    def vector(self, number: int, item_bytes: int) -> tuple[int, int]:
        """Where the items of vector field `number` start, and how many there are."""
        at = self.field(number)
        if at is None:
            return 0, 0
        start = at + self.number("<I", at)
        count = self.number("<I", start)
        if start + 4 + count * item_bytes > len(self._data):
            raise RecordingError(f"{self._path}: damaged: a list of {count} items in {len(self._data)} bytes")
        return start + 4, count
