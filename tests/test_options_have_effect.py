"""An option that would have no effect is refused by name, for every verb; nothing is ignored in silence."""

import numpy as np
import pytest
from PIL import Image

from evsim.errors import RecordingError
from evsim.evaluation.dataset import FindOptions
from evsim.evaluation.datasets import npz
from evsim.recordings import read_recording
from evsim.recordings.options import ReadOptions

STREAM = ("run", "--follow", "-")
TRACE_VERBS = ("audit", "lint", "raster", "report")
READING = {
    "--split-by": "time",
    "--dt": "1ms",
    "--steps": "4",
    "--fit": "crop",
    "--index": "0",
    "--crop-pct": "0.9",
    "--axes": "T C H W",
    "--layout": "txyp",
    "--sensor": "34x34",
    "--unit": "us",
    "--normalise": "none",
}


def refused(result, option):
    code, _, err = result
    assert code == 2, err
    assert err.startswith(f"evsim: {option}: "), err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--window", "--hop", "--idle"])
def test_options_of_a_stream_go_with_follow(evsim, option):
    refused(evsim("run", option, "5ms"), option)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--input", "a.h5"),
        ("--trace", "t.h5"),
        ("--order", "step"),
        ("--threads", "2"),
        ("--index", "1"),
        ("--crop-pct", "0.9"),
        ("--axes", "T C H W"),
        ("--normalise", "none"),
        ("--dt", "1ms"),
        ("--steps", "4"),
    ],
)
def test_options_of_a_recording_mean_nothing_to_a_stream(evsim, option, value):
    refused(evsim(*STREAM, option, value), option)


@pytest.mark.parametrize("verb", TRACE_VERBS)
@pytest.mark.parametrize(("option", "value"), [*READING.items(), ("--weights", "sdt-mnist"), ("--input", "a.h5")])
def test_a_trace_has_its_own_network_and_recording(evsim, verb, option, value):
    refused(evsim(verb, "--trace", "t.h5", option, value), option)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("audit", "--trace", "t.h5", "--order", "step"), "--order"),
        (("audit", "--compare", "sdt-nmnist", "sdt-mnist", "--weights", "sdt-mnist"), "--weights"),
        (("evaluate", "-d", "x", "--scheduler", "tcp://a:1", "--workers", "2"), "--workers"),
        (("evaluate", "-d", "x.h5", "--root", "folder"), "--root"),
        (("evaluate", "-d", "x.h5", "--download"), "--download"),
        (("verify", "-w", "sdt-nmnist", "-r", "r.npz", "--dataset", "nmnist"), "--dataset"),
        (("verify", "-w", "sdt-nmnist", "-r", "r.npz", "--input", "x.h5"), "--input"),
        (("verify", "-w", "sdt-nmnist", "-r", "r.npz", "--axes", "T C H W"), "--axes"),
        (("verify", "-w", "sdt-nmnist", "--against-torch", "x.pth", "--input", "a", "--limit", "3"), "--limit"),
        (("verify", "-w", "sdt-nmnist", "--against-torch", "x.pth", "--dataset", "nmnist", "--unit", "s"), "--unit"),
        (("import", "a.pth", "-o", "b.npz", "--input", "x"), "--input"),
        (("info", "sdt-nmnist", "--sensor", "34x34"), "--sensor"),
    ],
)
def test_other_verbs(evsim, words, option):
    refused(evsim(*words), option)


@pytest.mark.parametrize(("option", "value"), list(READING.items()))
def test_every_verb_that_reads_recordings_offers_the_same_options(evsim, option, value):
    """Heeded or refused for what they say, never unknown."""
    for verb in ("run", "audit", "lint", "raster", "report"):
        code, _, err = evsim(verb, "--input", "nowhere.h5", option, value)
        assert code == 2
        assert "No such option" not in err
        assert "nowhere.h5" in err, err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--sensor", "34"),
        ("--sensor", "0x34"),
        ("--sensor", "axb"),
        ("--unit", "h"),
        ("--split-by", "mood"),
        ("--dt", "1"),
        ("--dt", "0ms"),
    ],
)
def test_values_that_mean_nothing(evsim, option, value):
    code, _, err = evsim("run", option, value)
    assert code == 2
    assert option.lstrip("-").split("-")[0] in err


def test_axes_say_how_the_images_of_a_set_stand(tmp_path):
    pixels = np.arange(5 * 6 * 8 * 3, dtype=np.uint8).reshape(5, 6, 8, 3)
    path = tmp_path / "set.npz"
    np.savez(path, images=pixels.transpose(1, 2, 0, 3), labels=np.arange(5))  # H W B C
    found = read_recording(path, axes="H W B C", index=2, normalise="none")
    assert found.label == 2
    np.testing.assert_allclose(found.image, pixels[2].transpose(2, 0, 1) / 255, rtol=1e-6)


def test_axes_say_how_a_set_of_frames_stands(tmp_path):
    frames = np.arange(5 * 4 * 2 * 6 * 8).reshape(5, 4, 2, 6, 8) % 3
    path = tmp_path / "set.npz"
    np.savez(path, x=frames.transpose(0, 1, 3, 4, 2), y=np.arange(5))
    found = read_recording(path, axes="B T H W C", index=3)
    assert found.label == 3
    np.testing.assert_array_equal(found.frames, frames[3])


def test_a_labelled_set_of_frames_is_read_by_its_axes(tmp_path):
    frames = np.arange(3 * 4 * 2 * 6 * 8).reshape(3, 4, 2, 6, 8) % 3
    path = tmp_path / "frames.npz"
    np.savez(path, frames=frames.transpose(0, 1, 3, 4, 2), labels=np.arange(3))
    [_, second, _] = npz.find(path, FindOptions()).items
    for axes in ("B T H W C", "T H W C"):
        np.testing.assert_array_equal(npz.read(second, ReadOptions(axes=axes)).frames, frames[1])
    for axes in ("T B H W C", "B H W C"):
        with pytest.raises(RecordingError, match=f"--axes {axes}: expected B, the recordings, first, and T"):
            npz.read(second, ReadOptions(axes=axes))


@pytest.mark.parametrize("name", ["image.png", "images-idx3-ubyte", "image.npz"])
def test_axes_mean_nothing_to_an_image(tmp_path, name):
    path, pixels = tmp_path / name, np.arange(48, dtype=np.uint8).reshape(6, 8)
    if name.endswith("png"):
        Image.fromarray(pixels).save(path)
    elif name.endswith("npz"):
        np.savez(path, x=pixels[None], y=[1])
    else:
        path.write_bytes(b"\0\0\x08\x03" + np.array([1, 6, 8], ">u4").tobytes() + pixels.tobytes())
    axes = "T C H W" if name.endswith("npz") else "H W"
    with pytest.raises(RecordingError, match="--axes"):
        read_recording(path, axes=axes)
