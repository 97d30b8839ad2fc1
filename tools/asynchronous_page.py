"""The tables and figures of docs/asynchronous.md, from the rows of `tools.measure_asynchronous`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tools.measure_asynchronous import NETWORKS, Row

__all__ = ["write_figures", "write_tables"]

SCHEDULES = ("depth", "fifo", "random", "momentum")
GROUPS = (1, 64, 4096, None)


def write_tables(rows: Sequence[Row]) -> str:
    """One table a network, in Markdown; the synchronous mode first."""
    parts = []
    for name in NETWORKS:
        mine = [row for row in rows if row.network == name]
        barrier = next((row for row in mine if row.how["schedule"] == "layer"), None)
        if barrier is not None:
            parts.append("\n".join([f"### {name}", "", *_table(mine, barrier)]))
    return "\n\n".join(parts) + "\n"


def _table(rows: list[Row], barrier: Row) -> list[str]:
    lines = [
        "| schedule | F | bias | commit | accuracy, % (95 % interval) | predictions differ | spikes "
        "| spikes that differ, % | synaptic additions | membrane additions | decision |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=_rank):
        how = row.how
        word = [how["schedule"], _group(how["group"]), how["bias"], how["commit"]]
        if how["schedule"] == "layer":
            word = ["layer (synchronous)", "", "", ""]
        elif how["group"] is None:
            word[0] = "any"
        decided = f"{100 * median(row.decisions):.0f} %" if row.decisions else ""
        lines.append(
            f"| {' | '.join(word)} | {100 * row.correct / row.n:.1f} ({100 * row.low:.0f} to {100 * row.high:.0f}) "
            f"| {row.differ} of {row.n} | {row.spikes / barrier.spikes:.2f} "
            f"| {100 * row.differing / barrier.spikes:.1f} | {row.additions / barrier.additions:.2f} "
            f"| {row.membrane_additions / barrier.additions:.2f} | {decided} |"
        )
    return lines


def _rank(row: Row) -> tuple:
    how = row.how
    if how["schedule"] == "layer":
        return (-1,)
    commits = ("delivery", "crossing")
    return (
        GROUPS.index(how["group"]),
        SCHEDULES.index(how["schedule"]),
        how["bias"] == "late",
        commits.index(how["commit"]),
    )


def _group(group: int | None) -> str:
    return "all" if group is None else f"{group:,}"


def write_figures(rows: Sequence[Row], folder: Path) -> None:
    """Accuracy, and spikes, against F by schedule: one panel a network, solid where biases act at the start."""
    from evsim.plots.theme import LIGHT, drawn_with

    folder.mkdir(parents=True, exist_ok=True)
    with drawn_with(LIGHT):
        for kind, draw in (("accuracy", _accuracy), ("spikes", _spikes)):
            figure = _panels(rows, draw)
            figure.savefig(folder / f"asynchronous-{kind}.svg", metadata={"Date": None})


def _panels(rows: Sequence[Row], draw):
    from matplotlib.figure import Figure

    names = [name for name in NETWORKS if any(row.network == name for row in rows)]
    figure = Figure(figsize=(7, 1.9 * -(-len(names) // 4) + 0.4), layout="constrained")
    axes = figure.subplots(-(-len(names) // 4), min(4, len(names)), squeeze=False, sharey=True).ravel()
    for ax, name in zip(axes, names, strict=False):
        mine = [row for row in rows if row.network == name]
        barrier = next(row for row in mine if row.how["schedule"] == "layer")
        label, level, value = draw(barrier)
        ax.axhline(level, color="0.5", linewidth=0.8, linestyle=":")
        for i, schedule in enumerate(SCHEDULES):
            for bias, style in (("start", "-"), ("late", "--")):
                _line(ax, mine, schedule, bias, i, style, value)
        ax.set_title(name, loc="left")
        ax.set_xticks(range(len(GROUPS)), [_group(group) for group in GROUPS])
        ax.set_xlabel("F")
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    axes[0].set_ylabel(label)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=4, loc="outside lower center")
    return figure


def _line(ax, rows: list[Row], schedule: str, bias: str, i: int, style: str, value) -> None:
    """Tested again at the delivery; at F = all every schedule is the same."""
    from evsim.plots.theme import PALETTE

    points = []
    for x, group in enumerate(GROUPS):
        found = [
            value(row)
            for row in rows
            if row.how["group"] == group and row.how["bias"] == bias and row.how["commit"] == "delivery"
            and row.how["schedule"] == ("fifo" if group is None else schedule)
        ]  # fmt: skip
        if found:
            points.append((x, sum(found) / len(found)))
    if points:
        label = schedule if bias == "start" else f"{schedule}, late biases"
        ax.plot(*zip(*points, strict=True), style, color=PALETTE[i], marker=".", linewidth=1, label=label)


def _accuracy(barrier: Row):
    return "accuracy, %", 100 * barrier.correct / barrier.n, lambda row: 100 * row.correct / row.n


def _spikes(barrier: Row):
    return "spikes, times synchronous", 1.0, lambda row: row.spikes / barrier.spikes
