"""Pictures: what is drawn is what the trace holds, words stay in their places, odd traces are drawn or refused."""

import warnings

import h5py
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from evsim.auditing.conventions import conventions
from evsim.auditing.energy_model import find_model
from evsim.auditing.panel import energy_panel
from evsim.auditing.replay import describe_trace
from evsim.engine.ledger import Ledger
from evsim.engine.network import INPUT
from evsim.errors import EvsimError, TraceError
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
from evsim.plots.operations import KINDS
from evsim.plots.theme import DARK
from evsim.recordings.read import read_recording
from evsim.recordings.recording import FrameRecording, ImageRecording
from evsim.runs.run import run
from evsim.traces.trace import Layer, Trace, write_trace


@pytest.fixture(scope="module")
def trace():
    return run(find_weights("sdt-nmnist"), str(zoo_folder() / DEFAULT_RECORDING))[1]


@pytest.fixture
def ax():
    return Figure().add_subplot()


def made(n_steps=3, shape=(4, 5), axes="token,channel", density=0.4, name="layer", **provenance):
    """A trace of one random layer."""
    events = np.random.default_rng(3).random((n_steps, int(np.prod(shape)))) < density
    step, address = np.nonzero(events)
    layer = Layer(shape, axes, step.astype(np.int32), address.astype(np.int64))
    return Trace({name: layer}, np.zeros(2, np.float32), n_steps, Ledger(), provenance)


def spikes_in_picture(ax):
    """Spikes counted from the artists themselves: marks, or densities times the neurons of a row."""
    marks = sum(len(c.get_paths()) for c in ax.collections if isinstance(c, PolyCollection))
    if not ax.images:
        return marks
    density = np.abs(np.asarray(ax.images[0].get_array()))
    n_lines = round(ax.get_ylim()[0])
    per_row = round(ax.images[0].get_extent()[2]) // len(density)
    in_row = np.minimum(per_row, n_lines - per_row * np.arange(len(density)))
    return round((density * in_row[:, None]).sum())


def test_every_spike_of_every_layer_is_in_the_picture(trace):
    for name, layer in trace.layers.items():
        ax = plot_raster(Figure().add_subplot(), trace, name)
        assert ax.evsim_spikes_drawn == spikes_in_picture(ax) == layer.step.size


@pytest.mark.parametrize("by", ["channel", "row", "col", "token"])
@pytest.mark.parametrize("lines", [5, 17, 96])
def test_no_grouping_loses_a_spike(ax, by, lines):
    trace = made(7, (6, 5, 11), "row,col,channel")
    plot_raster(ax, trace, "layer", by, lines=lines)
    assert spikes_in_picture(ax) == trace.layers["layer"].step.size


def test_a_mark_stands_at_its_step_and_neuron(ax):
    layer = Layer((2, 3), "token,channel", np.array([0, 2], np.int32), np.array([1, 5], np.int64))
    plot_raster(ax, Trace({"x": layer}, np.zeros(1), 3, Ledger(), {}), "x")
    centres = [path.get_extents() for path in ax.collections[0].get_paths()]
    assert [(round((b.x0 + b.x1) / 2), int(b.y0)) for b in centres] == [(0, 2), (2, 5)]  # channel by channel
    assert ax.get_ylabel() == "channel"


def test_density_rows_hold_the_right_neurons(ax):
    trace = made(4, (8, 6), "token,channel")
    plot_raster(ax, trace, "layer", lines=6)
    dense = trace.layers["layer"].to_dense(4)  # step, token, channel
    assert np.allclose(ax.images[0].get_array(), dense.mean(axis=1).T)
    assert ax.evsim_color_bar.ax.get_ylabel() == "spikes per neuron and step\n8 neurons a row"
    assert ax.evsim_caption == "6 channels of 8 tokens; 8 neurons a row"


def test_input_is_drawn_by_polarity(trace, ax):
    plot_raster(ax, trace, INPUT)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["off", "on"]
    density, channel = np.asarray(ax.images[0].get_array()), trace.layers[INPUT].address % 2
    per_row = 2 * 32 * 32 / len(density)
    assert round(-density[density < 0].sum() * per_row) == (channel == 0).sum()
    assert round(density[density > 0].sum() * per_row) == (channel == 1).sum()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", ["3.5in", "89mm", "7in", "1in"])
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_raster_verb_writes_every_format(trace, tmp_path, evsim, theme, width, suffix):
    write_trace(tmp_path / "t.h5", trace)
    picture = tmp_path / f"r.{suffix}"
    words = ("-l", "*q_lif", "--theme", theme, "--width", width, "-o", picture)
    assert evsim("raster", "-t", tmp_path / "t.h5", *words)[0] == 0
    assert picture.read_bytes()[:4] in (b"\x89PNG", b"<?xm", b"%PDF")


@pytest.mark.parametrize("width", [3.5, 7])
def test_no_words_overlap_or_leave_the_figure(trace, width):
    figure = raster_figure(trace, width=width)
    figure.draw_without_rendering()
    boxes = []
    for ax in figure.axes:
        texts = [
            ax.title,
            ax._left_title,
            ax._right_title,
            ax.yaxis.label,
            *ax.get_xticklabels(),
            *ax.get_yticklabels(),
        ]
        boxes += [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
    frame = figure.bbox
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)
    shrunk = [b.padded(-0.6) for b in boxes if b.width > 2 and b.height > 2]
    for i, box in enumerate(shrunk):
        assert not any(box.overlaps(other) for other in shrunk[i + 1 :])


def test_long_names_are_shortened_in_the_middle(trace):
    name = "a" * 50 + ".end_lif"
    figure = raster_figure(made(name=name), width=3.5)
    shown = figure.axes[0].get_title(loc="left")
    assert len(shown) < 45
    assert shown.endswith(".end_lif")


@pytest.mark.parametrize(
    "odd",
    [
        made(density=0.0), made(n_steps=1), made(shape=(1,), axes="channel"), made(name="$x_$<b>"),
        made(shape=(3, 4), axes="colour,smell"), made(4000, (2,), "channel"), made(name="input", shape=(3, 3, 2)[:2]),
        made(name="block.0.attn.q_lif", hyper_parameters={"n_heads": "many"}),
        made(name="block.0.attn.q_lif", hyper_parameters={"n_heads": 0}),
        made(name="block.0.attn.q_lif", hyper_parameters=None),
    ],
)  # fmt: skip
def test_odd_traces_are_drawn(odd, tmp_path, evsim):
    write_trace(tmp_path / "t.h5", odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code, _, err = evsim("raster", "-t", tmp_path / "t.h5", "-o", tmp_path / "r.png")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"}, {"n_steps": 0}, {"n_steps": -3}, {"n_steps": 10**12}, {"n_steps": "x"},
        {"provenance": "[1]"}, {"provenance": "{"}, {"provenance": None},
    ],
)  # fmt: skip
def test_bad_trace_files_are_refused_in_one_line(change, tmp_path, evsim):
    write_trace(tmp_path / "t.h5", made())
    with h5py.File(tmp_path / "t.h5", "a") as file:
        for key, value in change.items():
            if value is None:
                del file.attrs[key]
            else:
                file.attrs[key] = value
    refused(evsim("raster", "-t", tmp_path / "t.h5", "-o", tmp_path / "r.png"))
    assert not (tmp_path / "r.png").exists()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((0, 5), "token,channel"), ((4, 5), "token"), ((4, 5), "x,x"), ((-4, -5), "token,channel"),
     ((2**20, 2**20), "a,b"), ((), "")],
)  # fmt: skip
def test_layers_with_impossible_shapes_are_refused(shape, axes, tmp_path, evsim):
    write_trace(tmp_path / "t.h5", made(density=0.0))
    with h5py.File(tmp_path / "t.h5", "a") as file:
        file["spikes/layer"].attrs["shape"] = np.array(shape, np.int64)
        file["spikes/layer"].attrs["axes"] = axes
    refused(evsim("raster", "-t", tmp_path / "t.h5", "-o", tmp_path / "r.png"))


def test_a_trace_without_layers_is_refused(tmp_path, evsim):
    write_trace(tmp_path / "t.h5", made())
    with h5py.File(tmp_path / "t.h5", "a") as file:
        del file["spikes/layer"]
    refused(evsim("raster", "-t", tmp_path / "t.h5", "-o", tmp_path / "r.png"))


@pytest.mark.parametrize(
    "words",
    [("--layer", "nothing*"), ("--theme", "pink"), ("--width", "wide"), ("--width", "900in"), ("-o", "r.bmp"),
     ("-o", "absent/r.png")],
)  # fmt: skip
def test_mistakes_are_refused_in_one_line(trace, tmp_path, evsim, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "t.h5", trace)
    refused(evsim("raster", "-t", "t.h5", *words))


def refused(outcome):
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert err.startswith("evsim: ")
    assert len(err.splitlines()) == 1


def test_unknown_layer_is_refused(trace, ax):
    with pytest.raises(TraceError, match="no layer"):
        plot_raster(ax, trace, "nothing")


def test_rates_are_those_of_the_trace(trace, ax):
    assert plot_rates(ax, trace, DARK) is ax
    names = [name for name in trace.layers if name != INPUT]
    dense = trace.layers[names[3]].to_dense(trace.n_steps)
    assert np.allclose(ax.evsim_rates[3], 100 * dense.reshape(trace.n_steps, -1).mean(axis=1))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names


def test_bars_add_up_to_the_ledger(trace, ax):
    assert plot_operations(ax, trace.ledger) is ax
    total = trace.ledger.total()
    assert ax.evsim_operations == sum(getattr(total, kind) for kind in KINDS)
    assert sum(bar.get_width() for bar in ax.patches) == ax.evsim_operations


def test_an_empty_ledger_makes_an_empty_plot(ax):
    plot_operations(ax, Ledger())
    assert ax.evsim_operations == 0


def test_conventions_are_drawn_as_counted(trace, ax):
    tallies = [convention.count(describe_trace(trace)) for convention in conventions().values()]
    assert plot_conventions(ax, tallies) is ax
    assert np.isclose(sum(bar.get_width() for bar in ax.patches), sum(t.acs + t.macs for t in tallies))


@pytest.mark.parametrize("model", ["pair_4.6_0.9", "step_simple"])
def test_energy_bars_are_the_panel(trace, ax, model):
    panel = energy_panel(describe_trace(trace), find_model(model))
    assert plot_energy(ax, panel) is ax
    assert np.allclose(ax.evsim_microjoules, [row.total / 1e6 for row in panel.rows])
    assert np.isclose(sum(bar.get_width() for bar in ax.patches), sum(row.total / 1e6 for row in panel.rows))


def test_attention_passes_what_the_gate_let_through(trace, ax):
    for block in (0, 1):
        plot_attention(ax, trace, block)
        assert ax.evsim_passes.sum() == trace.ledger.total(f"block.{block}.attn.qkv").events_out
    by_head = [plot_attention(Figure().add_subplot(), trace, 1, head).evsim_passes for head in range(4)]
    by_step = [plot_attention(Figure().add_subplot(), trace, 1, step=step).evsim_passes for step in range(4)]
    assert np.array_equal(sum(by_head), ax.evsim_passes)
    assert np.array_equal(sum(by_step), ax.evsim_passes)


@pytest.mark.parametrize("where", [{"block": 9}, {"head": 4}, {"head": -1}, {"step": 4}])
def test_attention_that_is_not_there_is_refused(trace, ax, where):
    with pytest.raises(TraceError):
        plot_attention(ax, trace, **where)


def test_recordings_are_drawn_in_space_and_time(ax):
    recording = read_recording(str(zoo_folder() / "gesture_clip_01.h5"))
    plot_events(ax, recording)
    on, off = (np.bincount(recording.y[recording.p == p] * 128 + recording.x[recording.p == p], minlength=128 * 128)
               for p in (1, 0))  # fmt: skip
    assert np.array_equal(np.asarray(ax.images[0].get_array()).ravel(), on - off)
    assert plot_events(Figure().add_subplot(), recording, "time").collections
    with pytest.raises(EvsimError, match="expected 'space' or 'time'"):
        plot_events(ax, recording, "music")


@pytest.mark.parametrize("over", ["space", "time"])
@pytest.mark.parametrize("n_channels", [1, 2, 3, 5])
def test_frames_and_images_are_drawn(over, n_channels):
    frames = np.random.default_rng(0).random((4, n_channels, 6, 7), np.float32)
    for recording in (FrameRecording(frames, "x"), ImageRecording(frames[0], "x"), FrameRecording(0 * frames, "x")):
        ax = plot_events(Figure().add_subplot(), recording, over)
        ax.figure.draw_without_rendering()
