"""Which column of a text file is which: from the caller, from its header, or from the values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.column_order import infer_order, is_order, split_order
from evsim.recordings.field_names import columns_of
from evsim.recordings.text_header import (
    TextHeader,
    is_comment,
    names_in,
    parsed_columns,
    read_header,
    separator_of,
    split_fields,
)  # fmt: skip

__all__ = ["NUMBER", "TextColumns", "find_columns"]

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|true|false", re.IGNORECASE)
TRUTH = {b"true": 1.0, b"false": 0.0}


@dataclass(frozen=True)
class TextColumns:
    """Places of t, x, y and p in a row of `n_fields`; lines before `first_line` are no events."""

    places: tuple[int, int, int, int]
    n_fields: int
    first_line: int
    how: str
    order: str | None = None
    unit: str | None = None
    sensor: tuple[int, int] | None = None
    first_time: int = 0
    notes: tuple[str, ...] = ()


def find_columns(path, lines: list[bytes], layout: str | None) -> TextColumns | None:
    """What the first lines of a file say; None when they are no events at all.

    Parameters
    ----------
    layout : str or None
        An order of columns the caller knows, or "infer ORDER" where ORDER is to be taken if the values allow it.
    """
    first = next((number for number, line in enumerate(lines) if not is_comment(line)), None)
    if first is None:
        return None
    header = read_header(lines[:first])
    fields = split_fields(lines[first], separator_of(lines[first]))
    if not _are_numbers(fields):
        return _named(path, names_in(lines[first]), header, first + 1, layout)
    if len(fields) == 2 and header.sensor is None and (size := _size_line(fields, lines[first + 1 :])):
        # The event files of the RPG and their simulators start with "width height".
        header, first = TextHeader(header.names, size, header.first_time), first + 1
        first += next(number for number, line in enumerate(lines[first:]) if not is_comment(line))
        fields = split_fields(lines[first], separator_of(lines[first]))
    if header.names and not is_order(layout):
        return _named(path, list(header.names), header, first, layout)
    return _bare(path, lines, first, len(fields), header, layout)


def _are_numbers(fields: list[bytes]) -> bool:
    return all(NUMBER.fullmatch(field) for field in fields)


def _size_line(fields: list[bytes], following: list[bytes]) -> tuple[int, int] | None:
    """Height and width from a line of two whole numbers above rows of four."""
    row = next((line for line in following if not is_comment(line)), b"")
    if len(split_fields(row, separator_of(row))) != 4 or not all(re.fullmatch(rb"[1-9]\d{0,4}", f) for f in fields):
        return None
    return int(fields[1]), int(fields[0])


def _named(path, names: list[str], header: TextHeader, first: int, layout) -> TextColumns | None:
    told = layout if is_order(layout) else None
    fields = columns_of(path, names)
    if fields is None and not told:
        return None
    if told:
        place = split_order(path, told, len(names), "the text")
        how, parsed = f"columns {', '.join(told)}", {}
    else:
        place = {short: names.index(fields[short]) for short in "txyp"}
        how, parsed = f"columns {', '.join(fields[short].lower() for short in 'txyp')}", parsed_columns(names)
    sizes = {short: parsed[short].size for short in "xy" if short in parsed and parsed[short].size}
    return TextColumns(
        places=tuple(place[short] for short in "txyp"),
        n_fields=len(names),
        first_line=first,
        how=how,
        unit=parsed["t"].unit if "t" in parsed else None,
        sensor=header.sensor or ((sizes["y"], sizes["x"]) if len(sizes) == 2 else None),
        first_time=header.first_time,
        notes=("the names in the header were passed over",) if told and fields else (),
    )


def _bare(path, lines: list[bytes], first: int, n: int, header: TextHeader, layout) -> TextColumns | None:
    if n < 4:
        return None
    default = layout.removeprefix("infer ") if layout and layout.startswith("infer ") else None
    if is_order(layout):
        order, notes = layout, ()
    else:
        if n != 4:
            raise RecordingError(
                f"{path}: rows of {n} numbers without names; say their order with --layout (_ for a column to be "
                f"passed over, as in {'_' * (n - 4)}txyp)"
            )
        writer = "xypt" if header.is_metavision else default
        order = infer_order(path, _values(path, lines[first:], first), "the text", writer)
        notes = ("the order of the columns was inferred from the values",)
    place = split_order(path, order, n, "the text")
    return TextColumns(
        places=tuple(place[short] for short in "txyp"),
        n_fields=n,
        first_line=first,
        how=f"columns {', '.join(order)}",
        order=order,
        sensor=header.sensor,
        first_time=header.first_time,
        notes=notes,
    )


def _values(path, lines: list[bytes], first: int) -> np.ndarray:
    """The rows that are no comments, float64 [n, 4]."""
    found = []
    for number, line in enumerate(lines, first + 1):
        if is_comment(line):
            continue
        fields = split_fields(line, separator_of(line))
        if len(fields) != 4 or not _are_numbers(fields):
            raise RecordingError(f"{path}: line {number} is {line[:60]!r}; expected four numbers")
        found.append([TRUTH.get(field.lower()) if field.lower() in TRUTH else float(field) for field in fields])
    return np.array(found)
