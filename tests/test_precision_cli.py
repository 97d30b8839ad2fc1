"""``--precision`` and ``evsim import --quantise``: what is said, what a weights file remembers, what is refused."""

import json

import numpy as np
import pytest

from evsim.checkpoints import Weights, read_weights, write_weights
from evsim.errors import CheckpointError
from evsim.evaluation.quantisation import bundled_recordings, compare_precisions, find_recordings
from evsim.loading.zoo import find_weights, zoo_folder
from tests.contract import needs_jit

pytestmark = needs_jit

HUNDRED = zoo_folder() / "nmnist_test_100.h5"
DIGIT = zoo_folder() / "nmnist_digit_7.h5"


def assert_refused(outcome, *words):
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    assert all(word in err for word in words), err


@pytest.fixture
def fixed_file(tmp_path):
    """The bundled network, remembering int16."""
    weights = read_weights(find_weights("sdt-nmnist"))
    path = tmp_path / "fixed.npz"
    write_weights(path, Weights(weights.tensors, weights.header | {"precision": "int16"}))
    return path


def run(evsim, *args):
    code, out, _ = evsim("run", "--json", "--input", DIGIT, *args)
    assert code == 0
    return json.loads(out)


def test_a_run_says_its_precision(evsim):
    assert run(evsim)["precision"] == "float32"
    report = run(evsim, "--precision", "int16")
    assert (report["precision"], report["prediction"]) == ("int16", 7)
    assert "precision   int8, in fixed point" in evsim("run", "--precision", "int8")[1]


def test_a_fixed_run_is_the_same_in_both_orders(evsim):
    step, stage = (run(evsim, "--precision", "int8", "--order", order) for order in ("step", "stage"))
    assert step["logits"] == stage["logits"]
    assert step["totals"] == stage["totals"]


def test_a_weights_file_remembers_its_precision(evsim, fixed_file):
    remembered, told = run(evsim, "-w", fixed_file), run(evsim, "-w", "sdt-nmnist", "--precision", "int16")
    assert remembered["precision"] == "int16"
    assert remembered["logits"] == told["logits"]
    overridden, real = run(evsim, "-w", fixed_file, "--precision", "float32"), run(evsim)
    assert overridden["precision"] == "float32"
    assert overridden["logits"] == real["logits"]


def test_verification_and_audit_stay_in_float32(evsim, fixed_file):
    code, out, _ = evsim("audit", "-w", fixed_file, "--input", DIGIT, "--format", "json")
    assert code == 0
    assert "literal" in out


@pytest.mark.parametrize("verb", [("run",), ("evaluate", "--dataset", HUNDRED), ("run", "--follow", "-")])
def test_an_unknown_precision_is_refused(evsim, verb):
    assert_refused(evsim(*verb, "--precision", "int4"), "--precision int4: expected float32, int16, int8")


@pytest.mark.parametrize("value", ["int4", 16, None, ["int16"]])
def test_a_header_with_another_precision_is_refused(evsim, tmp_path, value, monkeypatch):
    weights = read_weights(find_weights("sdt-nmnist"))
    odd = Weights(weights.tensors, weights.header | {"precision": value})
    with pytest.raises(CheckpointError, match=r"'precision' is .*expected float32, int16, int8"):
        write_weights(tmp_path / "odd.npz", odd)
    with monkeypatch.context() as patch:
        for check in ("check_entries", "check_header"):
            patch.setattr(f"evsim.checkpoints.weights.{check}", lambda header: None, raising=False)
        write_weights(tmp_path / "odd.npz", odd)
    assert_refused(evsim("run", "-w", tmp_path / "odd.npz"), "odd.npz", "'precision'")


def test_evaluate_in_fixed_point(evsim):
    code, out, _ = evsim("evaluate", "--dataset", HUNDRED, "--limit", 10, "--precision", "int16", "--json", "-")
    report = json.loads(out)
    assert code == 0
    assert report["identity"]["options"]["precision"] == "int16"
    assert report["top1"]["hits"] >= 9


# --- import -----------------------------------------------------------------------------------------------------------


def frames(path, shape, n_steps=10):
    rng = np.random.default_rng(1)
    np.savez(path, frames=(rng.random((n_steps, *shape)) < 0.1).astype(np.uint8))
    return path


def test_import_notes_the_precision_and_says_what_it_changes(evsim, tmp_path, data):
    output, source = tmp_path / "out.npz", data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar"
    evsim("import", source, "-o", tmp_path / "plain.npz")
    plain = read_weights(tmp_path / "plain.npz")
    hp = plain.header["hyper_parameters"]
    recording = frames(tmp_path / "r.npz", (hp["in_channels"], hp["height"], hp["width"]))
    code, out, err = evsim("import", source, "-o", output, "--quantise", "int16", "--input", recording)
    assert code == 0, err
    assert "precision: int16, unless --precision says otherwise" in out
    assert "int16 against float32 on 1 recordings" in out
    assert "per thousand" in out
    assert "per neuron-step" in out
    written = read_weights(output)
    assert written.header["precision"] == "int16"
    assert written.tensors.keys() == plain.tensors.keys()
    for name, tensor in plain.tensors.items():  # the file keeps the float tensors
        assert written.tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(written.tensors[name], tensor)


def test_import_compares_on_bundled_recordings_where_they_fit_or_says_so(evsim, tmp_path, data):
    source = data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar"
    code, out, _ = evsim("import", source, "-o", tmp_path / "o.npz", "--quantise", "int8")
    assert code == 0
    assert "note: not compared: no bundled recording fits" in out or "compared on the bundled" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--quantise", "int4"], ["--quantise int4: expected int16, int8"]),
        (["--quantise", "float32"], ["--quantise float32"]),
        (["--input", DIGIT], ["--quantise"]),
        (["--quantise", "int8", "--input", DIGIT, "--dataset", HUNDRED], ["say one of them"]),
        (["--quantise", "int8", "--input", "absent.h5"], ["absent.h5"]),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(evsim, tmp_path, data, options, words):
    source = data / "sdt_cifar10dvs_erode_tet.model_best.pth.tar"
    assert_refused(evsim("import", source, "-o", tmp_path / "o.npz", *options), *words)
    assert not (tmp_path / "o.npz").exists()


def test_the_comparison_counts_labels_and_spikes():
    weights = read_weights(find_weights("sdt-nmnist"))
    report = compare_precisions(weights, "int16", find_recordings(None, str(HUNDRED))[:5])
    assert (report.n_recordings, report.n_labelled) == (5, 5)
    assert report.right_float == 5
    total = report.total
    assert 0 < total.changed < 0.2 * total.spikes
    assert total.neuron_steps == 5 * 4 * 135360
    assert len(list(report.lines())) == 4 + len(report.populations) + 1


@pytest.mark.parametrize(("name", "n"), [("sdt-nmnist", 100), ("spikformer-mnist", 10)])
def test_bundled_recordings_that_fit_are_found(name, n):
    file, found = bundled_recordings(read_weights(find_weights(name)))
    assert file is not None
    assert len(found) == n


@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize("family", ["sdt", "spikformer", "spikformer-v2", "spikingresformer"])
def test_bundled_networks_still_recognise_most_digits(family, precision):
    """Their figures on all hundred are in docs/fixed-point.md."""
    for dataset, most in (("nmnist", 20), ("mnist", 10)):
        weights = read_weights(find_weights(f"{family}-{dataset}"))
        _, recordings = bundled_recordings(weights)
        report = compare_precisions(weights, precision, recordings[:most])
        assert report.right_fixed >= report.right_float - 1
