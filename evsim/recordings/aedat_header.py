"""The text lines every AEDAT file starts with: `#!AER-DATx.y`, then more lines with a hash."""

from __future__ import annotations

import re

from evsim.errors import RecordingError

__all__ = ["aedat_version", "read_header_lines"]

MAX_BYTES = 2**20
LINE = re.compile(rb"#[ -~\t\x80-\xff]*\r?\n")


def aedat_version(head: bytes) -> bytes | None:
    """The digits after the signature, b"2.0" for one, or None."""
    found = re.match(rb"#!AER-DAT(\d\.\d)\r?\n", head)
    return found and found.group(1)


def read_header_lines(path, data: bytes, end: bytes = b"") -> tuple[list[str], int] | None:
    """The header's lines without the hash, and its length; None while its end is not in `data` yet.

    With `end`, only a line that starts with it ends the header.
    """
    lines, at = [], 0
    while found := LINE.match(data, at):
        at = found.end()
        lines.append(found.group()[1:].decode("latin-1").strip())
        if end and found.group().startswith(end):
            return lines, at
    tail = data[at:]
    if at > MAX_BYTES or len(tail) > MAX_BYTES:
        raise RecordingError(f"{path}: the header does not end within {MAX_BYTES} bytes")
    unfinished = not tail or (tail[:1] == b"#" and b"\n" not in tail)
    if end and not unfinished:
        raise RecordingError(f"{path}: damaged header: {end.decode()} is missing")
    return None if unfinished else (lines, at)
