"""`evsim verify --against-torch`: evsim beside the dense PyTorch model of a checkpoint, in a process of its own."""

import argparse

import numpy as np
import pytest

from evsim.checkpoints.weights import write_weights
from evsim.loading.importing import import_checkpoint
from evsim.loading.zoo import zoo_folder
from evsim.recordings.recording import FrameRecording, ImageRecording
from evsim.recordings.steps import to_steps
from evsim.traces.dense_model import dense_input
from evsim.traces.verify import Agreement, Flip, Verification
from tests.command import call

SIZES = {"model": "sdt", "in_channels": 2, "num_classes": 10, "dim": 16, "layer": 1, "num_heads": 2, "mlp_ratio": 2}
OPTIONS = {"time_steps": 2, "pooling_stat": "1111", "spike_mode": "lif", "dvs_mode": False, "TET": False}
PREPARED = {"split_by": "time", "fit": "crop", "sensor": "34x34"}
DIGIT = zoo_folder() / "nmnist_digit_7.h5"


@pytest.fixture
def evsim(monkeypatch, capsys):
    return lambda *args: call(monkeypatch, capsys, *args)


@pytest.fixture
def checkpoint(tmp_path):
    """A random network that fires, and its weights file."""
    torch = pytest.importorskip("torch")
    from tests.spikformer_checks import train_statistics
    from tools.train.networks import build

    torch.manual_seed(3)
    args = argparse.Namespace(**SIZES, **OPTIONS, img_size=32)
    model = train_statistics(build(args), torch.poisson(torch.full((2, 2, 2, 32, 32), 0.4)))
    path = tmp_path / "model.pth.tar"
    torch.save({"state_dict": model.state_dict(), "args": args}, path)
    write_weights(tmp_path / "model.npz", import_checkpoint(str(path), PREPARED)[0])
    return path


def test_a_recording_and_a_dataset_agree(evsim, checkpoint, tmp_path):
    weights = tmp_path / "model.npz"
    asked = ("verify", "-w", weights, "--against-torch", checkpoint)
    code, out, _ = evsim(*asked, "--input", DIGIT)
    assert code == 0, out
    assert "exact (whole-number currents" in out
    assert "predictions differing: 0 of 1" in out
    code, out, err = evsim(*asked, "--dataset", zoo_folder() / "nmnist_test_100.h5", "--limit", 3)
    assert code == 0, out
    assert "predictions differing: 0 of 3" in out
    assert "3 recordings compared" in err


def test_a_checkpoint_that_is_none_is_one_line(evsim, checkpoint, tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"no checkpoint at all")
    for path in (tmp_path / "bad.pth", tmp_path / "missing.pth"):
        code, _, err = evsim("verify", "-w", tmp_path / "model.npz", "--against-torch", path, "--input", DIGIT)
        assert code == 2
        assert path.name in err
        assert err.count("\n") == 1


def test_without_pytorch_the_extra_is_named(evsim, monkeypatch):
    monkeypatch.setattr("evsim.traces.dense_model.find_spec", lambda name: None)
    code, _, err = evsim("verify", "-w", "sdt-nmnist", "--against-torch", "x.pth", "--input", DIGIT)
    assert code == 2
    assert "evsim[train]" in err


def test_without_a_checkout_it_says_so(evsim, monkeypatch, tmp_path):
    monkeypatch.setattr("evsim.traces.dense_model.find_spec", lambda name: name)
    monkeypatch.setattr("evsim.traces.dense_model._candidates", lambda: [tmp_path])
    code, _, err = evsim("verify", "-w", "sdt-nmnist", "--against-torch", "x.pth", "--input", DIGIT)
    assert code == 2
    assert "clone" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--reference FILE or --against-torch"),
        (("--reference", "a.npz", "--against-torch", "b.pth"), "--reference FILE or --against-torch"),
        (("--against-torch", "b.pth"), "--dataset NAME or --input"),
    ],
)
def test_what_to_compare_must_be_said(evsim, words, said):
    code, _, err = evsim("verify", "-w", "sdt-nmnist", *words)
    assert code == 2
    assert said in err


def test_dense_input_is_what_the_recording_held(rng):
    frames = rng.poisson(0.5, (3, 2, 4, 5)).astype(np.float32)
    image = rng.normal(size=(3, 4, 5)).astype(np.float32)
    steps = to_steps(FrameRecording(frames, "frames"), n_steps=3, n_channels=2, height=4, width=5)
    shown = to_steps(ImageRecording(image, "image"), n_steps=3, n_channels=3, height=4, width=5)
    np.testing.assert_array_equal(dense_input([steps, steps]), np.stack([frames, frames]))
    np.testing.assert_array_equal(dense_input([shown]), image[None])


def test_verifications_add_up():
    flip = Flip(sample=1, step=0, population="lif", address=3, margin=1e-9, current=1.0)
    first = Verification(local=Agreement(10, 1, {"lif": 1}), flips=[flip], samples=2, logits_difference=0.5)
    second = Verification(local=Agreement(20, 1, {"lif": 1}), flips=[flip], samples=2, predictions_differing=1)
    first.add(second)
    assert first.local == Agreement(30, 2, {"lif": 2})
    assert [found.sample for found in first.flips] == [1, 3]
    assert (first.samples, first.predictions_differing, first.logits_difference) == (4, 1, 0.5)
