"""Sheet: one table of a report, as values; every output format is a view of the same sheets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from evsim.auditing.estimate import Estimate
from evsim.errors import EvsimError

__all__ = ["Cell", "Column", "Report", "Sheet", "cell_text"]

Cell = int | float | str | Estimate | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    key : str
        Name in CSV and JSON.
    heading : str
        Name for a person.
    kind : {"text", "key", "words", "count", "short", "percent", "number"}
        "text" and "key" (a whole number) name the row; "count" has all its digits, "short" three and a letter;
        "words" may be long and wraps.
    spread : bool
        Whether a person sees half of the interval beside the mean; CSV and JSON always have all of it.
    """

    key: str
    heading: str
    kind: str = "count"
    spread: bool = True


@dataclass(frozen=True)
class Sheet:
    """One table.

    Parameters
    ----------
    key, title : str
    columns : list of Column
    rows : list of dict
        Values by column key.
    notes : list of str
        What a reader must know of it.
    """

    key: str
    title: str
    columns: list[Column]
    rows: list[dict[str, Cell]]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """Sheets, and where their numbers come from.

    Parameters
    ----------
    title : str
    sheets : list of Sheet
    provenance : dict of str to object
        Weights, inputs, versions, command: the footer.
    """

    title: str
    sheets: list[Sheet]
    provenance: dict[str, object]

    def __getitem__(self, key: str) -> Sheet:
        """One sheet by its key.

        Raises
        ------
        EvsimError
            No such sheet.
        """
        for sheet in self.sheets:
            if sheet.key == key:
                return sheet
        raise EvsimError(f"{self.title}: no sheet {key!r}; there is {', '.join(sheet.key for sheet in self.sheets)}")

    def to_dict(self, sheet: str) -> list[dict[str, object]]:
        """The rows of one sheet as plain values; a mean over recordings as mean, sd, low, high and n."""
        return [{key: _plain(value) for key, value in row.items()} for row in self[sheet].rows]


def _plain(value: Cell) -> object:
    if isinstance(value, Estimate):
        return value.mean if value.n == 1 else asdict(value)
    return value


def cell_text(value: Cell, column: Column) -> str:
    """A value as a person reads it; a mean over recordings with half of its 95 % interval."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    write = _NUMBERS[column.kind]
    if not isinstance(value, Estimate):
        return write(value)
    shows_spread = column.spread and value.half_width  # an interval of no width says nothing
    return f"{write(value.mean)} ± {write(value.half_width)}" if shows_spread else write(value.mean)


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.2f}"


def _short(value: float) -> str:
    """At most three digits behind a separator and a letter: 8.90M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}" if abs(value) < 1000 * size else f"{value / size:,.0f}{letter}"
    return f"{value:.3g}"


_NUMBERS = {
    "key": str,
    "text": str,
    "words": str,
    "count": _count,
    "short": _short,
    "percent": lambda value: f"{100 * value:.2f}",
    "number": lambda value: f"{value:.4g}",
}
