"""Which column of a text file is which: from its header line, from the caller, or from the values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.arrays import column_order, columns_of

__all__ = ["ORDERS", "TextColumns", "find_columns", "split_fields"]

ORDERS = tuple("".join(order) for order in permutations("txyp"))
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[Tt]rue|[Ff]alse")
TRUTH = {b"true": "1", b"false": "0"}


@dataclass(frozen=True)
class TextColumns:
    """Places of t, x, y and p in a row; lines before `first_line` are no events."""

    places: tuple[int, int, int, int]
    first_line: int
    how: str
    inferred: bool


def split_fields(line: bytes) -> list[bytes]:
    """The fields of a line, whatever stands between them."""
    return re.sub(rb"[,;\s]+", b" ", line).split()


def is_comment(line: bytes) -> bool:
    """Whether a line says nothing about events."""
    return not line.strip() or line.lstrip()[:1] in (b"#", b"%")


def find_columns(path, lines: list[bytes], layout: str | None) -> TextColumns | None:
    """What the first lines of a file say; None when they are no events at all."""
    number, line = _first(lines)
    if number is None:
        return None
    if all(NUMBER.fullmatch(field) for field in split_fields(line)):
        header = _header_comment(lines[:number])
        return _named(header, number) if header else _bare(path, lines, number, layout)
    return _named([name.decode("latin-1") for name in split_fields(line)], number + 1)


def _first(lines: list[bytes]) -> tuple[int | None, bytes]:
    return next(((number, line) for number, line in enumerate(lines) if not is_comment(line)), (None, b""))


def _header_comment(lines: list[bytes]) -> list[str] | None:
    """Names in a comment just above the numbers ("# t x y p")."""
    words = [word.decode("latin-1") for word in split_fields(lines[-1].strip(b"#% \t\r\n"))] if lines else []
    return words if columns_of([word.lower() for word in words]) else None


def _named(names: list[str], first_line: int) -> TextColumns | None:
    lower = [name.strip("\"'").lower() for name in names]
    fields = columns_of(lower)
    if fields is None:
        return None
    places = tuple(lower.index(fields[short]) for short in "txyp")
    return TextColumns(places, first_line, f"columns {', '.join(fields.values())}", False)


def _bare(path, lines: list[bytes], number: int, layout: str | None) -> TextColumns | None:
    if len(split_fields(lines[number])) != 4:
        return None
    if layout in ORDERS:
        return TextColumns(
            tuple(layout.index(short) for short in "txyp"), number, f"columns {', '.join(layout)}", False
        )
    order = column_order(path, np.array(list(_values(path, lines))), "the text")
    return TextColumns(tuple(order.index(short) for short in "txyp"), number, f"columns {', '.join(order)}", True)


def _values(path, lines: list[bytes]) -> Iterator[list[float]]:
    """The rows that are no comments, as four numbers each."""
    for number, line in enumerate(lines, 1):
        if is_comment(line):
            continue
        fields = split_fields(line)
        if len(fields) != 4 or not all(NUMBER.fullmatch(field) for field in fields):
            raise RecordingError(f"{path}: line {number} is {line[:60]!r}; expected four numbers")
        yield [float(TRUTH.get(field.lower(), field)) for field in fields]
