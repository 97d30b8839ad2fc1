"""Fitting: antialiased resizing equals PyTorch's, the text of a Fit is its twin, and messages name the file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import RecordingError
from evsim.recordings import EventRecording, Fit, FrameRecording, fit_frames, parse_fit, read_recording, to_steps
from evsim.recordings.resize import resize_frames, triangle_weights


def slow_weights(n_in, n_out):
    """The triangle, one output pixel at a time."""
    weights = np.zeros((n_out, n_in))
    scale = n_in / n_out
    reach = max(scale, 1.0)
    for place in range(n_out):
        for pixel in range(n_in):
            weights[place, pixel] = max(0.0, 1 - abs((pixel + 0.5) - scale * (place + 0.5)) / reach)
        weights[place] /= weights[place].sum()
    return weights


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60))
def test_weights_equal_their_slow_twin(n_in, n_out):
    weights = triangle_weights(n_in, n_out)
    np.testing.assert_allclose(weights, slow_weights(n_in, n_out), atol=1e-12)
    np.testing.assert_allclose(weights.sum(1), 1)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ((128, 128), (64, 64)),
        ((128, 128), (128, 128)),
        ((34, 34), (32, 32)),
        ((48, 40), (97, 13)),
        ((180, 240), (7, 2)),
    ],
)
def test_resize_equals_torch(found, wanted):
    torch = pytest.importorskip("torch")
    frames = np.random.default_rng(0).poisson(0.7, (3, 2, *found)).astype(np.float32)
    resized = resize_frames(frames, *wanted)
    options = {"mode": "bilinear", "align_corners": False, "antialias": True}
    exact = torch.nn.functional.interpolate(torch.from_numpy(frames).double(), wanted, **options).numpy()
    rounded = torch.nn.functional.interpolate(torch.from_numpy(frames), wanted, **options).numpy()
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, exact, rtol=1e-7)
    np.testing.assert_allclose(resized, rounded, rtol=2e-6, atol=1e-5)


def test_halving_is_exact_away_from_the_border():
    frames = np.random.default_rng(0).poisson(3, (1, 2, 32, 32)).astype(np.float32)
    inner = resize_frames(frames, 16, 16)[..., 1:-1, 1:-1]
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    windows = np.lib.stride_tricks.sliding_window_view(frames, (4, 4), (2, 3))[:, :, 1::2, 1::2][:, :, :14, :14]
    np.testing.assert_array_equal(inner, (windows * taps).sum((-2, -1)))


def test_the_third_channel_is_the_sum_after_the_resize():
    frames = np.random.default_rng(0).poisson(1, (4, 2, 12, 10)).astype(np.float32)
    fitted = fit_frames(frames, 6, 5, parse_fit("resize,on_off_sum"))
    np.testing.assert_array_equal(fitted[:, :2], resize_frames(frames, 6, 5))
    np.testing.assert_array_equal(fitted[:, 2], fitted[:, 0] + fitted[:, 1])
    with pytest.raises(RecordingError, match="has 3 channels; on_off_sum takes 2"):
        fit_frames(fitted, 6, 5, Fit(channels="on_off_sum"))


def test_steps_of_three_channels():
    columns = [np.array(column) for column in ([0, 1, 2], [0, 1, 1], [0, 2, 2], [0, 1, 0])]
    recording = EventRecording(*columns, (4, 4), "test")
    steps = to_steps(recording, 1, 3, 4, 4, fit=parse_fit("on_off_sum"))
    assert steps.shape == (4, 4, 3)
    dense = steps.spikes[0].to_dense(48).reshape(4, 4, 3)
    assert (dense[0, 0].tolist(), dense[2, 1].tolist()) == ([1, 0, 1], [1, 1, 2])
    assert steps.notes[-1] == "frames of 4x4 were fitted to 4x4 by on_off_sum"
    with pytest.raises(RecordingError, match=r"takes 3.*on_off_sum appends"):
        to_steps(recording, 1, 3, 4, 4)
    with pytest.raises(RecordingError, match="gives 3 channels but the network takes 2"):
        to_steps(recording, 1, 2, 4, 4, fit=Fit(channels="on_off_sum"))


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("none", Fit()),
        ("crop", Fit(crop="centre")),
        ("crop=1:2", Fit(crop=(1, 2))),
        ("pad", Fit(pad=True)),
        ("downsample=2", Fit(downsample=2)),
        ("average=2", Fit(downsample=2, average=True)),
        ("resize", Fit(resize="network")),
        ("resize=70x64,crop", Fit(resize=(70, 64), crop="centre")),
        ("average=2,crop,pad", Fit(2, True, crop="centre", pad=True)),
        ("resize,on_off_sum", Fit(resize="network", channels="on_off_sum")),
    ],
)
def test_text_and_fit_are_twins(text, fit):
    assert parse_fit(text) == fit
    assert str(fit) == text


def test_the_order_of_the_words_does_not_matter():
    assert str(parse_fit(" pad , crop")) == "crop,pad"
    assert parse_fit(None) is None


@pytest.mark.parametrize(
    "text",
    ["", "croop", "crop,", "crop=", "crop=1", "crop=-1:2", "crop=1:2:3", "pad=2", "downsample", "downsample=0",
     "downsample=2,average=2", "average=1", "average=x", "resize=0x4", "resize=4", "resize=99999x9", "crop,crop",
     "downsample=²", "downsample=10000000000000", "none,crop", "on_off", "Fit()"],
)  # fmt: skip
def test_nonsense_is_one_line(text):
    with pytest.raises(RecordingError) as caught:
        parse_fit(text)
    assert str(caught.value).startswith(f"fit {text!r}: ")
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="crop=1:2,padresizedownsample=averagexon_off_sum ", max_size=30))
def test_any_text_is_a_fit_or_one_clear_line(text):
    try:
        fit = parse_fit(text)
    except RecordingError:
        return
    assert parse_fit(str(fit)) == fit


def test_fits_that_cannot_be():
    for wrong in ({"downsample": 0}, {"average": True}, {"resize": "half"}, {"crop": (1, -1)}, {"channels": "rgb"}):
        with pytest.raises(RecordingError):
            Fit(**wrong)
    with pytest.raises(RecordingError, match="cannot be resized"):
        fit_frames(np.zeros((20, 2, 4, 4), np.float32), 4, 4, Fit(resize=(32768, 32768)))


def test_messages_name_the_file(tmp_path):
    path = tmp_path / "clip.npz"
    np.savez(path, t=[0, 1], x=[0, 1], y=[0, 1], p=[0, 1])
    recording = read_recording(path)
    assert recording.path == str(path)
    for call in ({"n_channels": 3}, {"n_steps": 0}, {"height": 9}, {"split_by": "volume"}):
        sizes = {"n_steps": 1, "n_channels": 2, "height": 34, "width": 34} | call
        with pytest.raises(RecordingError) as caught:
            to_steps(recording, **sizes)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    made = FrameRecording(np.zeros((1, 2, 3, 3), np.float32), "made")
    with pytest.raises(RecordingError, match=r"^the recording is 3x3"):
        to_steps(made, 1, 2, 4, 4)
