"""Pictures in print: words keep apart and inside, fonts are readable and embedded, colours have a scale with a unit."""

import itertools
import re
import zlib

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from evsim.auditing.conventions import conventions
from evsim.auditing.energy_model import find_model
from evsim.auditing.panel import energy_panel
from evsim.auditing.replay import describe_trace
from evsim.engine.network import INPUT
from evsim.loading.zoo import DEFAULT_RECORDING, find_weights, zoo_folder
from evsim.plots import (
    plot_attention,
    plot_conventions,
    plot_energy,
    plot_events,
    plot_operations,
    plot_raster,
    plot_rates,
    raster_figure,
)
from evsim.plots.sizes import SIZES
from evsim.plots.theme import LIGHT, drawn_with
from evsim.recordings.read import read_recording
from evsim.runs.run import run
from evsim.traces.trace import write_trace

RECORDING = str(zoo_folder() / DEFAULT_RECORDING)
SOME = ("input", "patch_embed.proj_lif3", "block.0.attn.q_lif", "block.0.attn.talking_heads_lif")


@pytest.fixture(scope="module")
def trace():
    return run(find_weights("sdt-nmnist"), RECORDING)[1]


@pytest.fixture(scope="module")
def draw(trace):
    """Every picture by name, ready to be drawn into Axes."""
    audited = describe_trace(trace)
    tallies = [convention.count(audited) for convention in conventions().values()]
    panel = energy_panel(audited, find_model("pair_4.6_0.9"))
    recording = read_recording(RECORDING)
    return {
        "raster": lambda ax: plot_raster(ax, trace, "block.0.attn.q_lif"),
        "marks": lambda ax: plot_raster(ax, trace, "block.0.attn.talking_heads_lif"),
        "dots": lambda ax: plot_raster(ax, trace, "block.0.attn.q_lif", style="dots"),
        "input": lambda ax: plot_raster(ax, trace, INPUT),
        "rates": lambda ax: plot_rates(ax, trace),
        "operations": lambda ax: plot_operations(ax, trace.ledger),
        "conventions": lambda ax: plot_conventions(ax, tallies),
        "energy": lambda ax: plot_energy(ax, panel),
        "attention": lambda ax: plot_attention(ax, trace, 1),
        "space": lambda ax: plot_events(ax, recording),
        "time": lambda ax: plot_events(ax, recording, "time"),
    }


NAMES = (
    "raster", "marks", "dots", "input", "rates", "operations", "conventions", "energy", "attention", "space", "time",
)  # fmt: skip
PAIRS = [(name, NAMES[(i + 4) % len(NAMES)]) for i, name in enumerate(NAMES)]


def words_of(figure):
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def boxes_apart(figure, axes):
    """The boxes of the Axes with all their words lie in the figure and do not overlap."""
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in axes]
    frame = figure.bbox.padded(1)
    inside = all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)
    return inside and not any(a.padded(-1).overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize(("style", "width"), [("matplotlib's own", 7), ("print", 6.75)])
def test_two_pictures_side_by_side_keep_apart(draw, pair, layout, style, width):
    with drawn_with(LIGHT, 10 if style != "print" else 7):
        figure = Figure(figsize=(width, 3.4), layout=layout)
        axes = figure.subplots(1, 2)
        for ax, name in zip(axes, pair, strict=True):
            draw[name](ax)
        assert boxes_apart(figure, axes)
        assert all(ax.get_window_extent().width > 0.15 * figure.bbox.width for ax in axes)


@pytest.mark.parametrize("name", NAMES)
def test_each_picture_fits_a_column(draw, name):
    with drawn_with(LIGHT):
        figure = Figure(figsize=(3.3, 2.6))
        ax = figure.add_subplot()
        draw[name](ax)
        assert boxes_apart(figure, [ax])
        assert min(text.get_fontsize() for text in words_of(figure)) >= 6


def test_drawing_twice_into_the_same_axes_changes_no_place(draw):
    figure = Figure(figsize=(7, 3))
    ax = figure.subplots(1, 2)[1]
    draw["rates"](ax)
    once = ax.get_position().bounds
    ax.clear()
    draw["rates"](ax)
    assert np.allclose(ax.get_position().bounds, once)


def test_names_of_rows_keep_apart(draw):
    for name in ("rates", "operations"):
        figure = Figure(figsize=(7, 3))
        ax = figure.subplots(1, 2)[0]
        draw[name](ax)
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
        assert all(a.y0 > b.y0 and not a.padded(-1.5).overlaps(b) for a, b in itertools.pairwise(boxes))


def test_layers_without_room_for_a_name_are_one_bar(trace):
    ax = Figure(figsize=(3.3, 2)).add_subplot()
    plot_operations(ax, trace.ledger)
    names = [label.get_text() for label in ax.get_yticklabels()]
    counts = trace.ledger.by_handler()
    assert re.fullmatch(r"\d+ other layers", names[-1])
    assert len(names) - 1 + int(names[-1].split()[0]) <= len(counts)
    assert sum(bar.get_width() for bar in ax.patches) == ax.evsim_operations


@pytest.mark.parametrize("name", ["raster", "input", "rates", "attention", "space"])
def test_colours_have_a_scale_with_a_unit(draw, name):
    ax = Figure(figsize=(4, 3)).add_subplot()
    draw[name](ax)
    label = ax.evsim_color_bar.ax.get_ylabel()
    assert any(unit in label for unit in ("spikes per neuron", "events per place", "%", "steps", "events a pixel"))


def test_every_raster_names_its_x_axis(draw):
    for name in ("raster", "marks", "dots", "input"):
        ax = Figure().add_subplot()
        draw[name](ax)
        assert ax.get_xlabel() == "step"


def images_of(figure):
    return [image for ax in figure.axes for image in ax.images if ax.get_ylabel()]


def test_all_panels_share_a_scale_unless_told(trace):
    figure = raster_figure(trace, SOME)
    tops = {image.get_clim()[1] for image in images_of(figure)}
    largest = max(np.abs(image.get_array()).max() for image in images_of(figure))
    strips = {ax.get_ylim()[1] for ax in figure.axes if ax.patches}
    assert tops == {largest}
    assert len(strips) == 1
    own = raster_figure(trace, SOME, scale="panel")
    assert all(np.isclose(image.get_clim()[1], np.abs(image.get_array()).max()) for image in images_of(own))
    assert len({image.get_clim()[1] for image in images_of(own)}) == len(images_of(own)) == 3


@pytest.mark.parametrize("scale", ["shared", "panel"])
def test_a_figure_of_rasters_has_bars_for_spikes_and_for_events(trace, scale):
    labels = [ax.get_xlabel() for ax in raster_figure(trace, SOME, scale=scale).axes]
    assert sum("spikes per neuron and step" in label for label in labels) == 1
    assert sum("events per place and step" in label for label in labels) == 1
    only_marks = raster_figure(trace, ["block.0.attn.talking_heads_lif"])
    assert [ax.get_xlabel() for ax in only_marks.axes] == ["", "step"]


@pytest.mark.parametrize("name", [INPUT, "block.0.attn.q_lif", "head_lif"])
def test_dots_stand_at_every_spike(trace, name):
    ax = Figure().add_subplot()
    plot_raster(ax, trace, name, style="dots")
    (dots,) = [artist for artist in ax.collections if isinstance(artist, PathCollection)]
    data = trace.layers[name]
    x, y = np.asarray(dots.get_offsets()).T
    assert np.array_equal(np.sort(x), np.sort(data.step))
    assert len(set(zip(x, y, strict=True))) == data.step.size == ax.evsim_spikes_drawn
    assert not ax.images


def test_density_can_be_asked_for(trace):
    ax = Figure().add_subplot()
    plot_raster(ax, trace, "head_lif", style="density")
    assert len(ax.images) == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("style", ["auto", "dots"])
def test_no_font_is_below_six_points_and_nothing_is_cut(trace, size, style):
    figure = raster_figure(trace, SOME, size=size, style=style)
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] == SIZES[size].width
    words = [text for text in words_of(figure) if text.get_window_extent().width]
    assert min(text.get_fontsize() for text in words) >= 6
    frame = figure.bbox
    for text in words:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1, text
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1, text


def test_pdf_embeds_truetype_and_svg_keeps_text(trace, tmp_path, evsim):
    write_trace(tmp_path / "t.h5", trace)
    for suffix in ("pdf", "svg"):
        assert evsim("raster", "-t", tmp_path / "t.h5", "-l", "*q_lif", "-o", tmp_path / f"r.{suffix}")[0] == 0
    pdf = (tmp_path / "r.pdf").read_bytes()
    streams = [part.split(b"endstream")[0] for part in re.split(rb"stream\r?\n", pdf)[1:]]
    whole = pdf + b"".join(zlib.decompressobj().decompress(s) for s in streams if s[:1] == b"x")
    assert b"/FontFile2" in whole
    assert b"/Type3" not in whole
    svg = (tmp_path / "r.svg").read_text()
    assert "<text" in svg
    assert "block.0.attn.q_lif" in svg


@pytest.mark.parametrize("words", [("--size", "poster"), ("--style", "stars"), ("--scale", "log"), ("--dpi", "5")])
def test_mistakes_are_refused_in_one_line(trace, tmp_path, evsim, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "t.h5", trace)
    code, out, err = evsim("raster", "-t", "t.h5", *words, "-o", "r.png")
    assert (code, out) == (2, "")
    assert words[0] in err
    assert not (tmp_path / "r.png").exists()
