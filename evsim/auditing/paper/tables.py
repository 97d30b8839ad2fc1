"""The tables of an audit by name: what a paper shows of each sheet, with a key of abbreviations and assumptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evsim.auditing.estimate import Estimate
from evsim.auditing.paper.paper_table import PaperColumn, PaperTable, Row
from evsim.auditing.paper.words import abbreviations_in, comments_of, name_of, over_recordings, sentence_of
from evsim.auditing.sheet import Column, Report, Sheet
from evsim.errors import EvsimError

__all__ = ["TABLES", "check_table", "paper_table", "sheet_table"]

_KINDS = {"count": "count", "short": "count", "percent": "number", "number": "number"}


def check_table(name: str) -> None:
    """Raise unless there is a table of this name.

    Raises
    ------
    EvsimError
        There is none.
    """
    if name not in TABLES:
        raise EvsimError(f"--table {name}: expected {', '.join(TABLES)} (--table list says what each of them shows)")


def paper_table(report: Report, name: str, names: Sequence[str] = ()) -> PaperTable:
    """A table of a report.

    Parameters
    ----------
    report : Report
    name : str
        Key of `TABLES`, or of a sheet of the report.
    names : sequence of str
        What the paper calls the networks.

    Raises
    ------
    EvsimError
        The report has no such table, or `names` are not as many as its networks.
    """
    n_networks = 2 if any(sheet.key == "compare" for sheet in report.sheets) else 1
    if names and len(names) != n_networks:
        raise EvsimError(f"--names {','.join(names)}: {len(names)} names, expected {n_networks}, separated by commas")
    if name in TABLES and (name == "compare") != (n_networks == 2):
        hint = "shows two networks, name them with" if name == "compare" else "shows one network, leave out"
        raise EvsimError(f"--table {name}: {hint} --compare")
    build = TABLES[name][1] if name in TABLES else lambda r, n: sheet_table(r, r[name], n)
    return build(report, names)


def sheet_table(report: Report, sheet: Sheet, names: Sequence[str] = ()) -> PaperTable:
    """Any sheet as it is."""
    keys = [column for column in sheet.columns if column.kind in ("text", "key")]
    words = [column for column in sheet.columns if column.kind == "words"]
    shown = [column for column in sheet.columns if column.kind in _KINDS and _has_values(sheet, column.key)]
    columns = [PaperColumn(keys[0].heading, "name"), *(_column(column) for column in shown)]
    rows, group = [], None
    for row in sheet.rows:
        first = "" if row.get(keys[0].key) is None else str(row[keys[0].key])
        name = first + "".join(_inner(key, row.get(key.key)) for key in keys[1:])
        cells = tuple(_plain(row.get(column.key), column) for column in shown)
        starts = first == "total" or (len(keys) > 1 and group not in (None, first))
        note = "; ".join(f"{column.heading}: {row[column.key]}" for column in words if row.get(column.key))
        rows.append(Row((name, *cells), note, starts))
        group = first
    title = f"{sheet.title}, {name_of(report, names)}"
    empty = [c.heading for c in sheet.columns if c.kind in _KINDS and c not in shown and sheet.rows]
    return _finished(report, sheet.key, title, columns, rows, sheet.notes, absent=empty)


def _inner(key: Column, value: object) -> str:
    """A second name of a row: a number with its word, or words of their own."""
    return f" {key.heading} {value}" if key.kind == "key" else f": {value}"


def _column(column: Column) -> PaperColumn:
    return PaperColumn(column.heading.replace(" %", " (%)"), _KINDS[column.kind])


def _has_values(sheet: Sheet, key: str) -> bool:
    """A column of nothing but zeros tells a reader less than its absence."""
    values = [row.get(key) for row in sheet.rows]
    return any(value is not None and getattr(value, "mean", value) for value in values)


def _plain(value, column: Column):
    """A percentage is printed as one; a column without room for an uncertainty has means alone."""
    if isinstance(value, Estimate) and not column.spread:
        value = value.mean
    return _percent(value) if column.kind == "percent" else value


def _percent(value):
    if not isinstance(value, Estimate):
        return None if value is None else 100 * value
    parts = (value.mean, value.sd, value.low, value.high)
    return Estimate(*(None if part is None else 100 * part for part in parts), value.n)


def _finished(
    report: Report, key: str, title: str, columns, rows, comments: Sequence[str] = (), by_row=False, absent=()
):
    """Caption, key of abbreviations and source, for every table alike."""
    has_spread = any(getattr(value, "half_width", None) for row in rows for value in row.cells)
    caption = f"{title}{over_recordings(report, has_spread)}"
    words = [title, *(column.heading for column in columns), *(str(row.cells[0]) for row in rows)]
    words += [row.note for row in rows]
    notes = [*([f"None in any row: {', '.join(absent)}"] if absent else []), *abbreviations_in([*words, *absent])]
    notes.append(sentence_of(report))
    return PaperTable(key, caption, columns, rows, notes, [*comments_of(report), *comments], by_row)


def _layers(report: Report, names: Sequence[str]) -> PaperTable:
    table = sheet_table(report, report["layers"], names)
    return PaperTable(**{**vars(table), "caption": table.caption.replace("Literal counts", "Operations counted", 1)})


def _sheet(key: str) -> Callable[[Report, Sequence[str]], PaperTable]:
    return lambda report, names: sheet_table(report, report[key], names)


def _energy(report: Report, names: Sequence[str]) -> PaperTable:
    """All energy models, one under the other."""
    sheets = [sheet for sheet in report.sheets if sheet.key.startswith("energy_")]
    if not sheets:
        raise EvsimError("--table energy: the audit has no energy model; leave --energy none out")
    shown = [c for c in sheets[0].columns if c.kind in _KINDS and any(_has_values(s, c.key) for s in sheets)]
    rows, comments = [], []
    for sheet in sheets:
        model = sheet.key.removeprefix("energy_")
        for i, row in enumerate(sheet.rows):
            cells = tuple(_plain(row.get(column.key), column) for column in shown)
            rows.append(Row((f"{model}: {row['name']}", *cells), str(row.get("assumptions") or ""), i == 0))
        comments += [f"{model}: {note}" for note in sheet.notes]
    columns = [PaperColumn("energy model: run as", "name")]
    columns += [PaperColumn(_column(column).heading, "number") for column in shown]
    title = f"Energy in \u00b5J of {name_of(report, names)} and of its dense twins"
    return _finished(report, "energy", title, columns, rows, comments)


def _compare(report: Report, names: Sequence[str]) -> PaperTable:
    sheet = report["compare"]
    first, second = names or [column.heading.removesuffix(".npz") for column in sheet.columns[1:3]]
    columns = [
        PaperColumn("measure", "name"),
        PaperColumn(first),
        PaperColumn(second),
        PaperColumn(f"{second} / {first}", "number"),
    ]
    rows = []
    for row in sheet.rows:
        words = str(row["measure"]).replace("energy \u00b5J,", "energy (\u00b5J),").replace(" %", " (%)")
        if any(getattr(row[key], "mean", 0) for key in ("first", "second")):
            rows.append(Row((words, row["first"], row["second"], row["ratio"]), str(row["assumptions"])))
    title = f"{first} and {second} on the same recordings; ratios are means of the ratios recording by recording"
    return _finished(report, "compare", title, columns, rows, sheet.notes, by_row=True)


def _summary(report: Report, names: Sequence[str]) -> PaperTable:
    """What a run did in all, and what it would cost."""
    layers, totals = report["layers"], report["totals"]
    n = max((getattr(value, "n", 1) for value in layers.rows[-1].values()), default=1)
    rows = [Row(("density of the operands (%)", _percent(layers.rows[-1]["density"])))]
    for row in totals.rows:
        if row["mean"]:
            value = Estimate(row["mean"], row.get("sd"), row.get("low"), row.get("high"), n)
            rows.append(Row((row["count"], value)))
    rows[1:2] = [Row(rows[1].cells, "", True)]
    for i, sheet in enumerate(sheet for sheet in report.sheets if sheet.key.startswith("energy_")):
        model, spiking = sheet.key.removeprefix("energy_"), sheet.rows[0]
        note = str(spiking.get("assumptions") or "")
        rows.append(Row((f"energy by {model} (\u00b5J)", spiking["total_uj"]), note, i == 0))
        for other in sheet.rows[1:]:
            if other["ratio"] is not None:
                words = f"{other['name']} over spiking, by {model}"
                rows.append(Row((words, other["ratio"]), str(other.get("assumptions") or "")))
    columns = [PaperColumn("quantity", "name"), PaperColumn("per recording")]
    return _finished(report, "summary", f"What {name_of(report, names)} computes", columns, rows, by_row=True)


TABLES: dict[str, tuple[str, Callable[[Report, Sequence[str]], PaperTable]]] = {
    "summary": ("all counts, and the energy by each model", _summary),
    "layers": ("counts of each layer", _layers),
    "conventions": ("the same spikes by published conventions", _sheet("conventions")),
    "by-convention": ("operations of each layer by each convention", _sheet("by_convention")),
    "differences": ("why the conventions differ, cause by cause", _sheet("differences")),
    "energy": ("each energy model, spiking and dense", _energy),
    "heads": ("counts of each attention head", _sheet("heads")),
    "steps": ("counts of each time step", _sheet("steps")),
    "compare": ("two networks on the same recordings (with --compare)", _compare),
}
"""Name: what it shows, and how it is made."""
