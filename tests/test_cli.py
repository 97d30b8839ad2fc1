"""The command line as a user meets it: outputs, exit codes, and one line for each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from evsim.checkpoints import Weights, read_weights, write_weights
from evsim.engine.ledger import COUNTS
from evsim.loading.zoo import zoo_folder
from evsim.traces.trace import read_trace

DIGIT = str(zoo_folder() / "nmnist_digit_7.h5")


def assert_refused(outcome, *words):
    code, out, err = outcome
    assert code == 2
    assert out == ""
    assert err.startswith("evsim: ")
    assert len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err


def write_events(path, **columns):
    n = len(next(iter(columns.values())))
    defaults = {"t": np.arange(n), "x": np.zeros(n), "y": np.zeros(n), "p": np.zeros(n)}
    with h5py.File(path, "w") as file:
        for name, column in (defaults | columns).items():
            file[f"events/{name}"] = np.asarray(column)
        file["events"].attrs["sensor_height"] = file["events"].attrs["sensor_width"] = 34
        file.attrs["sensor_height"] = file.attrs["sensor_width"] = 34
    return path


def test_run_without_options_runs_the_bundled_example(evsim):
    code, out, _ = evsim("run")
    assert code == 0
    assert "prediction  class 7 (7); the recording is labelled 7: right" in out
    assert "block.1.mlp.fc2_conv" in out


@pytest.mark.parametrize("width", ["60", "80", "100", "200"])
def test_table_never_cuts_a_number(evsim, monkeypatch, width):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    out = evsim("run")[1]
    lines = [line for line in out.splitlines() if "fc1_c" in line or "total" in line]
    assert len(lines) == 3
    for number in ("1,188,864", "1,540,352", "7,466,779"):
        assert any(number in line for line in lines)


def test_json_holds_the_same_run_and_is_reproducible(evsim):
    volatile = ("wall_seconds", "compile_seconds", "peak_memory_bytes")
    first, second = (json.loads(evsim("run", "--json", "-i", DIGIT)[1]) for _ in range(2))
    assert first["schema"] == "evsim-run/2"
    assert first["prediction"] == first["true_class"] == 7
    assert set(first["totals"]) == {*COUNTS, "unit_acs"}  # the former name of acs, for one version
    assert {k: v for k, v in first.items() if k not in volatile} == {
        k: v for k, v in second.items() if k not in volatile
    }


def test_json_totals_are_the_sums_of_the_layers(evsim):
    report = json.loads(evsim("run", "--json")[1])
    for count in COUNTS:
        assert report["totals"][count] == sum(layer["counts"][count] for layer in report["layers"])


def test_both_orders_give_the_same_counts(evsim):
    step, stage = (json.loads(evsim("run", "--json", "--order", order)[1]) for order in ("step", "stage"))
    assert step["layers"] == stage["layers"]
    assert step["logits"] == stage["logits"]


def test_trace_is_plain_hdf5_and_agrees_with_the_table(evsim, tmp_path):
    path = tmp_path / "run.h5"
    _, out, _ = evsim("run", "--json", "--trace", path)
    layers = {layer["name"]: layer["counts"] for layer in json.loads(out)["layers"]}
    with h5py.File(path) as file:
        names = [name for name in file["spikes"] if name != "input"]
        assert len(names) == 19
        for name in names:
            group = file[f"spikes/{name}"]
            assert group["step"].dtype == np.int32
            assert group["address"].dtype == np.int64
            assert group["step"].size == group["address"].size == layers[name]["events_out"]
            assert len(group.attrs["axes"].split(",")) == group.attrs["shape"].size
    trace = read_trace(path)
    assert trace.ledger.total("head").acs == layers["head"]["acs"]
    assert list(path.parent.iterdir()) == [path]


def test_info_describes_every_kind_of_file(evsim, tmp_path, data):
    trace = tmp_path / "run.h5"
    evsim("run", "--trace", trace)
    assert "34 rows x 34 columns" in evsim("info", DIGIT)[1]
    assert "evsim trace of 4 steps" in evsim("info", trace)[1]
    assert "family sdt" in evsim("info", zoo_folder() / "sdt-nmnist.npz")[1]
    assert "recognised: Spike-driven Transformer" in evsim("info", data / "sdt_mlp1.legacy_zip_false.pth")[1]


def test_import_asks_for_what_the_checkpoint_does_not_tell(evsim, tmp_path, data):
    output = tmp_path / "out.npz"
    bare = data / "sdt_mlp1.legacy_zip_false.pth"
    known = ["--set", "img_size=32", "--set", "n_steps=4", "--set", "pooling_stat=0011", "--set", "dvs_mode=false"]
    for i, name in enumerate(("img_size", "n_steps", "pooling_stat", "dvs_mode")):
        assert_refused(evsim("import", bare, "-o", output, *known[: 2 * i]), name, "--set")
    assert not output.exists()
    code, out, _ = evsim("import", bare, "-o", output, *known)
    assert code == 0
    assert "talking_heads" in out
    assert output.exists()


@pytest.mark.parametrize(
    ("setting", "word"),
    [("n_steps=0", "n_steps"), ("n_steps=x", "n_steps"), ("pooling_stat=01", "pooling_stat"),
     ("nonsense", "NAME=VALUE"),
     ("colour=red", "colour"), ("dvs_mode=perhaps", "dvs_mode"), ("img_size=33", "33")],
)  # fmt: skip
def test_import_refuses_nonsense_settings(evsim, tmp_path, data, setting, word):
    known = ["img_size=32", "n_steps=4", "pooling_stat=0011", "dvs_mode=false"]
    kept = [entry for entry in known if entry.split("=")[0] != setting.split("=")[0]]
    settings = [part for entry in [*kept, setting] for part in ("--set", entry)]
    outcome = evsim("import", data / "sdt_mlp1.legacy_zip_false.pth", "-o", tmp_path / "o.npz", *settings)
    assert_refused(outcome, word)


def test_missing_and_unreadable_inputs_are_named(evsim, tmp_path):
    empty, text, folder = tmp_path / "empty.h5", tmp_path / "words.h5", tmp_path / "folder"
    empty.touch()
    text.write_text("these are words")
    folder.mkdir()
    for path in (tmp_path / "absent.h5", empty, text, folder):
        assert_refused(evsim("run", "-i", path), path.name)
        assert_refused(evsim("info", path), path.name)
        assert_refused(evsim("import", path, "-o", tmp_path / "o.npz"), path.name)
        assert_refused(evsim("verify", "-w", "sdt-nmnist", "-r", path), path.name)
    for path in (empty, text, folder):
        assert_refused(evsim("run", "-w", path), path.name)
    assert_refused(evsim("run", "-w", "no-such-network"), "no-such-network", "sdt-nmnist")


def test_truncated_files_are_refused(evsim, tmp_path, data):
    weights = (zoo_folder() / "sdt-nmnist.npz").read_bytes()
    checkpoint = (data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar").read_bytes()
    digit = Path(DIGIT).read_bytes()
    for name, content in (("w.npz", weights), ("c.pth.tar", checkpoint), ("d.h5", digit)):
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert_refused(evsim("run", "-w", tmp_path / "w.npz"), "w.npz")
    assert_refused(evsim("import", tmp_path / "c.pth.tar", "-o", tmp_path / "o.npz"), "c.pth.tar")
    assert_refused(evsim("run", "-i", tmp_path / "d.h5"), "d.h5")


def test_bad_events_are_refused(evsim, tmp_path):
    nan = write_events(tmp_path / "nan.h5", x=[1.0, np.nan, 2.0])
    negative = write_events(tmp_path / "negative.h5", x=[1, -1, 2])
    none = write_events(tmp_path / "none.h5", x=np.empty(0))
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["temperature"] = [1.0, 2.0]
    for path in (nan, negative, none, other):
        assert_refused(evsim("run", "-i", path), path.name)


def test_unsorted_times_are_sorted_and_said(evsim, tmp_path):
    path = write_events(tmp_path / "unsorted.h5", t=[30, 10, 20, 40], x=[1, 2, 3, 4])
    code, out, _ = evsim("run", "-i", path)
    assert code == 0
    assert "sorted" in out


def test_sensor_that_does_not_fit_names_both_sizes(evsim):
    assert_refused(evsim("run", "-i", zoo_folder() / "gesture_clip_01.h5"), "128x128", "32x32")


def test_wrong_number_of_channels_is_refused(evsim, tmp_path):
    path = tmp_path / "frames.npz"
    np.savez(path, frames=np.ones((4, 3, 32, 32), np.float32))
    assert_refused(evsim("run", "-i", path), "3", "2")


def test_checkpoint_of_another_network_is_refused(evsim, tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "resnet.safetensors"
    save_file({"layer1.0.conv1.weight": np.ones((2, 2), np.float32)}, path)
    assert_refused(evsim("import", path, "-o", tmp_path / "o.npz"), "resnet.safetensors", "layer1.0.conv1.weight")


def test_verify_agrees_with_its_reference_and_not_with_another(evsim, tmp_path, data):
    weights = tmp_path / "w.npz"
    evsim("import", data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar", "-o", weights)
    code, out, _ = evsim("verify", "-w", weights, "-r", data / "sdt_cifar10dvs_erode_tet.npz")
    assert code == 0
    assert "free-running: 0 of 1,081,728 neuron-steps differ" in out
    with np.load(data / "sdt_cifar10dvs_erode_tet.npz") as file:
        entries = dict(file)
    flipped = entries["spk/block.0.attn.q_lif"].copy()
    flipped[100] ^= 0b1000
    np.savez(tmp_path / "other.npz", **(entries | {"spk/block.0.attn.q_lif": flipped}))
    code, out, _ = evsim("verify", "-w", weights, "-r", tmp_path / "other.npz")
    assert code == 1
    assert "OUTSIDE" in out
    assert "DISAGREES" in out


def test_verify_refuses_a_reference_of_another_network(evsim, data):
    assert_refused(evsim("verify", "-w", "sdt-nmnist", "-r", data / "sdt_mlp1.npz"))


def test_outputs_that_cannot_be_written_are_refused(evsim, tmp_path, data):
    assert_refused(evsim("run", "--trace", tmp_path / "absent" / "run.h5"), "run.h5")
    erode = data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar"
    assert_refused(evsim("import", erode, "-o", tmp_path / "absent" / "o.npz"), "o.npz")


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="one process is enough")
def test_help_imports_nothing_slow():
    probe = (
        "import sys; sys.argv = ['evsim', '--help']\nfrom evsim.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    )
    probe += "print([name for name in ('numba', 'tonic', 'matplotlib', 'h5py', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize(
    "change",
    [
        {"depth": "two"}, {"depth": 10**9}, {"depth": None}, {"n_steps": -1}, {"pooling_stat": "x"}, {"n_heads": 0},
        {"height": 99_000, "width": 99_000}, {"spike_mode": "plif"}, {"colour": 1}, {"dvs_mode": 1}, {"n_channels": 8},
    ],
)  # fmt: skip
def test_weights_file_with_a_lying_header_is_refused(evsim, tmp_path, change):
    weights = read_weights(zoo_folder() / "sdt-nmnist.npz")
    header = weights.header | {"hyper_parameters": weights.header["hyper_parameters"] | change}
    write_weights(tmp_path / "w.npz", Weights(weights.tensors, header))
    assert_refused(evsim("run", "-w", tmp_path / "w.npz"))


@pytest.mark.parametrize(
    "change", [{"input": "x"}, {"input": {"fit": "x"}}, {"normalisation": {"x": 1}}, {"family": "resnet"}]
)
def test_weights_file_with_a_lying_input_is_refused(evsim, tmp_path, change):
    weights = read_weights(zoo_folder() / "sdt-nmnist.npz")
    write_weights(tmp_path / "w.npz", Weights(weights.tensors, weights.header | change))
    assert_refused(evsim("run", "-w", tmp_path / "w.npz"))


def test_picture_is_resized_and_cropped_as_asked_and_refused_otherwise(evsim, tmp_path, data):
    from PIL import Image

    weights, picture = tmp_path / "w.npz", tmp_path / "picture.png"
    known = ["img_size=32", "n_steps=4", "pooling_stat=0011", "dvs_mode=false"]
    settings = [part for entry in known for part in ("--set", entry)]
    evsim("import", data / "sdt_mlp1.legacy_zip_false.pth", "-o", weights, *settings)
    mean_std = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    loaded = read_weights(weights)
    write_weights(weights, Weights(loaded.tensors, loaded.header | {"normalisation": mean_std}))
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture)
    assert_refused(evsim("run", "-w", weights, "-i", picture), "60x80", "32x32")
    code, out, _ = evsim("run", "-w", weights, "-i", picture, "--crop-pct", "0.95")
    assert code == 0
    assert "prediction" in out
