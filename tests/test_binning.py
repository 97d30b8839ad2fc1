"""Binning equals SpikingJelly's, fitting changes sizes only when told, and steps carry the counts unchanged."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import RecordingError
from evsim.recordings import (
    EventRecording,
    Fit,
    FrameRecording,
    ImageRecording,
    bin_events,
    fit_frames,
    read_recording,
    to_steps,
)
from evsim.recordings.binning import split_by_number, split_by_time

DATA = Path(__file__).parent / "data"


def slow_bin(recording, n_steps, split_by):
    """The rule, one event at a time."""
    n, (height, width) = recording.t.size, recording.sensor
    frames = np.zeros((n_steps, 2, height, width), np.float32)
    for event in range(n):
        if split_by == "number":
            share = n // n_steps
            step = event // share if share else n_steps
        else:
            share = (int(recording.t[-1]) - int(recording.t[0])) // n_steps
            step = (int(recording.t[event]) - int(recording.t[0])) // share if share else n_steps
        step = min(step, n_steps - 1)
        frames[step, 0 if recording.p[event] == 0 else 1, recording.y[event], recording.x[event]] += 1
    return frames


def events(t, x, y, p, sensor=(5, 7)):
    return EventRecording(np.asarray(t, np.int64), np.asarray(x), np.asarray(y), np.asarray(p), sensor, "test")


@pytest.mark.parametrize("n_steps", [10, 16])
@pytest.mark.parametrize("split_by", ["number", "time"])
def test_frames_equal_spikingjelly(n_steps, split_by):
    path = DATA / "dvs_events_to_frames.npz"
    recording = read_recording(path, sensor=(128, 128))
    frames = bin_events(recording, n_steps, split_by)
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, np.load(path)[f"frames_{split_by}_{n_steps}"])


@pytest.mark.parametrize("n_steps", [10, 16])
def test_mean_of_two_by_two_is_the_official_resize_to_64(n_steps):
    path = DATA / "dvs_events_to_frames.npz"
    frames = bin_events(read_recording(path, sensor=(128, 128)), n_steps)
    resized = fit_frames(frames, 64, 64, Fit(downsample=2, average=True))
    np.testing.assert_array_equal(resized, np.load(path)[f"resize64_number_{n_steps}"])


def test_frames_of_all_nmnist_test_recordings_equal_the_trained_networks_input(shared, tmp_path):
    reference = np.load(shared / "fixtures" / "trained" / "sdt_nmnist_T4.npz")
    with zipfile.ZipFile(shared / "data" / "nmnist_1000_100.zip") as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if "/Test/" in name])
    for number, expected, label in zip(
        reference["recording_ids"], reference["frames"], reference["labels"], strict=True
    ):
        path = tmp_path / "NMNIST" / "Test" / str(label) / f"{number:05d}.bin"
        frames = bin_events(read_recording(path), 4, "time")
        np.testing.assert_array_equal(frames, expected)
        np.testing.assert_array_equal(fit_frames(frames, 32, 32, Fit(crop="centre")), expected[..., 1:33, 1:33])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 6), st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=40
    ),
    st.integers(1, 12),
    st.sampled_from(["number", "time"]),
)
def test_binning_equals_its_slow_twin_and_loses_no_event(rows, n_steps, split_by):
    recording = events(*np.array(sorted(rows)).T)
    frames = bin_events(recording, n_steps, split_by)
    np.testing.assert_array_equal(frames, slow_bin(recording, n_steps, split_by))
    assert frames.sum() == len(rows)


def test_binning_refuses_what_it_does_not_know():
    recording = events([0, 1], [0, 1], [0, 1], [0, 1])
    with pytest.raises(RecordingError, match=r"'volume'.*'number' or 'time'"):
        bin_events(recording, 2, "volume")
    with pytest.raises(RecordingError, match="0 steps"):
        bin_events(recording, 0)
    with pytest.raises(RecordingError, match="steps of"):
        bin_events(recording, 10**9)


def test_a_recording_that_does_not_fit_is_refused_with_both_sizes():
    with pytest.raises(RecordingError, match=r"34x34 .*32x32.*--fit .*crop, pad, resize, downsample=N or average=N"):
        fit_frames(np.zeros((1, 2, 34, 34), np.float32), 32, 32)
    with pytest.raises(RecordingError, match="64x64"):
        fit_frames(np.zeros((1, 2, 128, 128), np.float32), 32, 32, Fit(downsample=2))
    with pytest.raises(RecordingError, match="without a rest"):
        fit_frames(np.zeros((1, 2, 34, 34), np.float32), 32, 32, Fit(downsample=3))
    with pytest.raises(RecordingError, match="does not lie inside"):
        fit_frames(np.zeros((1, 2, 34, 34), np.float32), 32, 32, Fit(crop=(3, 0)))
    with pytest.raises(RecordingError, match=r"'left'.*'centre'"):
        fit_frames(np.zeros((1, 2, 34, 34), np.float32), 32, 32, Fit(crop="left"))


def test_fitting():
    frames = np.arange(2 * 6 * 8, dtype=np.float32).reshape(1, 2, 6, 8)
    np.testing.assert_array_equal(fit_frames(frames, 4, 4, Fit(crop="centre")), frames[..., 1:5, 2:6])
    np.testing.assert_array_equal(fit_frames(frames, 4, 4, Fit(crop=(0, 4))), frames[..., 0:4, 4:8])
    halves = fit_frames(frames, 3, 4, Fit(downsample=2))
    assert halves[0, 1, 2, 3] == frames[0, 1, 4:6, 6:8].sum()
    assert halves.sum() == frames.sum()
    padded = fit_frames(frames, 9, 8, Fit(pad=True))
    np.testing.assert_array_equal(padded[..., 1:7, :], frames)
    assert padded.sum() == frames.sum()
    wide_and_low = fit_frames(frames, 8, 4, Fit(crop="centre", pad=True))
    np.testing.assert_array_equal(wide_and_low[..., 1:7, :], frames[..., 2:6])


def test_steps_of_events_hold_the_counts_channels_last():
    recording = read_recording(DATA / "dvs_events_to_frames.npz", sensor=(128, 128))
    steps = to_steps(recording, 10, 2, 128, 128)
    frames = bin_events(recording, 10)
    assert len(steps) == 10
    assert not steps.constant
    assert steps.shape == (128, 128, 2)
    for spikes, frame in zip(steps.spikes, frames, strict=True):
        assert spikes.payload.dtype == np.int32
        np.testing.assert_array_equal(spikes.to_dense(128 * 128 * 2).reshape(128, 128, 2), frame.transpose(1, 2, 0))


def test_single_events_are_binary_spikes():
    steps = to_steps(events([0, 1], [0, 6], [0, 4], [1, 0]), 2, 2, 5, 7)
    assert [spikes.payload for spikes in steps.spikes] == [None, None]
    assert [spikes.address.tolist() for spikes in steps.spikes] == [[1], [(4 * 7 + 6) * 2]]


def test_an_image_is_one_object_at_every_step():
    image = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    image[0, 0, 0] = 0
    steps = to_steps(ImageRecording(image, "image"), 4, 3, 4, 5)
    assert steps.constant
    assert len({id(spikes) for spikes in steps.spikes}) == 1
    assert len(steps.spikes[0]) == 59
    np.testing.assert_array_equal(steps.spikes[0].to_dense(60).reshape(4, 5, 3), image.transpose(1, 2, 0))
    ones = to_steps(ImageRecording(np.ones((1, 2, 2), np.float32), "image"), 1, 1, 2, 2)
    assert ones.spikes[0].payload.dtype == np.float32


def test_frames_keep_their_own_number_of_steps():
    frames = np.zeros((3, 2, 4, 4), np.float32)
    frames[1, 0, 2, 3] = 0.25
    steps = to_steps(FrameRecording(frames, "frames", label=7), 4, 2, 4, 4)
    assert (len(steps), steps.label) == (3, 7)
    assert "3 frames" in steps.notes[0]
    assert "4" in steps.notes[0]
    assert len(steps.spikes[0]) == 0
    assert steps.spikes[1].payload.dtype == np.float32


def test_wrong_channels_and_steps_are_refused():
    with pytest.raises(RecordingError, match="2 channels but the network takes 3"):
        to_steps(events([0], [0], [0], [0]), 1, 3, 5, 7)
    with pytest.raises(RecordingError, match="n_steps is 0"):
        to_steps(events([0], [0], [0], [0]), 0, 2, 5, 7)
    with pytest.raises(RecordingError, match=r"5x7.*6x7"):
        to_steps(events([0], [0], [0], [0]), 1, 2, 6, 7)


# --- arrival ----------------------------------------------------------------------------------------------------------


def naive_arrival(recording, spikes, split_by, moved):
    """For each step its addresses by the index of the last event that `moved` brings there, one event at a time."""
    edges = {"number": split_by_number, "time": split_by_time}[split_by](recording.t, len(spikes))
    orders = []
    for step, events in enumerate(spikes):
        last = {}
        for i in range(edges[step], edges[step + 1]):
            for address in moved(int(recording.y[i]), int(recording.x[i]), int(recording.p[i])):
                last[address] = i
        orders.append(sorted(range(len(events)), key=lambda k: last[int(events.address[k])]))
    return orders


@pytest.mark.parametrize("split_by", ["number", "time"])
@pytest.mark.parametrize(
    ("fit", "shape", "moved"),
    [
        (None, (6, 8, 2), lambda y, x, p: [(y * 8 + x) * 2 + p]),
        (Fit(downsample=2), (3, 4, 2), lambda y, x, p: [(y // 2 * 4 + x // 2) * 2 + p]),
        (Fit(crop="centre"), (4, 4, 2), lambda y, x, p: [((y - 1) * 4 + x - 2) * 2 + p] * (0 < y < 5 and 1 < x < 6)),
        (Fit(pad=True), (8, 8, 2), lambda y, x, p: [((y + 1) * 8 + x) * 2 + p]),
        (Fit(channels="on_off_sum"), (6, 8, 3), lambda y, x, p: [(y * 8 + x) * 3 + p, (y * 8 + x) * 3 + 2]),
    ],
)
def test_a_count_arrives_with_its_last_event(rng, fit, shape, moved, split_by):
    n = 300
    t = np.sort(rng.integers(0, 5000, n))
    x, y, p = (rng.integers(0, most, n).astype(np.int32) for most in (8, 6, 2))
    recording = EventRecording(t, x, y, p.astype(np.int8), (6, 8), "made up")
    height, width, n_channels = shape
    steps = to_steps(recording, 3, n_channels, height, width, split_by, fit)
    found = [order.tolist() for order in steps.arrival()]
    assert found == naive_arrival(recording, steps.spikes, split_by, moved)
    assert sum(map(len, found)) > 30
