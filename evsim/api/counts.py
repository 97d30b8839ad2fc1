"""Counts: every operation of a run, as rows by layer, by layer and step, or by attention head."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evsim.auditing.layers import AuditedRun
from evsim.engine.ledger import COUNTS, OpCounts
from evsim.errors import EvsimError
from evsim.runs.run_report import LayerRow

__all__ = ["Counts"]

_BY = ("layer", "step", "head")


class Counts:
    """The integers that the kernels returned, under the names of `evsim.engine.ledger.OpCounts`.

    Iterating gives one row a layer, in run order. Every other view is a sum or a split of the same numbers.

    Parameters
    ----------
    rows : sequence of LayerRow
    described : callable
        Makes the run's `AuditedRun` when rows by step or head are asked for.
    """

    def __init__(self, rows: list[LayerRow], described: Callable[[], AuditedRun]) -> None:
        self._rows, self._described = rows, described

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, layer: str) -> OpCounts:
        """The counts of one layer over all steps."""
        for row in self._rows:
            if row.name == layer:
                return row.counts
        raise KeyError(f"no layer {layer!r}; there is {', '.join(row.name for row in self._rows[:5])}, ...")

    def __repr__(self) -> str:
        total = self.total
        said = ", ".join(f"{getattr(total, name):,} {name}" for name in COUNTS if getattr(total, name))
        return f"<{len(self)} layers: {said}>"

    @property
    def total(self) -> OpCounts:
        """The sum over all layers and steps."""
        return sum((row.counts for row in self._rows), start=OpCounts())

    def to_dict(self, by: str = "layer") -> list[dict]:
        """Rows of plain values.

        Parameters
        ----------
        by : {"layer", "step", "head"}
            One row a layer, a layer and step, or a layer and attention head (handlers without heads left out).

        Raises
        ------
        EvsimError
            Another word.
        """
        if by not in _BY:
            raise EvsimError(f"by={by!r}: expected {', '.join(_BY)}")
        if by == "layer":
            return [{"layer": row.name, "kind": row.kind, **row.counts.as_dict()} for row in self._rows]
        layers = self._described().layers
        if by == "step":
            return [
                {"layer": layer.name, "kind": layer.kind, "step": step, **counts.as_dict()}
                for layer in layers
                for step, counts in enumerate(layer.steps)
            ]
        return [
            {"layer": layer.name, "kind": layer.kind, "head": head, **_head_counts(counts)}
            for layer in layers
            for head, counts in enumerate(layer.heads or ())
        ]

    def to_pandas(self, by: str = "layer"):
        """The same as a `pandas.DataFrame`.

        Raises
        ------
        EvsimError
            pandas is not installed.
        """
        return data_frame(self.to_dict(by))

    def _repr_html_(self) -> str:
        from evsim.api.html import table

        used = [name for name in COUNTS if getattr(self.total, name)]
        rows = [[row.name, *(getattr(row.counts, name) for name in used)] for row in self._rows]
        return table(["layer", *used], [*rows, ["total", *(getattr(self.total, name) for name in used)]])


def data_frame(rows: list[dict]):
    """Rows as a `pandas.DataFrame`."""
    try:
        import pandas
    except ImportError:
        raise EvsimError("to_pandas() needs pandas: pip install pandas, or take to_dict()") from None
    return pandas.DataFrame(rows)


def _head_counts(counts: OpCounts) -> dict[str, int]:
    """What is split by head."""
    return {name: getattr(counts, name) for name in ("acs", "event_acs", "masks")}
