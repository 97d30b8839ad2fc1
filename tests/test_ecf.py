"""Prophesee's HDF5 codec: what was packed comes back in each of its three forms, and damage is one clear line."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import RecordingError
from evsim.recordings import read_recording
from evsim.recordings.ecf import decode_ecf
from tests import encoders

EVENTS = encoders.some_events(3000, 480, 640)


def assert_same(found, events):
    for name in "txyp":
        np.testing.assert_array_equal(found[name], events[name], name)


@pytest.mark.parametrize("packed", [0, 1, 2])
def test_files(tmp_path, packed):
    path = encoders.ecf_file(tmp_path / "a.hdf5", EVENTS, packed, chunk=1024)
    recording = read_recording(path)
    assert_same(vars(recording), EVENTS)
    assert recording.sensor == (480, 640)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2**34), st.integers(0, 2041), st.integers(0, 5), st.integers(0, 1)), min_size=1),
    st.integers(0, 2),
    st.integers(1, 200),
)
def test_any_events_come_back(rows, packed, repeats):
    t, x, y, p = np.repeat(np.array(sorted(rows)), repeats, axis=0).T
    events = {"t": t, "x": x, "y": y, "p": p}
    assert_same(decode_ecf(encoders.ecf(events, packed)), events)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2), st.data())
def test_damage_is_refused_or_gives_events(packed, data):
    chunk = bytearray(encoders.ecf({name: EVENTS[name][:200] for name in "txyp"}, packed))
    for _ in range(data.draw(st.integers(1, 4))):
        chunk[data.draw(st.integers(0, len(chunk) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode_ecf(bytes(chunk[: data.draw(st.integers(0, len(chunk)))])).size <= 65_535
    except ValueError:
        pass


def test_files_that_lie(tmp_path):
    path = encoders.ecf_file(tmp_path / "a.hdf5", EVENTS, chunk=1024)
    with h5py.File(path, "a") as file:
        file["CD/events"].id.write_direct_chunk((0,), encoders.ecf({name: EVENTS[name][:5] for name in "txyp"}))
    with pytest.raises(RecordingError, match="5 of 1024 events"):
        read_recording(path)
    with h5py.File(path, "a") as file:
        file["CD/events"].id.write_direct_chunk((0,), b"\xff" * 40)
    with pytest.raises(RecordingError, match="claims 1073741823 events"):
        read_recording(path)


def test_a_filter_that_is_not_known_to_be_safe_is_refused(tmp_path):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4,))
    properties.set_filter(40_000, h5py.h5z.FLAG_OPTIONAL, ())
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        for name in "txyp":
            h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_I64LE, h5py.h5s.create_simple((4,)), properties)
            group[name].id.write_direct_chunk((0,), bytes(32))
    with pytest.raises(RecordingError, match=r"filter 40000, whose damage cannot be told .* again with gzip"):
        read_recording(path)


@pytest.mark.parametrize("codec", ["Blosc", "Zstd", "LZ4", "Bitshuffle"])
def test_plugins_are_found_without_being_asked_for(tmp_path, codec):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=EVENTS[name], chunks=(500,), **getattr(hdf5plugin, codec)())
    assert_same(vars(read_recording(path)), EVENTS)


@pytest.mark.parametrize(("codec", "number"), [("Blosc", 32001), ("Zstd", 32015), ("LZ4", 32004)])
def test_a_chunk_that_unpacks_to_too_little_is_refused(tmp_path, codec, number):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path, options = tmp_path / "a.h5", getattr(hdf5plugin, codec)()
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=EVENTS[name], chunks=(500,), **options)
        short = file.create_dataset("short", data=EVENTS["t"][:100], chunks=(100,), **options)
        file["events/t"].id.write_direct_chunk((500,), short.id.read_direct_chunk((0,))[1])
    with pytest.raises(RecordingError, match=r"'events/t' has a damaged chunk at \[500\] of 800 bytes; expected 4000"):
        read_recording(path)


def test_a_chunk_that_zstandard_cannot_unpack_is_refused(tmp_path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=EVENTS[name], chunks=(500,), **hdf5plugin.Zstd())
        chunk = file["events/t"].id.read_direct_chunk((0,))[1]
        file["events/t"].id.write_direct_chunk((0,), chunk[: len(chunk) // 2])
    with pytest.raises(RecordingError, match=r"damaged chunk at \[0\], which cannot be unpacked"):
        read_recording(path)
