"""The sections of the page, in the order in which they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType

import numpy as np

from evsim.auditing.audit import Audit
from evsim.auditing.audit_sheets import audit_sheets
from evsim.auditing.convention_sheets import causes_sheet, conventions_sheet
from evsim.auditing.conventions import conventions
from evsim.auditing.lint_sheets import lint_sheets
from evsim.auditing.sheet import Column, Sheet
from evsim.engine.network import INPUT
from evsim.plots.attention import plot_attention
from evsim.plots.energy import plot_energy
from evsim.plots.events import event_image, input_values
from evsim.plots.operations import plot_conventions, plot_operations
from evsim.plots.panels import raster_figure
from evsim.plots.rates import plot_rates
from evsim.reports.element import Markup, element
from evsim.reports.pictures import picture, zoomable
from evsim.reports.story import Story
from evsim.reports.tables import sheet_table, term_list
from evsim.runs.run_report import RunReport

__all__ = ["sections"]

_CLASSES_SHOWN = 10
_COUNTS = MappingProxyType({
    "events_in": "events in", "events_out": "events out", "acs": "ACs", "macs": "MACs", "masks": "masks",
    "updates": "updates", "weight_reads": "weight reads",
})  # fmt: skip


def sections(story: Story) -> Iterator[tuple[str, str, list[Markup]]]:
    """(id, heading, content) of each."""
    yield "summary", "Summary", list(_summary(story))
    yield "prediction", "Prediction", list(_prediction(story))
    yield "layers", "Layers", [_layers(story)]
    yield "operations", "Operations", list(_operations(story))
    yield "energy", "Energy", list(_energy(story))
    yield "lint", "Is it spike-driven?", [sheet_table(sheet) for sheet in lint_sheets([story.audited])]
    yield "spikes", "Spikes", list(_spikes(story))
    yield "provenance", "Provenance", [_provenance(story)]


def _summary(story: Story) -> Iterator[Markup]:
    report, totals = story.report, story.report.totals
    neurons = sum(row.neurons or 0 for row in report.layers)
    spikes = sum(row.counts.events_out for row in report.layers if row.neurons)
    yield term_list({
        "network": f"{report.title} ({report.network})",
        "weights": report.weights["file"],
        "recording": f"{report.input['file']}: {report.input['layout']}",
        "prediction": _verdict(story),
        "size": f"{neurons:,} neurons, {report.n_steps} steps",
        "spikes": f"{spikes:,}: {100 * spikes / max(1, neurons * report.n_steps):.2f} % of neurons and steps",
        "operations": f"{totals.acs:,} additions, {totals.macs:,} products, {totals.masks:,} masks, "
        f"{totals.updates:,} membrane updates",
        **_time(report),
    })  # fmt: skip
    yield from (element("p", note, class_="note") for note in report.notes)


def _time(report: RunReport) -> dict[str, str]:
    if report.wall_seconds is None:
        return {}
    return {"time": f"{report.wall_seconds:.3f} s and {report.compile_seconds:.2f} s to prepare kernels"}


def _verdict(story: Story) -> str:
    report = story.report
    words = f"class {report.prediction}" + (f" ({report.label})" if report.label is not None else "")
    if report.true_class is None:
        return words
    return f"{words}; labelled {report.true_class}: {'right' if report.true_class == report.prediction else 'wrong'}"


def _prediction(story: Story) -> Iterator[Markup]:
    logits = np.asarray(story.report.logits)
    best = np.argsort(-logits, kind="stable")[:_CLASSES_SHOWN]
    names = story.class_names
    columns = [Column("class", "class", "number"), Column("name", "name", "text"), Column("logit", "logit", "number")]
    if not names:
        del columns[1]
    rows = [
        {"class": int(i), "name": names[i] if i < len(names) else "", "logit": float(logits[i])} for i in best
    ]  # fmt: skip
    title = f"{_verdict(story)}. The {len(best)} largest of {logits.size} logits"
    yield sheet_table(Sheet("logits", title, columns, rows))
    image = input_values(story.trace)
    height, width, n_channels = image.shape
    words = "OFF events orange, ON events blue, all steps together" if n_channels == 2 else "all steps together"
    size = min(3.4, 3.4 * width / height)
    alt = f"The input as the network received it, {height} x {width} pixels; {words}."
    yield picture(size, size * height / width, lambda ax: event_image(ax, image), alt, alt)


def _layers(story: Story) -> Markup:
    columns = [
        Column("layer", "layer", "text"), Column("kind", "kind", "text"), Column("neurons", "neurons"),
        Column("rate", "rate %", "percent"), Column("density", "density %", "percent"),
        *(Column(key, words) for key, words in _COUNTS.items()),
    ]  # fmt: skip
    rows = [
        {"layer": row.name, "kind": row.kind, "neurons": row.neurons, "rate": row.firing_rate,
         "density": row.operand_density} | {key: getattr(row.counts, key) for key in _COUNTS}
        for row in story.report.layers
    ]  # fmt: skip
    totals = story.report.totals
    footer = {"layer": "total", "neurons": sum(row["neurons"] or 0 for row in rows)}
    footer |= {key: getattr(totals, key) for key in _COUNTS}
    notes = [
        "rate: spikes per neuron and step; density: nonzero entries of what a layer reads; ACs: additions caused by "
        "events, a payload of n counting n. Every number was counted where it happened."
    ]
    return sheet_table(Sheet("layers", "Every layer in run order", columns, rows, notes), footer)


def _operations(story: Story) -> Iterator[Markup]:
    counts = story.trace.ledger.by_handler()
    n = sum(1 for row in counts.values() if any((row.acs, row.macs, row.masks, row.updates, row.comparisons)))
    busiest = max(counts, key=lambda name: counts[name].acs + counts[name].macs, default="none")
    yield picture(
        7, 0.9 + 0.135 * n, lambda ax: plot_operations(ax, story.trace.ledger),
        f"Stacked bars: operations of {n} layers by kind. Most additions and products are in {busiest}. "
        "The numbers are in the table of layers.", "Operations really performed, by layer and kind.",
    )  # fmt: skip
    literal = story.tallies[0].acs + story.tallies[0].macs
    ratios = [f"{t.title} {(t.acs + t.macs) / literal:.3g} times" for t in story.tallies[1:]] if literal else []
    yield picture(
        7, 0.9 + 0.22 * len(story.tallies), lambda ax: plot_conventions(ax, story.tallies),
        f"Bars: the same spikes by published conventions. Against the literal count: {', '.join(ratios)}.",
        "The same spikes, counted by published conventions.",
    )  # fmt: skip
    audit = Audit([story.audited], list(conventions().values()))
    yield from (sheet_table(sheet) for sheet in (conventions_sheet(audit), causes_sheet(audit)))


def _energy(story: Story) -> Iterator[Markup]:
    for panel in story.panels:
        words = "; ".join(f"{row.name} {row.total / 1e6:.4g} microjoules" for row in panel.rows if row.total)
        draw = lambda ax, panel=panel: plot_energy(ax, panel)  # noqa: E731
        yield picture(7, 1.9, draw, f"Bars: energy by {panel.model.title}: {words}.", panel.model.title)
    sheets = audit_sheets(Audit([story.audited], (), [panel.model for panel in story.panels]))
    yield from (sheet_table(sheet) for sheet in sheets if sheet.key.startswith("energy_"))


def _spikes(story: Story) -> Iterator[Markup]:
    trace = story.trace
    names = [name for name in trace.layers if name != INPUT]
    yield picture(
        7, 0.8 + 0.15 * len(names), lambda ax: plot_rates(ax, trace),
        f"Heat map: share of neurons that fire, {len(names)} layers by {trace.n_steps} steps. "
        "The means are in the table of layers.", "Share of neurons that fire, in percent.",
    )  # fmt: skip
    yield from _attention(trace)
    rasters = []
    for name, layer in trace.layers.items():
        alt = (
            f"Raster of {name}: {layer.step.size:,} events of {math.prod(layer.shape):,} places "
            f"({layer.axes.replace(',', ' x ')}) over {trace.n_steps} steps."
        )
        rasters.append(zoomable(_raster(trace, name), alt, name))
    yield element("p", "One panel a layer: the share of neurons that fire on top, below it who fired when.")
    yield element("div", *rasters, class_="rasters")


def _raster(trace, name: str):
    """The layer alone, its name taken literally where a shell pattern could stand."""
    from dataclasses import replace

    return raster_figure(replace(trace, layers={name: trace.layers[name]}), width=3.5)


def _attention(trace) -> Iterator[Markup]:
    """The gate of each block, where there are gates."""
    blocks = [int(name.split(".")[1]) for name in trace.layers if name.endswith(".attn.talking_heads_lif")]
    figures = [
        picture(
            2.6, 2.9, lambda ax, block=block: plot_attention(ax, trace, block),
            f"Block {block}: tokens whose query spikes pass the gate of the attention, over the input.",
        )
        for block in blocks
    ]  # fmt: skip
    if figures:
        yield element("p", "The gates of the attention: the larger a square, the more query spikes of its token pass.")
        yield element("div", *figures, class_="rasters")


def _provenance(story: Story) -> Markup:
    report = story.report
    return term_list({
        "command": element("code", story.command),
        "weights": f"{report.weights['file']}, SHA-256 {report.weights['sha256']}",
        "imported from": _source(report.weights.get("source")),
        "recording": f"{report.input['file']}, SHA-256 {report.input['sha256']}",
        "hyper-parameters": ", ".join(f"{key} {value}" for key, value in report.hyper_parameters.items()),
        "versions": story.versions,
    })  # fmt: skip


def _source(source: object) -> str:
    """The checkpoint behind a weights file, as far as it is known."""
    if isinstance(source, dict):
        return ", ".join(f"{key} {value}" for key, value in source.items())
    return str(source) if source else "not recorded"
