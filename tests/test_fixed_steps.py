"""Steps of a fixed length: which events they hold, how many they are, and that no network's T changes in silence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evsim as package
from evsim.checkpoints.weights import Weights, read_weights, write_weights
from evsim.errors import CheckpointError, EvsimError, RecordingError
from evsim.loading.importing import load_network
from evsim.recordings import EventRecording, bin_events, to_steps
from evsim.recordings.binning import split_by_length, steps_filled
from evsim.recordings.duration import parse_microseconds, written
from tests.nir_nets import Maker, chain, flatten, small
from tests.nir_nets import written as written_nir

SENSOR = (6, 6)


def recording(t, sensor=SENSOR, path=""):
    t = np.asarray(t, np.int64)
    place = np.arange(t.size)
    return EventRecording(t, place % sensor[1], place // sensor[1] % sensor[0], place % 2, sensor, "test", path=path)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60).map(sorted), st.integers(1, 700), st.integers(1, 12),
       st.integers(-(10**9), 10**9))  # fmt: skip
def test_each_event_is_in_the_step_of_its_time(t, length, n_steps, origin):
    """The rule, one event at a time; events behind the last step are in none."""
    t = np.array(t) + origin
    edges = split_by_length(t, n_steps, length)
    assert edges.size == n_steps + 1
    for i, time in enumerate(t):
        step = (int(time) - int(t[0])) // length
        inside = [k for k in range(n_steps) if edges[k] <= i < edges[k + 1]]
        assert inside == ([step] if step < n_steps else [])
    assert steps_filled(t, length) == (int(t[-1]) - int(t[0])) // length + 1


@pytest.mark.parametrize("length", [1, 10**6, 10**18])
def test_lengths_of_any_size(length):
    t = np.array([0, 5, 10**17])
    edges = split_by_length(t, 3, length)
    assert edges[0] == 0
    assert edges[1] == (1 if length == 1 else 2 if length < 10**17 else 3)
    assert edges[-1] == (3 if length == 10**18 else 1 if length == 1 else 2)


def test_frames_and_the_note_say_what_was_left_out():
    found = recording([0, 999, 1000, 2500, 7000])
    frames = bin_events(found, 3, 1000)
    assert frames.sum(axis=(1, 2, 3)).tolist() == [2, 1, 1]
    steps = to_steps(found, 3, 2, *SENSOR, split_by=1000)
    assert steps.notes == ("4 events were cut into 3 steps of 1ms from the first event on; 1 later event left out",)
    assert [len(spikes) for spikes in steps.spikes] == [2, 1, 1]
    assert [len(order) for order in steps.arrival()] == [2, 1, 1]


def test_steps_behind_the_last_event_are_empty():
    steps = to_steps(recording([0, 10]), 5, 2, *SENSOR, split_by=1000)
    assert [len(spikes) for spikes in steps.spikes] == [2, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "microseconds"), [("1ms", 1000), ("0.5s", 500_000), ("20us", 20), (" 3 ms".replace(" ", ""), 3000)]
)
def test_lengths_as_people_write_them(text, microseconds):
    assert parse_microseconds(text, "dt") == microseconds
    assert parse_microseconds(written(microseconds), "dt") == microseconds


@pytest.mark.parametrize("text", ["", "1", "ms", "-1ms", "0ms", "0.1us", "1h", "1e3ms", "nanms", "1ms2"])
def test_lengths_that_are_none(text):
    with pytest.raises(RecordingError, match=r"--dt .*: expected a time such as 100ms"):
        parse_microseconds(text, "dt")


# ---- a network whose T is part of it


def test_a_network_keeps_its_own_number_of_steps():
    net = package.load("sdt-nmnist")
    t = np.arange(net.n_steps) * 1000
    events = recording(t, (34, 34))
    assert net.run(events, dt="1ms").n_steps == net.n_steps
    with pytest.raises(EvsimError, match=rf"--dt 500us: makes .* and the network takes {net.n_steps}: --steps"):
        net.run(events, dt="500us")
    run = net.run(events, dt="500us", steps=net.n_steps)
    assert run.n_steps == net.n_steps
    assert any("left out" in note for note in run.notes)
    with pytest.raises(EvsimError, match=r"--steps 3: the number of steps \(4\) is part of the model and cannot"):
        net.run(events, steps=3)
    with pytest.raises(EvsimError, match="--split-by time: cuts in another way than --dt"):
        net.run(events, dt="1ms", split_by="time")


def test_what_is_no_events_is_cut_by_nothing():
    net = package.load("sdt-nmnist")
    with pytest.raises(EvsimError, match="--dt 1ms: cuts events, and this recording has none"):
        net.run(np.zeros((net.n_steps, 2, 34, 34), np.float32), dt="1ms")


def test_the_command_line_refuses_with_the_name_of_the_file(evsim):
    code, _, err = evsim("run", "-w", "sdt-nmnist", "--dt", "1ms")
    assert code == 2
    assert err.startswith("evsim: ")
    assert "nmnist_digit_7.h5: --dt 1ms: makes " in err
    code, _, err = evsim("run", "-w", "sdt-nmnist", "--dt", "1ms", "--split-by", "time")
    assert code == 2
    assert "--split-by time: cuts in another way than --dt" in err


def test_frames_of_another_number_do_not_run_on_a_recorded_network(tmp_path):
    from dataclasses import asdict

    from evsim.graph.file import to_weights
    from evsim.networks.recorded import describe
    from tests.graph_nets import Maker as GraphMaker

    m = GraphMaker((1, 1, 2, 6, 6), axes="TBCHW")
    spikes = m.fire(m.conv(m.reshape(m.input, 1, 2, 6, 6), 4), "lif")
    graph = m.graph(m.classify(spikes), n_steps=4)
    path = tmp_path / "net.npz"
    write_weights(path, to_weights(graph, None, {"hyper_parameters": asdict(describe(graph))}))
    net = package.load(path)
    assert net.run(np.ones((4, 2, 6, 6), np.float32)).n_steps == 4
    with pytest.raises(EvsimError, match="the file has 7 frames, but the network needs 4 steps; --axes says what"):
        net.run(np.ones((7, 2, 6, 6), np.float32))
    with pytest.raises(EvsimError, match="the file has 1 frame, but the network needs 4 steps; --axes says what"):
        net.run(np.ones((1, 2, 6, 6), np.float32))
    with pytest.raises(EvsimError, match="--dt 1ms: makes 9 steps of this recording, and the network takes 4"):
        net.run(recording(np.arange(9) * 1000), dt="1ms")


# ---- a network that takes any number


@pytest.fixture
def imported(tmp_path):
    return written_nir(small("LIF", v_threshold=0.5), tmp_path / "net.nir")


def test_steps_come_from_the_user_the_file_or_the_recording(imported):
    events = recording(np.arange(40) * 300)
    net = package.load(imported, dt="1ms")
    assert net.run(events).n_steps == 12
    assert net.run(events, steps=5).n_steps == 5
    assert net.run(events, steps=20, dt="1ms").n_steps == 20
    assert package.load(imported, dt="1ms", steps=7).run(events).n_steps == 7
    np.testing.assert_array_equal(net.run(events, steps=5).logits_by_step, net.run(events).logits_by_step[:5])


def test_time_constants_are_for_steps_of_one_length(imported):
    net = package.load(imported, dt="1ms")
    with pytest.raises(EvsimError, match="--dt 2ms: the network was imported for steps of 1ms, which its time const"):
        net.run(recording([0, 5000]), dt="2ms")


def test_an_image_is_shown_as_often_as_somebody_says(tmp_path):
    m = Maker()
    graph = chain((1, 6, 6), m.conv2d(1, 4), m.neurons("IF", 4, 6, 6), flatten(4, 6, 6), m.affine(144, 3))
    net = package.load(written_nir(graph, tmp_path / "net.nir"), dt="1ms")
    image = np.ones((1, 6, 6), np.float32)
    with pytest.raises(
        EvsimError, match=r"the network takes any number of steps, and nothing says how many: .*--steps"
    ):
        net.run(image)
    assert net.run(image, steps=6).n_steps == 6


def test_splitting_in_another_way_is_said_in_the_notes(imported):
    net = package.load(imported, dt="1ms", steps=4)
    run = net.run(recording(np.arange(40) * 300), split_by="number")
    assert run.notes == ("40 events were cut into 4 steps by number",)


def test_every_verb_takes_a_length_of_a_step(evsim, imported, tmp_path):
    path, events = tmp_path / "net.npz", tmp_path / "events.npz"
    one = recording(np.arange(40) * 300)
    np.savez(events, t=one.t, x=one.x, y=one.y, p=one.p)
    code, out, _ = evsim("import", imported, "-o", path, "--dt", "1ms", "--steps", "9")
    assert code == 0
    assert "input: dt 1ms, steps 9" in out
    told = ("-w", path, "--input", events, "--sensor", "6x6", "--dt", "1ms", "--steps", "5")
    for verb, *more in (("run",), ("audit",), ("lint",), ("raster", "-o", tmp_path / "r.png"),
                        ("report", "-o", tmp_path / "r.html")):  # fmt: skip
        code, out, err = evsim(verb, *told, *more)
        assert code == 0, (verb, err)
    code, out, _ = evsim("run", *told[:6], "--json")
    assert json.loads(out)["n_steps"] == 9


def test_an_evaluation_remembers_how_it_cut(evsim, imported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = package.load(imported, dt="1ms")
    pairs = [(recording(np.arange(40) * 300), label) for label in (0, 1, 2)]
    report = package.evaluate(net, pairs, steps=4, dt="1ms", workers=1)
    assert report.identity["options"]["steps"] == 4
    assert report.identity["options"]["dt"] == 1000
    assert "steps" not in package.evaluate(net, pairs, workers=1).identity["options"]


@pytest.mark.parametrize(
    "entry", [{"dt": "1"}, {"dt": "0ms"}, {"steps": "0"}, {"steps": "many"}, {"steps": "1000000"}, {"dt": 5}]
)
def test_a_header_that_says_nonsense_of_time_is_refused(evsim, imported, tmp_path, entry):
    path = tmp_path / "net.npz"
    assert evsim("import", imported, "-o", path, "--dt", "1ms")[0] == 0
    weights = read_weights(path)
    write_weights(path, Weights(weights.tensors, weights.header | {"input": entry}))
    with pytest.raises(CheckpointError, match=r"net.npz: .*(input|texts)"):
        load_network(str(path))
