"""--mode asynchronous on the command line, in reports, traces and pictures; what a user may get wrong."""

import json

import numpy as np
import pytest

import evsim
from evsim.asynchronous import Asynchrony
from evsim.errors import EvsimError, TraceError
from evsim.plots import plot_decision, plot_raster
from evsim.plots.sequence import in_sequence
from evsim.runs.run import run_asynchronously
from evsim.traces.trace import read_trace
from tests.contract import needs_jit

ASYNCHRONOUS = ("run", "--precision", "int16", "--mode", "asynchronous")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--group", "0"], "--group 0: expected a whole number of spikes from 1, or all"),
        (["--group", "-3"], "--group -3"),
        (["--group", "many"], "--group many"),
        (["--group", "1" * 30], "--group"),
        (["--schedule", "lifo"], "--schedule lifo: expected layer, depth, fifo, random or momentum"),
        (["--commit", "never"], "--commit never: expected crossing or delivery"),
        (["--bias", "early"], "--bias early: expected start or late"),
        (["--after-spike", "forget"], "--after-spike forget: expected drop or keep"),
        (["--seed", "1"], "--seed 1: nothing is random with --schedule fifo"),
        (["--seed", "0", "--schedule", "depth"], "--seed 0: nothing is random with --schedule depth"),
        (["--seed", "-1", "--schedule", "random"], "--seed -1: expected a whole number from 0"),
        (["--stop-at-decision", "0"], "--stop-at-decision 0"),
        (["--schedule", "layer", "--group", "4"], "--group and --commit mean nothing there"),
        (["--schedule", "layer", "--commit", "crossing"], "--group and --commit mean nothing there"),
        (["--schedule", "layer", "--bias", "late"], "--schedule layer is the barrier"),
        (["--schedule", "layer", "--refire"], "--schedule layer is the barrier"),
        (["--threads", "2"], "--threads 2: an asynchronous run has one thread"),
        (["--order", "step"], "--order: means nothing to --mode asynchronous"),
        (["--follow", "-"], "--follow: means nothing to --mode asynchronous"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_2(evsim, options, told):
    code, out, err = evsim(*ASYNCHRONOUS, *options)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--group", "1"],
        ["--schedule", "fifo"],
        ["--commit", "crossing"],
        ["--bias", "late"],
        ["--seed", "0"],
        ["--refire"],
        ["--after-spike", "keep"],
        ["--stop-at-decision", "9"],
    ],
)
@pytest.mark.parametrize("verb", [["run"], ["evaluate", "--dataset", "nmnist"]])
def test_options_of_the_mode_do_not_go_without_it(evsim, verb, options):
    code, _, err = evsim(*verb, *options)
    assert code == 2
    assert err == f"evsim: {options[0]}: goes with --mode asynchronous\n"


def test_an_unknown_mode_is_refused(evsim):
    code, _, err = evsim("run", "--mode", "clockless")
    assert (code, err) == (2, "evsim: --mode clockless: expected synchronous or asynchronous\n")


@pytest.mark.parametrize("group", [0, -1, 1.5, True, "1"])
def test_python_is_told_what_a_group_is(group):
    with pytest.raises(EvsimError, match="--group"):
        Asynchrony(group=group)


@pytest.mark.parametrize("told", [{"order": "step"}, {"threads": 2}])
def test_the_python_face_refuses_what_means_nothing(told):
    with pytest.raises(EvsimError, match="order and threads mean nothing"):
        evsim.load("sdt-nmnist").run(asynchronous=Asynchrony(), **told)


@pytest.fixture(scope="module")
def network():
    return evsim.load("sdt-nmnist", precision="int16")


@needs_jit
def test_the_report_says_how_it_ran(evsim, network):
    code, out, _ = evsim(*ASYNCHRONOUS, "--schedule", "random", "--seed", "5", "--group", "all", "--json")
    told = json.loads(out)
    assert (code, told["mode"]) == (0, "asynchronous")
    found = told["asynchronous"]
    assert {name: found[name] for name in ("schedule", "seed", "group", "commit", "bias", "refire", "after_spike")} == {
        "schedule": "random", "seed": 5, "group": None, "commit": "delivery", "bias": "start", "refire": False,
        "after_spike": "drop",
    }  # fmt: skip
    assert (found["barriers"], found["undone"]) == ([], None)
    assert 0 < found["decision"]["delivery"] <= found["deliveries"]
    events_in = sum(row["counts"]["events_out"] for row in told["layers"] if row["neurons"])
    assert found["deliveries"] > events_in > 1000
    assert told["totals"]["membrane_adds"] > told["totals"]["event_acs"] > 0
    _, out, _ = evsim("run", "--precision", "int16", "--json")
    told = json.loads(out)
    assert (told["mode"], told["asynchronous"], told["totals"]["membrane_adds"]) == ("synchronous", None, 0)


@needs_jit
def test_depth_gives_the_logits_of_the_synchronous_run_on_the_bundled_recording(network):
    ours, theirs = network.run(asynchronous=Asynchrony("depth")), network.run()
    np.testing.assert_array_equal(ours.logits_by_step, theirs.logits_by_step)
    assert ours.prediction == theirs.true_class
    assert ours.asynchronous["withdrawn"] > 1000
    with pytest.raises(EvsimError, match="no layer barriers"):
        _ = ours.audited


@needs_jit
def test_the_text_says_it_too(evsim):
    code, out, _ = evsim(*ASYNCHRONOUS, "--commit", "crossing", "--stop-at-decision", "500")
    assert code == 0
    assert "asynchronous: schedule fifo, 1 a group, commit at crossing, positive biases start" in out
    for word in ("delivered ", "decision ", "barriers    none", "undone "):
        assert word in out


@needs_jit
def test_a_run_that_stops_says_what_it_left(network):
    whole = network.run(asynchronous=Asynchrony("depth"))
    stopped = network.run(asynchronous=Asynchrony("depth", stop_at_decision=2000))
    told = stopped.asynchronous
    assert told["undone"]["steps"] + stopped.n_steps == whole.n_steps
    assert told["deliveries"] < whole.asynchronous["deliveries"]
    assert told["deliveries"] >= told["decision"]["delivery"] + 2000
    assert told["undone"]["waiting"] + told["undone"]["input_events"] > 0


@needs_jit
def test_the_trace_keeps_the_order_and_the_raster_shows_it(evsim, tmp_path):
    path = tmp_path / "run.h5"
    assert evsim(*ASYNCHRONOUS, "--trace", path)[0] == 0
    trace = read_trace(path)
    assert trace.provenance["mode"] == "asynchronous"
    for step in range(trace.n_steps):
        places = np.concatenate([layer.order[layer.step == step] for layer in trace.layers.values()])
        assert sorted(places) == list(range(places.size))
    sequenced = in_sequence(trace)
    drawn = sum(layer.step.size for layer in sequenced.trace.layers.values())
    assert drawn == sum(layer.step.size for layer in trace.layers.values())
    assert sequenced.trace.n_steps <= 240
    assert evsim("raster", "--trace", path, "--by", "order", "-o", tmp_path / "order.png")[0] == 0
    assert (tmp_path / "order.png").stat().st_size > 10_000


@needs_jit
def test_what_is_made_of_the_trace_says_that_the_run_was_asynchronous(evsim, tmp_path):
    path, page = tmp_path / "run.h5", tmp_path / "report.html"
    evsim(*ASYNCHRONOUS, "--trace", path)
    note = "an asynchronous run, without layer barriers"
    for verb in ("audit", "lint"):
        code, out, _ = evsim(verb, "--trace", path, "--format", "json")
        assert (code, note in json.loads(out)["provenance"]["notes"][0]) == (0, True)
    assert evsim("report", "--trace", path, "-o", page)[0] == 0
    assert note in page.read_text()
    assert "4 steps, asynchronous, network family sdt" in evsim("info", path)[1]


@needs_jit
def test_without_an_order_there_is_no_sequence_to_draw(evsim, tmp_path, network):
    with pytest.raises(TraceError, match="no order of spikes"):
        in_sequence(network.run().trace)
    code, _, err = evsim("raster", "--by", "order", "-o", tmp_path / "order.png")
    assert (code, err.count("\n")) == (2, 1)


@needs_jit
def test_a_damaged_order_is_refused(evsim, tmp_path):
    import h5py

    path = tmp_path / "run.h5"
    evsim(*ASYNCHRONOUS, "--trace", path)
    for broken in (np.zeros(3, np.int64), np.full(1, -1), np.zeros(1)):
        with h5py.File(path, "a") as file:
            group = file["spikes/head_lif"]
            n = group["step"].size
            del group["order"]
            group["order"] = broken if broken.size == 3 else np.resize(broken, n)
        with pytest.raises(TraceError, match="head_lif"):
            read_trace(path)


@needs_jit
def test_pictures_of_the_sequence_and_of_the_decision(network):
    from matplotlib.figure import Figure

    from evsim.loading.zoo import find_recording
    from evsim.runs.preparation import Preparation, prepare_input

    ax = Figure().add_subplot()
    plot_raster(ax, network.run(asynchronous=Asynchrony()).trace, "head_lif", by="order")
    assert len(ax.lines) == 3  # between four steps
    path = find_recording("nmnist_digit_7.h5")
    steps = prepare_input(network.network, network.weights, path, Preparation())
    result = run_asynchronously(network.network, steps, Asynchrony("depth"), keeps_curve=True)
    deliveries, logits = result.curve[:, 0], result.curve[:, 1:]
    assert (np.diff(deliveries) > 0).all()
    assert 1000 < len(deliveries) <= 4096
    assert np.argmax(logits[-1]) == result.prediction
    plot_decision(ax, result)
    with pytest.raises(EvsimError, match="keeps_curve"):
        plot_decision(ax, run_asynchronously(network.network, steps, Asynchrony("layer")))


@needs_jit
def test_evaluate_says_so_and_counts_the_same(evsim, tmp_path):
    from evsim.loading.zoo import find_recording

    path = find_recording("nmnist_test_100.h5")
    common = ("evaluate", "-d", path, "--precision", "int16", "--limit", "6", "--json")
    assert (
        evsim(*common, tmp_path / "a.json", "--mode", "asynchronous", "--schedule", "depth", "--workers", "1")[0] == 0
    )
    assert (
        evsim(*common, tmp_path / "b.json", "--mode", "asynchronous", "--schedule", "depth", "--workers", "2")[0] == 0
    )
    assert evsim(*common, tmp_path / "c.json")[0] == 0
    ours, again, theirs = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "abc")
    assert ours["identity"]["options"]["asynchronous"]["schedule"] == "depth"
    assert theirs["identity"]["options"]["asynchronous"] is None
    for one, two, synchronous in zip(ours["outcomes"], again["outcomes"], theirs["outcomes"], strict=True):
        assert one["top"] == two["top"] == synchronous["top"]
        assert one["counts"] == two["counts"]
        assert one["counts"]["acs"] == synchronous["counts"]["acs"]
        assert one["asynchronous"] == two["asynchronous"]
        assert 0 < one["asynchronous"]["decision"]["share"] < 1


def test_all_is_a_group_in_python_too():
    assert Asynchrony("fifo", group="all") == Asynchrony("fifo", group=None)
