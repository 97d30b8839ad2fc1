"""The public face: one object a network, one a run, and the same numbers as the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

import evsim
from evsim.recordings.bare_array import recording_of
from evsim.recordings.options import ReadOptions
from evsim.traces.reference import arrange, read_reference
from tests.command import call


@pytest.fixture(scope="module")
def net():
    return evsim.load("sdt-nmnist")


@pytest.fixture(scope="module")
def run(net):
    return net.run("nmnist_digit_7.h5")


def test_every_public_name_is_there_and_nothing_is_imported_before():
    probe = "import sys, evsim; loaded = [m for m in ('numpy', 'numba', 'h5py') if m in sys.modules]; assert not loaded"
    probe += "; [getattr(evsim, name) for name in evsim.__all__]; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", probe], check=True)
    with pytest.raises(AttributeError, match="public names: Asynchrony, AuditReport"):
        evsim.nonsense  # noqa: B018


def test_the_command_line_says_the_same(run, monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "run", "--json")
    assert code == 0
    said, ours = json.loads(out), run.to_dict()
    for key in ("prediction", "logits", "layers", "totals", "weights", "input", "notes"):
        assert said[key] == ours[key], key


def test_counts_by_step_and_by_head_are_the_counts_by_layer(run):
    by_layer = {row["layer"]: row for row in run.counts.to_dict()}
    for name, row in by_layer.items():
        steps = [step for step in run.counts.to_dict("step") if step["layer"] == name]
        assert sum(step["acs"] for step in steps) == row["acs"] == run.counts[name].acs
    heads = [row for row in run.counts.to_dict("head") if row["layer"] == "block.0.attn.kv"]
    assert len(heads) == 4
    assert sum(row["masks"] for row in heads) == by_layer["block.0.attn.kv"]["masks"] > 0
    assert len(run.counts) == len(run.network.handlers)
    with pytest.raises(evsim.EvsimError, match="layer, step, head"):
        run.counts.to_dict("neuron")
    with pytest.raises(KeyError, match="no layer 'x'"):
        run.counts["x"]


def test_data_frames_hold_the_same_rows(run):
    pandas = pytest.importorskip("pandas")
    frame = run.counts.to_pandas("step")
    assert isinstance(frame, pandas.DataFrame)
    assert int(frame["acs"].sum()) == run.counts.total.acs


def test_dense_spikes_stand_in_the_axes_of_the_reference(data):
    """What a reference file holds, axis for axis: the inverse of how references are read."""
    net = evsim.load(data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar")
    reference = read_reference(data / "sdt_cifar10dvs_erode_tet.npz")
    run = net.run(reference.inputs[0])
    populations = {population.name: population for population in net.network.populations()}
    assert reference.spikes
    for name, official in reference.spikes.items():
        dense = run.spikes[name].dense()
        assert dense.dtype == bool
        assert dense.size == official[:, 0].size
        again = arrange(dense, populations[name])
        np.testing.assert_array_equal(again, arrange(official[:, 0], populations[name]), err_msg=name)


def test_spikes_are_a_sequence_of_steps(run):
    layer = run.spikes["block.0.attn.q_lif"]
    assert len(layer) == run.n_steps == 4
    assert layer.n_spikes == sum(len(layer[step]) for step in range(4)) == int(layer.dense().sum())
    assert layer.rate == pytest.approx(layer.dense().mean())
    assert next(iter(run.spikes)) == "input"
    assert run.spikes["input"].dense().shape == (4, 2, 32, 32)
    with pytest.raises(KeyError, match=r"block\.0\.attn\.q_lif"):
        run.spikes["q_lif"]


@pytest.mark.parametrize(
    "wrap", [lambda a: a, lambda a: a.astype(np.float64), memoryview], ids=["int", "float", "buffer"]
)
def test_frames_in_memory_give_the_run_of_the_file(net, run, wrap):
    again = net.run(wrap(np.ascontiguousarray(run.spikes["input"].dense())))
    np.testing.assert_array_equal(again.logits, run.logits)
    assert again.counts.total == run.counts.total


def test_a_tensor_is_taken_without_importing_its_library(net, run):
    torch = pytest.importorskip("torch")
    frames = torch.tensor(run.spikes["input"].dense(), dtype=torch.float32, requires_grad=True)
    np.testing.assert_array_equal(net.run(frames).logits, run.logits)


def test_axes_can_be_named(net, run):
    frames = run.spikes["input"].dense()
    for axes, array in (
        ("T H W C", frames.transpose(0, 2, 3, 1)),
        ("hwct", frames.transpose(2, 3, 1, 0)),
        ("T,B,C,H,W", frames[:, None]),
        ("B T C H W", frames[None]),
    ):
        found = net.run(array, axes=axes)
        np.testing.assert_array_equal(found.logits, run.logits, err_msg=axes)


def test_a_batch_is_as_many_runs_and_says_so(net, run):
    frames = run.spikes["input"].dense()
    found = net.run(np.stack([frames, np.zeros_like(frames), frames], axis=1))
    assert len(found) == 3
    np.testing.assert_array_equal(found[2].logits, run.logits)
    assert "recording 2 of a batch of 3" in found[2].notes
    assert any("T B C H W" in note for note in found[0].notes)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 34, 34), "'T H W' (2 steps of one channel) or 'C H W'"),
        ((34, 34, 2), "'T H W' (34 steps of one channel) or 'H W C'"),
        ((3, 32, 3), "'C H W' (a still image of 3 channels) or 'H W C'"),
        ((4, 4, 2, 32, 32), "'T B C H W' (a batch of 4, steps first) or 'B T C H W'"),
        ((5, 6, 2, 32, 32), "'T B C H W'"),
    ],
)
def test_two_readings_are_refused_and_both_are_named(net, shape, words):
    with pytest.raises(evsim.EvsimError) as refused:
        net.run(np.zeros(shape))
    assert words in str(refused.value)
    assert "--axes" in str(refused.value)


def test_the_same_door_for_arrays_in_files(tmp_path, monkeypatch, capsys):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((2, 34, 34), np.float32))
    code, _, err = call(monkeypatch, capsys, "run", "--input", path)
    assert code == 2
    assert "'T H W'" in err
    assert "'C H W'" in err
    np.save(path, np.ones((4, 32, 32, 2), np.float32))
    code, _, err = call(monkeypatch, capsys, "run", "--input", path)
    assert code == 2
    assert "--axes 'T H W C'" in err
    code, out, _ = call(monkeypatch, capsys, "run", "--input", path, "--axes", "T H W C")
    assert code == 0
    assert "its axes were read as T H W C" in out


@pytest.mark.parametrize("axes", ["T H W X", "T T H W", "T C", "", "C H W"])
def test_axes_that_mean_nothing(net, axes):
    with pytest.raises(evsim.EvsimError, match="axes"):
        net.run(np.zeros((4, 2, 32, 32)), axes=axes)


@pytest.mark.parametrize("bad", [[1, 2, 3], {"a": 1}, np.zeros((5, 5), object), "text that is no path", 7, np.zeros(0)])
def test_what_is_no_recording(net, bad):
    with pytest.raises(evsim.EvsimError):
        net.run(bad)


def test_events_by_columns_and_by_fields(net, run):
    recording = evsim.read_recording(net.default_recording())
    columns = {name: getattr(recording, name) for name in "txyp"}
    rows = np.rec.fromarrays(list(columns.values()), names="t,x,y,p")
    for events in (columns, rows, recording):
        found = net.run(events, sensor=(34, 34))
        np.testing.assert_array_equal(found.logits, run.logits)
    assert found.report.input["sha256"] == net.run(columns, sensor=(34, 34)).report.input["sha256"]


def test_a_run_without_spikes_says_how_to_get_them(net, run):
    lean = net.run("nmnist_digit_7.h5", keep_spikes=False)
    np.testing.assert_array_equal(lean.logits, run.logits)
    assert lean.counts.total == run.counts.total
    with pytest.raises(evsim.EvsimError, match="keep_spikes=True"):
        lean.spikes  # noqa: B018


def test_what_a_notebook_shows_is_escaped(net, run):
    for shown in (net, run, run.counts, evsim.lint(net)):
        text = shown._repr_html_()
        assert text.count("<table") == text.count("</table>") > 0
    hostile = evsim.load("sdt-nmnist")
    hostile.weights.header["title"] = "<script>alert(1)</script>"
    assert "<script>" not in hostile._repr_html_()


def test_settings_are_for_checkpoints(data):
    with pytest.raises(evsim.EvsimError, match="n_steps is for a checkpoint"):
        evsim.load("sdt-nmnist", n_steps=4)
    with pytest.raises(evsim.EvsimError, match="bundled: "):
        evsim.load("no-such-network")


def test_audit_of_arrays_and_of_files_count_the_same(net, run):
    by_file = evsim.audit(net, "nmnist_digit_7.h5", energy=["none"])
    by_array = evsim.audit(net, run.spikes["input"].dense(), energy=["none"])
    assert by_file.to_dict("layers") == by_array.to_dict("layers")
    assert by_file.to_latex("layers").count("\\begin{") == by_file.to_latex("layers").count("\\end{") > 0
    with pytest.raises(evsim.EvsimError, match="no sheet 'x'; there is layers"):
        by_file["x"]


def test_a_sequence_of_recordings_and_labels_is_a_dataset(net):
    files = [(f"nmnist_digit_{digit}.h5", digit) for digit in range(10)]
    named = [(str(net.default_recording()).replace("digit_7", f"digit_{digit}"), digit) for _, digit in files]
    in_memory = [(net.run(path).spikes["input"].dense(), digit) for path, digit in named]
    by_file, by_array = evsim.evaluate(net, named, workers=1), evsim.evaluate(net, in_memory, workers=2)
    assert [o.prediction for o in by_file.outcomes] == [o.prediction for o in by_array.outcomes]
    assert by_file.mean_counts == by_array.mean_counts
    assert by_file.top1.n == 10


@pytest.mark.parametrize("bad", [[1, 2], [("a",)], [(np.zeros(3), "cat")], [(np.zeros(3), 1.5)], 7])
def test_what_is_no_dataset(net, bad):
    with pytest.raises(evsim.EvsimError):
        evsim.evaluate(net, bad)


def test_a_dataset_of_tonic_with_its_transforms(net, tmp_path):
    """An object with a length, entries (events, label), sensor_size and classes, as tonic's are."""
    recording = evsim.read_recording(net.default_recording())
    rows = np.rec.fromarrays([recording.x, recording.y, recording.t, recording.p], names="x,y,t,p")

    class Sevens:
        sensor_size = (34, 34, 2)
        classes = tuple(str(digit) for digit in range(10))
        targets = (7, 7)

        def __len__(self):
            return 2

        def __getitem__(self, i):
            return rows, 7

    report = evsim.evaluate(net, Sevens())
    assert (report.top1.hits, report.top1.n) == (2, 2)


def test_one_recording_of_a_batch_by_its_number():
    array = np.stack([np.full((4, 1, 3, 3), i) for i in range(3)])
    found = recording_of("x.npy", array, ReadOptions(axes="B T C H W", index="2"), "array")
    assert (found.frames == 2).all()
    assert any("holds 3 recordings" in note for note in found.notes)


def test_frames_with_labels_in_a_file_are_a_dataset(net, tmp_path, monkeypatch, capsys):
    digits = [net.run(f"nmnist_digit_{digit}.h5") for digit in (2, 7, 4)]
    frames = np.stack([run.spikes["input"].dense() for run in digits])
    path = tmp_path / "frames.npz"
    np.savez(path, frames=frames, labels=np.array([2, 7, 4]))
    report = evsim.evaluate(net, path, workers=1)
    assert [outcome.prediction for outcome in report.outcomes] == [run.prediction for run in digits]
    assert [outcome.label for outcome in report.outcomes] == [2, 7, 4]
    np.testing.assert_array_equal(net.run(path, index=1).logits, digits[1].logits)
    np.savez(path, frames=frames, labels=np.array([2, 7]))
    code, _, err = call(monkeypatch, capsys, "evaluate", "-d", path)
    assert code == 2
    assert "labels of shape [2]" in err


def test_the_sensor_is_two_numbers_or_their_text():
    net = evsim.load("sdt-nmnist")
    events = {name: np.arange(40) % 30 for name in "xy"} | {"t": np.arange(40) * 1000, "p": np.arange(40) % 2}
    told = [net.run(events, sensor=sensor).logits for sensor in ("32x32", (32, 32), [32, 32])]
    assert np.array_equal(told[0], told[1])
    assert np.array_equal(told[0], told[2])
    for sensor in ("a", "32", 5, (32,), (None, 2), "999999999999x3"):
        with pytest.raises(
            evsim.EvsimError, match=r"^sensor .*: expected \(height, width\) in pixels, or text like '34x34'$"
        ):
            net.run(events, sensor=sensor)


def test_what_is_no_text_is_refused_in_a_line():
    with pytest.raises(evsim.EvsimError, match=r"^--axes 5: expected text"):
        evsim.load("sdt-nmnist").run(np.zeros((4, 2, 32, 32), np.float32), axes=5)
    for source in (None, 5):
        with pytest.raises(evsim.EvsimError, match=r"^load\(\w+\): expected the name of a bundled network, or a path$"):
            evsim.load(source)


def test_a_refusal_says_that_nobody_named_the_recording():
    with pytest.raises(evsim.EvsimError, match=r"nmnist_digit_7\.h5: .*taken because no --input was given$"):
        evsim.load("sdt-nmnist").run(dt="1ms")
    with pytest.raises(evsim.EvsimError) as refusal:
        evsim.load("sdt-nmnist").run("nmnist_digit_7.h5", dt="1ms")
    assert "no --input" not in str(refusal.value)
