"""Sensors: what a file states beats the furthest event; what lies outside is named; no address overflows."""

import h5py
import numpy as np
import pytest

from evsim.errors import RecordingError
from evsim.recordings import iter_events, read_recording
from evsim.recordings.places import check_sensor
from tests.encoders import some_events

EVENTS = some_events(200, 34, 34)


def hdf5(path, place, attributes=(), datasets=()):
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"{place}/{name}" if place else name] = EVENTS[name]
        for where, name, value in attributes:
            file[where].attrs[name] = value
        for where, value in datasets:
            file[where] = value
    return path


@pytest.mark.parametrize(
    ("place", "attributes", "datasets"),
    [
        ("events", [("/", "sensor_height", 480), ("/", "sensor_width", 640)], []),
        ("events", [("events", "height", 480), ("events", "width", 640)], []),
        ("events", [("events/t", "x", 3), ("/", "sensor_resolution", (640, 480))], []),
        ("events", [("/", "geometry", "640x480")], []),
        ("events", [("/", "sensor_size", (640, 480, 2))], []),
        ("events", [], [("events/height", 480), ("events/width", 640)]),
        ("events", [], [("height", [480]), ("width", [640.0])]),
        ("prophesee/left", [], [("prophesee/left/calib/resolution", [640, 480])]),
        ("prophesee/right", [], [("prophesee/right/calib/resolution", [640, 480])]),
        ("some/where/else", [("some", "resolution", (640, 480))], []),
        ("", [("/", "resolution", (640, 480))], []),
    ],
)
def test_hdf5_states_it_in_many_ways(tmp_path, place, attributes, datasets):
    path = hdf5(tmp_path / "a.h5", place, attributes, datasets)
    found = read_recording(path)
    assert found.sensor == (480, 640)
    assert not any("inferred" in note for note in found.notes)
    assert {piece.sensor for piece in iter_events(path, 60)} == {(480, 640)}
    assert read_recording(path, sensor=(100, 90)).sensor == (100, 90)


@pytest.mark.parametrize(
    "stated",
    [{"sensor_size": (640, 480, 2)}, {"height": 480, "width": 640}, {"resolution": np.array([640, 480])}],
    ids=str,
)
def test_npz_states_it_too(tmp_path, stated):
    np.savez(tmp_path / "a.npz", **EVENTS, **stated)
    assert read_recording(tmp_path / "a.npz").sensor == (480, 640)
    np.savez(tmp_path / "b.npz", events=np.rec.fromarrays([EVENTS[n] for n in "txyp"], names="t,x,y,p"), **stated)
    assert read_recording(tmp_path / "b.npz").sensor == (480, 640)


@pytest.mark.parametrize("sensor", [(2**15, 2**15), (30_000, 30_000), (0, 5), (40_000, 40_000), (-1, 3)])
def test_sensors_that_no_address_or_memory_is_for(tmp_path, sensor):
    with pytest.raises(RecordingError, match="expected sides of 1 to 32768 and at most"):
        check_sensor("f", sensor)
    np.savez(tmp_path / "a.npz", **EVENTS)
    with pytest.raises(RecordingError, match="expected sides"):
        read_recording(tmp_path / "a.npz", sensor=sensor)


def test_dropping_needs_a_sensor_and_counts(tmp_path):
    np.savez(tmp_path / "a.npz", **EVENTS)
    for read in (read_recording, lambda path, **told: list(iter_events(path, 50, **told))):
        with pytest.raises(RecordingError, match=r"--drop-outside needs the size of the sensor.*--sensor"):
            read(tmp_path / "a.npz", drop_outside=True)
    inside = (EVENTS["x"] < 20) & (EVENTS["y"] < 30)
    found = read_recording(tmp_path / "a.npz", sensor=(30, 20), drop_outside=True)
    for name in "txyp":
        np.testing.assert_array_equal(getattr(found, name), EVENTS[name][inside])
    assert f"{np.count_nonzero(~inside)} events outside the sensor were left out" in found.notes
    np.savez(tmp_path / "b.npz", **(EVENTS | {"x": EVENTS["x"] + 5}))
    with pytest.raises(RecordingError, match="all 200 events lie outside the sensor of 1x1"):
        read_recording(tmp_path / "b.npz", sensor=(1, 1), drop_outside=True)
    with pytest.raises(RecordingError, match=rf"one of {np.count_nonzero(~inside)} \(--drop-outside"):
        read_recording(tmp_path / "a.npz", sensor=(30, 20))


def test_a_fraction_is_no_place_even_outside(tmp_path):
    np.savez(tmp_path / "a.npz", **(EVENTS | {"x": EVENTS["x"] + 0.5}))
    with pytest.raises(RecordingError, match="x of event 0 is"):
        read_recording(tmp_path / "a.npz", sensor=(34, 34), drop_outside=True)
