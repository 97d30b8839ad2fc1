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
    """A page in Markdown: accuracy and spikes side by side, then one table a network; the synchronous mode first."""
    parts = [_HEAD.strip(), "\n".join(_summary(rows))]
    for name in NETWORKS:
        mine = [row for row in rows if row.network == name]
        barrier = next((row for row in mine if row.how["schedule"] == "layer"), None)
        if barrier is not None:
            parts.append("\n".join([f"## {name}", "", *_table(mine, barrier)]))
    return "\n\n".join(parts) + "\n"


_HEAD = """
# Without the barrier: the tables

Made by `python -m tools.measure_asynchronous --rows rows.jsonl --tables docs/asynchronous-tables.md`;
[asynchronous.md](asynchronous.md) says what the words mean. Spikes and additions are relative to the synchronous mode
on the same recordings, additions to its synaptic additions. Decision: the median share of all deliveries after which
the class no longer changed, over recordings with the synchronous prediction.

## Accuracy in %, and spikes relative to the synchronous mode
"""


def _summary(rows: Sequence[Row]) -> list[str]:
    """A line a configuration, a column a network."""
    found = {(row.network, tuple(row.how.values())): row for row in rows}
    hows = sorted({tuple(row.how.values()): row for row in rows}.values(), key=_rank)
    barriers = {row.network: row for row in rows if row.how["schedule"] == "layer"}
    names = [name for name in NETWORKS if name in barriers]
    lines = [
        "| | " + " | ".join(f"{name} ({barriers[name].n})" for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for row in hows:
        cells = []
        for name in names:
            one = found.get((name, tuple(row.how.values())))
            ratio = "" if one is None else one.spikes / barriers[name].spikes
            cells.append("" if one is None else f"{100 * one.correct / one.n:.1f}, {ratio:.2f}")
        lines.append(f"| {', '.join(word for word in _words(row) if word)} | {' | '.join(cells)} |")
    return lines


def _words(row: Row) -> list[str]:
    how = row.how
    if how["schedule"] == "layer":
        return ["layer (synchronous)", "", "", ""]
    first = "any schedule" if how["group"] is None else how["schedule"]
    seed = f" seed {how['seed']}" if how["seed"] else ""
    return [first + seed, f"F = {_group(how['group'])}", f"biases {how['bias']}", how["commit"]]


def _table(rows: list[Row], barrier: Row) -> list[str]:
    lines = [
        "| schedule | F | biases | commit | accuracy, % (95 % interval) | predictions differ | spikes "
        "| spikes that differ, % | synaptic additions | membrane additions | decision |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=_rank):
        word = _words(row)
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
            _panels(rows, draw).savefig(folder / f"asynchronous-{kind}.png", dpi=200)
        _decisions().savefig(folder / "asynchronous-decision.png", dpi=200)


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


def _decisions():
    """The logits of the bundled network on one recording, in two orders."""
    from matplotlib.figure import Figure

    import evsim
    from evsim.loading.zoo import find_recording
    from evsim.plots import plot_decision
    from evsim.runs.preparation import Preparation, prepare_input
    from evsim.runs.run import run_asynchronously

    net = evsim.load("sdt-nmnist", precision="int16")
    steps = prepare_input(net.network, net.weights, find_recording("nmnist_digit_7.h5"), Preparation())
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    for ax, schedule in zip(figure.subplots(1, 2, sharey=True), ("depth", "fifo"), strict=True):
        plot_decision(ax, run_asynchronously(net.network, steps, evsim.Asynchrony(schedule), keeps_curve=True))
        ax.set_title(f"{schedule}, F = 1, delivery; a 7", loc="left")
    return figure


def _accuracy(barrier: Row):
    return "accuracy, %", 100 * barrier.correct / barrier.n, lambda row: 100 * row.correct / row.n


def _spikes(barrier: Row):
    return "spikes, times synchronous", 1.0, lambda row: row.spikes / barrier.spikes
