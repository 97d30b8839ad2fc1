"""PaperTable: what stands in a table of a manuscript, before it is set in a width."""

from __future__ import annotations

from dataclasses import dataclass, field

from evsim.auditing.estimate import Estimate

__all__ = ["PaperColumn", "PaperTable", "Row"]

Value = float | int | str | Estimate | None


@dataclass(frozen=True)
class PaperColumn:
    """One column.

    Parameters
    ----------
    heading : str
        Plain text; a unit stands in brackets behind.
    kind : {"name", "count", "number"}
        A count may be printed in thousands or millions, which the heading then says.
    """

    heading: str
    kind: str = "count"


@dataclass(frozen=True)
class Row:
    """One line: a cell for each column; `note` is a letter's text, `rule` draws a line above."""

    cells: tuple[Value, ...]
    note: str = ""
    rule: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table.

    Parameters
    ----------
    key : str
        Of its label.
    caption : str
        Plain text.
    columns : list of PaperColumn
        The first names the rows.
    rows : list of Row
    notes : list of str
        Abbreviations and assumptions, in the order of reading.
    comments : list of str
        For the author, not for print.
    by_row : bool
        Each row has a unit of its own, said behind its name, since the numbers of a column have not.
    """

    key: str
    caption: str
    columns: list[PaperColumn]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    by_row: bool = False
