"""Packed HDF5: every filter is undone to the last byte or refused; nothing is ever read that a chunk does not hold."""

import h5py
import numpy as np
import pytest

from evsim.errors import RecordingError
from evsim.recordings import iter_events, read_recording
from evsim.recordings.lzf import unpack_lzf
from evsim.recordings.safe_hdf5 import open_hdf5, read_array
from tests.encoders import some_events

EVENTS = some_events(1000)
PLAIN = {
    "gzip": {"compression": "gzip"},
    "gzip, shuffle, Fletcher-32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "LZF": {"compression": "lzf", "shuffle": True},
    "shuffle": {"shuffle": True},
    "Fletcher-32": {"fletcher32": True},
    "none": {},
}
PLUGINS = ("Blosc", "LZ4", "Zstd", "Bitshuffle", "BZip2")
REFUSED = {"Blosc2": "Blosc2", "Zfp": "ZFP", "SZ3": "SZ3"}


def options_of(name):
    if name in PLAIN:
        return PLAIN[name]
    hdf5plugin = pytest.importorskip("hdf5plugin")
    if name == "Bitshuffle, Zstandard":
        return dict(hdf5plugin.Bitshuffle(cname="zstd"))
    if name == "Bitshuffle alone":
        return dict(hdf5plugin.Bitshuffle(cname="none"))
    if name == "Zfp":
        return dict(hdf5plugin.Zfp(reversible=True))
    return dict(getattr(hdf5plugin, name)())


SOUND = [*PLAIN, *PLUGINS, "Bitshuffle, Zstandard", "Bitshuffle alone"]


def write(path, options, dtypes=None, chunk=130):
    with h5py.File(path, "w") as file:
        for name in "txyp":
            column = EVENTS[name].astype((dtypes or {}).get(name, np.int64))
            file.create_dataset(f"events/{name}", data=column, chunks=(chunk,), **options)
    return path


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("dtypes", [{}, {"t": ">u4", "x": "<u2", "y": ">i2", "p": "?"}], ids=["int64", "mixed"])
@pytest.mark.parametrize("chunk", [8, 130, 1000])
def test_every_filter_gives_back_what_was_written(tmp_path, name, dtypes, chunk):
    path = write(tmp_path / "a.h5", options_of(name), dtypes, chunk)
    for found in (read_recording(path), *iter_events(path, 2000)):
        for column in "txyp":
            np.testing.assert_array_equal(getattr(found, column), EVENTS[column])
    pieces = list(iter_events(path, 77))
    np.testing.assert_array_equal(np.concatenate([piece.t for piece in pieces]), EVENTS["t"])


@pytest.mark.parametrize("name", ["gzip", "LZF", "LZ4", "Bitshuffle", "none"])
def test_arrays_of_several_axes(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 9, (7, 2, 11, 13)).astype(np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data/0", data=frames, chunks=(3, 1, 4, 5), **options_of(name))
    with open_hdf5(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(read_array(file, "data/0"), frames)
        np.testing.assert_array_equal(read_array(file, "data/0", slice(2, 6)), frames[2:6])


@pytest.mark.parametrize("name", [name for name in SOUND if name != "none"])
def test_a_chunk_of_another_size_is_refused(tmp_path, name):
    options = options_of(name)
    path = write(tmp_path / "a.h5", options, chunk=500)
    with h5py.File(path, "a") as file:
        short = file.create_dataset("short", data=EVENTS["t"][:96], chunks=(96,), **options)
        file["events/t"].id.write_direct_chunk((500,), short.id.read_direct_chunk((0,))[1])
    with pytest.raises(RecordingError, match=r"'events/t' has a damaged chunk at \[500\]"):
        read_recording(path)


@pytest.mark.parametrize("name", [name for name in SOUND if name != "none"])
def test_damaged_chunks_give_the_events_or_one_line_and_the_same_each_time(tmp_path, name):
    """A byte anywhere in a chunk: never a crash, never what memory happens to hold."""
    path = write(tmp_path / "a.h5", options_of(name), chunk=250)
    rng = np.random.default_rng(3)
    with h5py.File(path) as file:
        sound = file["events/t"].id.read_direct_chunk((250,))[1]
    for _ in range(40):
        damaged = bytearray(sound)
        for at in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        damaged = bytes(damaged[: rng.integers(1, len(damaged))] if rng.random() < 0.3 else damaged)
        with h5py.File(path, "a") as file:
            file["events/t"].id.write_direct_chunk((250,), damaged)
        first, second = _raw_times(path), _raw_times(path)
        assert first == second
        assert "\n" not in first


def _raw_times(path):
    """The column as text, or why it cannot be read."""
    np.frombuffer(np.random.default_rng().bytes(10_000), np.uint8)  # something else where memory is handed out again
    with open_hdf5(path) as file:
        try:
            return str(read_array(file, "events/t").tolist())
        except RecordingError as refusal:
            return str(refusal)


@pytest.mark.parametrize(("name", "known"), REFUSED.items())
def test_other_filters_are_refused_by_name(tmp_path, name, known):
    path = write(tmp_path / "a.h5", options_of(name), {"t": "f8"})
    with pytest.raises(RecordingError, match=f"packed with {known} .*store it again with gzip"):
        read_recording(path)


def test_filters_of_the_library_that_change_sizes_are_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"packed with scale-offset \(filter 6\)"):
        read_recording(write(tmp_path / "a.h5", {"scaleoffset": 0}))


def test_a_chunk_that_is_not_there_is_no_zeros(tmp_path):
    path = write(tmp_path / "a.h5", {"compression": "gzip"})
    with h5py.File(path, "a") as file:
        del file["events/t"]
        file.create_dataset("events/t", (1000,), "i8", chunks=(130,), compression="gzip")[:130] = EVENTS["t"][:130]
    with pytest.raises(RecordingError, match=r"damaged chunk at \[130\]: it is missing"):
        read_recording(path)


def test_a_missing_codec_names_the_extra(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", options_of("LZ4"), chunk=500)
    monkeypatch.setitem(__import__("sys").modules, "lz4.block", None)
    with pytest.raises(RecordingError, match=r"needs the package lz4.*pip install 'evsim\[formats\]'"):
        read_recording(path)


def test_packed_zeros_do_not_fill_the_memory(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=np.zeros(2 * 10**7, "u1"), chunks=(2**20,), compression="gzip")
    with pytest.raises(RecordingError, match=r"claims 20000000 events in .* more than a recording can hold"):
        read_recording(tmp_path / "a.h5")


def test_lzf_by_hand():
    assert unpack_lzf(b"\x02abc", 10) == b"abc"
    assert unpack_lzf(b"\x02abc\x20\x02", 10) == b"abcabc"  # three bytes, from three bytes back
    assert unpack_lzf(b"\x00a\xe0\x01\x00", 20) == b"a" * 11  # 7 + 1 + 2 bytes, from one byte back
    for damaged in (b"\x05ab", b"\x20\x00", b"\x00a\x20", b"\x00a\xe0", b"\x00a\xe0\xff\x00"):
        with pytest.raises(ValueError, match="damaged LZF"):
            unpack_lzf(damaged, 20)
