"""Every reader gives the same events as an independent one, and every bad file gives one clear line."""

import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from evsim.errors import RecordingError
from evsim.recordings import EventRecording, FrameRecording, ImageRecording, read_recording, write_events_hdf5

DATA = Path(__file__).parent / "data"
ZOO = Path(__file__).parents[1] / "networks" / "zoo"
COLUMNS = "txyp"


@pytest.fixture
def sample():
    """Forty events on 128x128, in order of time."""
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 10**6, 40))
    x, y = rng.integers(0, 128, (2, 40))
    x[0] = y[1] = 127
    return {"t": t, "x": x, "y": y, "p": np.arange(40) % 2}


def records(sample):
    table = np.zeros(40, [("x", "<i2"), ("y", "<i2"), ("p", "?"), ("t", "<i8")])
    for name in COLUMNS:
        table[name] = sample[name]
    return table


def assert_same(recording, sample):
    assert isinstance(recording, EventRecording)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(recording, name), sample[name], name)
    types = [getattr(recording, name).dtype for name in COLUMNS]
    assert types == [np.int64, np.int32, np.int32, np.int8]


def write_h5(path, datasets, attrs=None, **options):
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file.create_dataset(name, data=data, **options)
        file.attrs.update(attrs or {})
    return path


# ---- HDF5 ----------------------------------------------------------------------------------------------------------


def test_hdf5_columns_with_attributes(tmp_path, sample):
    datasets = {f"events/{name}": sample[name] for name in COLUMNS}
    path = write_h5(tmp_path / "a.h5", datasets, {"sensor_height": 128, "sensor_width": 130, "label": 4})
    recording = read_recording(path)
    assert_same(recording, sample)
    assert (recording.sensor, recording.label, recording.notes) == ((128, 130), 4, ())
    assert recording.layout == "HDF5 group 'events' with t, x, y, p"


def test_hdf5_content_counts_not_the_suffix(tmp_path, sample):
    path = write_h5(tmp_path / "a.bin", {f"events/{name}": sample[name] for name in COLUMNS})
    assert_same(read_recording(path), sample)


def test_hdf5_plural_names_with_float_seconds(tmp_path, sample):
    datasets = {f"events/{name}s": sample[name] for name in "xyp"} | {"events/ts": sample["t"] / 1e6}
    path = write_h5(tmp_path / "a.h5", datasets, {"sensor_resolution": (128, 128)})
    recording = read_recording(path)
    assert_same(recording, sample)
    assert "seconds" in recording.notes[0]


def test_hdf5_dsec_offset_is_added(tmp_path, sample):
    datasets = {f"events/{name}": sample[name] for name in COLUMNS} | {"t_offset": np.int64(5_000_000_000)}
    recording = read_recording(write_h5(tmp_path / "a.h5", datasets))
    assert_same(recording, sample | {"t": sample["t"] + 5_000_000_000})
    assert "t_offset" in recording.notes[0]


@pytest.mark.parametrize("place", ["events", "CD/events", "events/events", "anything"])
def test_hdf5_records(tmp_path, sample, place):
    path = write_h5(tmp_path / "a.h5", {place: records(sample)}, {"geometry": "128x130"}, compression="lzf")
    recording = read_recording(path)
    assert_same(recording, sample)
    assert recording.sensor == (130, 128)
    assert repr(place) in recording.layout


def test_hdf5_v2e_rows(tmp_path, sample):
    rows = np.stack([sample[name] for name in COLUMNS], 1).astype(np.uint32)
    assert_same(read_recording(write_h5(tmp_path / "a.h5", {"events": rows})), sample)


def test_hdf5_tonic_cache_as_tonic_writes_it(tmp_path, sample):
    save_to_disk_cache = pytest.importorskip("tonic.cached_dataset").save_to_disk_cache
    save_to_disk_cache(records(sample), 6, tmp_path / "0_0.hdf5")
    recording = read_recording(tmp_path / "0_0.hdf5")
    assert_same(recording, sample)
    assert recording.label == 6
    frames = np.random.default_rng(0).integers(0, 3, (4, 2, 9, 8))
    save_to_disk_cache(frames, 2, tmp_path / "1_0.hdf5")
    recording = read_recording(tmp_path / "1_0.hdf5")
    assert isinstance(recording, FrameRecording)
    assert recording.label == 2
    np.testing.assert_array_equal(recording.frames, frames)


def test_hdf5_torchneuromorphic_never_evaluates_meta_info(tmp_path, sample):
    path = tmp_path / "gesture.h5"
    with h5py.File(path, "w") as file:
        for key in range(12):
            group = file.create_group(f"data/{key}")
            group.create_dataset("times", data=sample["t"] + key, dtype=np.uint32)
            group.create_dataset("addrs", data=np.stack([sample[name] for name in "xyp"], 1), dtype=np.uint8)
            group.create_dataset("labels", data=key % 11, dtype=np.uint8)
            group.attrs["meta_info"] = "__import__('os').abort()"
        file.create_dataset("extra/train_keys", data=np.arange(12))
    first = read_recording(path)
    assert_same(first, sample)
    assert "12 recordings" in first.notes[0]
    tenth = read_recording(path, index=10)
    assert_same(tenth, sample | {"t": sample["t"] + 10})
    assert (tenth.label, tenth.layout) == (10, "torchneuromorphic HDF5, recording '10'")
    assert_same(read_recording(f"{path}::10"), sample | {"t": sample["t"] + 10})
    with pytest.raises(RecordingError, match=r"no recording '12'.*12, numbered from 0"):
        read_recording(f"{path}::12")


@pytest.mark.parametrize("options", [{}, {"chunks": (1,)}, {"chunks": (2,), "compression": "gzip", "shuffle": True}])
def test_hdf5_heidelberg_spikes(tmp_path, options):
    path = tmp_path / "shd.h5"
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (2,), h5py.vlen_dtype(np.float16), **options)
        units = file.create_dataset("spikes/units", (2,), h5py.vlen_dtype(np.uint16), **options)
        times[0], units[0] = np.array([0.25, 0.5], np.float16), [3, 699]
        times[1], units[1] = np.array([0.125], np.float16), [7]
        file.create_dataset("labels", data=np.array([11, 12], np.uint16))
    recording = read_recording(path)
    assert_same(recording, {"t": [250_000, 500_000], "x": [3, 699], "y": [0, 0], "p": [1, 1]})
    assert (recording.sensor, recording.label) == ((1, 700), 11)
    assert read_recording(path, index=1).t.tolist() == [125_000]


def test_hdf5_variable_length_row_that_claims_too_much(tmp_path):
    path = tmp_path / "shd.h5"
    with h5py.File(path, "w") as file:
        for name in ("times", "units"):
            file.create_dataset(f"spikes/{name}", (1,), h5py.vlen_dtype(np.float32))[0] = np.arange(9)
        offset = file["spikes/times"].id.get_offset()
    data = bytearray(path.read_bytes())
    assert data[offset : offset + 4] == bytes([9, 0, 0, 0])
    data[offset + 3] = 0x40
    path.write_bytes(data)
    refused(path, "claims 1073741833 values")


def test_hdf5_written_by_us_comes_back(tmp_path, sample):
    columns = [np.asarray(sample[name]) for name in COLUMNS]
    recording = EventRecording(*columns, (128, 200), "made", label=3)
    write_events_hdf5(tmp_path / "a.h5", recording, "somewhere", "CC0")
    again = read_recording(tmp_path / "a.h5")
    assert_same(again, sample)
    assert (again.sensor, again.label) == ((128, 200), 3)
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file.attrs["source"], file.attrs["licence"]) == ("somewhere", "CC0")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_the_bundled_recordings():
    for digit in range(10):
        recording = read_recording(ZOO / f"nmnist_digit_{digit}.h5")
        assert (recording.label, recording.sensor, recording.notes) == (digit, (34, 34), ())
    clip = read_recording(ZOO / "gesture_clip_01.h5")
    assert (clip.t.size, clip.sensor, clip.label) == (63_471, (128, 128), None)
    assert all(path.stat().st_size < 400_000 for path in ZOO.glob("*.h5") if "test" not in path.stem)
    assert (ZOO / "nmnist_test_100.h5").stat().st_size < 1_500_000


def test_the_bundled_recordings_equal_their_sources(shared):
    source = np.load(shared / "data" / "dvs_gesture" / "clip_01.npz")
    assert_same(read_recording(ZOO / "gesture_clip_01.h5"), source)
    assert_same(read_recording(ZOO / "nmnist_digit_7.h5"), vars(read_recording(DATA / "nmnist_7_00001.bin")))


# ---- NumPy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_columns(tmp_path, sample, save):
    save(tmp_path / "a.npz", **sample, label=5)
    recording = read_recording(tmp_path / "a.npz")
    assert_same(recording, sample)
    assert (recording.label, recording.sensor) == (5, (128, 128))
    assert "inferred" in recording.notes[0]


def test_npz_gesture_clips(shared):
    for path in sorted((shared / "data" / "dvs_gesture").glob("*.npz")):
        assert_same(read_recording(path), np.load(path))


@pytest.mark.parametrize("order", ["txyp", "xypt", "xytp"])
def test_npy_rows(tmp_path, sample, order):
    np.save(tmp_path / "a.npy", np.stack([sample[name] for name in order], 1))
    assert_same(read_recording(tmp_path / "a.npy"), sample)
    assert_same(read_recording(tmp_path / "a.npy", layout=order), sample)


def test_npy_tonic_gesture_rows_are_in_milliseconds(tmp_path, sample):
    rows = np.stack([sample[name] for name in "xypt"], 1).astype(float)
    rows[:, 3] /= 1000
    np.save(tmp_path / "a.npy", rows)
    assert_same(read_recording(tmp_path / "a.npy"), sample)


def test_npy_ambiguous_rows_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 4), int))
    with pytest.raises(RecordingError, match="could be txyp or xypt or xytp"):
        read_recording(tmp_path / "a.npy")


def test_npy_records(tmp_path, sample):
    np.save(tmp_path / "a.npy", records(sample))
    assert_same(read_recording(tmp_path / "a.npy"), sample)


def test_frames(tmp_path):
    frames = np.random.default_rng(0).integers(0, 9, (3, 4, 2, 6, 5)).astype(np.uint8)
    np.savez(tmp_path / "one.npz", frames=frames[1], label=8)
    recording = read_recording(tmp_path / "one.npz")
    np.testing.assert_array_equal(recording.frames, frames[1])
    assert (recording.frames.dtype, recording.label) == (np.float32, 8)
    np.savez(tmp_path / "many.npz", frames=frames, labels=np.array([3, 4, 5]))
    recording = read_recording(tmp_path / "many.npz", index=2)
    np.testing.assert_array_equal(recording.frames, frames[2])
    assert recording.label == 5
    np.save(tmp_path / "one.npy", frames[0])
    np.testing.assert_array_equal(read_recording(tmp_path / "one.npy").frames, frames[0])


def test_images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", image=pixels)
    with pytest.raises(RecordingError, match=r"raw pixels.*normalise='cifar10'"):
        read_recording(tmp_path / "a.npz")
    first = read_recording(tmp_path / "a.npz", normalise="cifar10")
    assert isinstance(first, ImageRecording)
    np.savez(tmp_path / "b.npz", image=pixels.transpose(1, 2, 0))
    np.testing.assert_array_equal(read_recording(tmp_path / "b.npz", normalise="cifar10").image, first.image)
    np.save(tmp_path / "c.npy", first.image)
    np.testing.assert_array_equal(read_recording(tmp_path / "c.npy").image, first.image)
    np.savez(tmp_path / "d.npz", image=pixels[:, :3, :3])
    with pytest.raises(RecordingError, match="layout='chw' or 'hwc'"):
        read_recording(tmp_path / "d.npz", normalise="cifar10")
    assert read_recording(tmp_path / "d.npz", layout="chw", normalise="cifar10").image.shape == (3, 3, 3)
    with pytest.raises(RecordingError, match="unknown normalise='svhn'"):
        read_recording(tmp_path / "a.npz", normalise="svhn")


def test_raw_pixels_are_normalised_as_the_official_pipeline_does(shared, tmp_path):
    fixture = np.load(shared / "fixtures" / "sdt_cifar_lif.npz")
    for number in range(2):
        np.savez(tmp_path / "a.npz", image=fixture["input_u8"][number])
        recording = read_recording(tmp_path / "a.npz", normalise="cifar10")
        np.testing.assert_array_equal(recording.image, fixture["input"][number])


def test_npz_that_holds_several_kinds_asks_which(tmp_path, sample):
    np.savez(tmp_path / "a.npz", **sample, frames=np.zeros((1, 2, 3, 3)))
    with pytest.raises(RecordingError, match="frames and columns; say layout="):
        read_recording(tmp_path / "a.npz")
    assert_same(read_recording(tmp_path / "a.npz", layout="events"), sample)
    assert isinstance(read_recording(tmp_path / "a.npz", layout="frames"), FrameRecording)


# ---- N-MNIST -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(DATA.glob("nmnist_*.bin")), ids=lambda path: path.name)
def test_nmnist_equals_tonics_reader(path):
    read_mnist_file = pytest.importorskip("tonic.io").read_mnist_file
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    expected = read_mnist_file(str(path), dtype)
    recording = read_recording(path)
    assert_same(recording, expected)
    assert recording.sensor == (34, 34)


def test_nmnist_clock_rows_advance_the_time(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes([1, 2, 0, 0, 9, 0, 240, 0, 0, 0, 3, 4, 128, 0, 1]))
    recording = read_recording(tmp_path / "a.bin")
    assert_same(recording, {"t": [9, 8193], "x": [1, 3], "y": [2, 4], "p": [0, 1]})


# ---- what is wrong with a file -------------------------------------------------------------------------------------


def refused(path, pattern, **options):
    with pytest.raises(RecordingError, match=pattern) as caught:
        read_recording(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_files_that_are_no_recordings(tmp_path):
    refused(tmp_path / "none.h5", "no such file")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.h5").write_bytes(b"")
    refused(tmp_path / "empty.h5", "is empty")
    (tmp_path / "text.h5").write_text("hello\n")
    refused(tmp_path / "text.h5", "found text")
    (tmp_path / "bytes.h5").write_bytes(bytes(range(64)))
    refused(tmp_path / "bytes.h5", "bytes starting 00 01")
    (tmp_path / "odd.bin").write_bytes(bytes(11))
    refused(tmp_path / "odd.bin", "11 bytes is not a multiple of 5")


def test_truncated_files(tmp_path, sample):
    write_h5(tmp_path / "a.h5", {f"events/{name}": sample[name] for name in COLUMNS})
    np.savez_compressed(tmp_path / "a.npz", **sample)
    np.save(tmp_path / "a.npy", records(sample))
    for name in ("a.h5", "a.npz", "a.npy"):
        whole = (tmp_path / name).read_bytes()
        for keep in (len(whole) - 1, len(whole) // 2, 20, 9):
            (tmp_path / name).write_bytes(whole[:keep])
            refused(tmp_path / name, "truncated|damaged|not a recording")


def test_hdf5_with_something_else_says_what(tmp_path):
    path = write_h5(tmp_path / "a.h5", {"weights/conv1": np.zeros((2, 3)), "epoch": 3})
    refused(path, r"holds epoch \(\) int64, weights/conv1 \(2, 3\) float64")


@pytest.mark.parametrize(
    ("name", "value", "pattern"),
    [
        ("x", -1, "x of event 7 is -1"),
        ("x", 128, r"event 7 at row 104 and column 128 lies outside the sensor of 128x128.*--drop-outside"),
        ("y", np.nan, "y of event 7 is nan"),
        ("y", 0.5, "y of event 7 is 0.5"),
        ("x", np.inf, "x of event 7 is inf"),
        ("t", np.nan, "time stamp number 7 is nan"),
        ("t", 0.5, "fractions.*unit="),
        ("t", 2**63 - 1, "out of range"),
        ("p", 2, "polarity of event 7 is 2"),
        ("p", -1, "polarity of event 7 is -1"),
        ("p", np.nan, "polarity of event 7 is nan"),
    ],
)
def test_bad_values(tmp_path, sample, name, value, pattern):
    column = sample[name].astype(float if isinstance(value, float) else np.int64)
    column[7] = value
    sample[name] = column
    np.savez(tmp_path / "a.npz", **sample)
    refused(tmp_path / "a.npz", pattern, sensor=(128, 128))


def test_columns_of_different_length_and_of_none(tmp_path, sample):
    np.savez(tmp_path / "a.npz", **(sample | {"x": sample["x"][1:]}))
    refused(tmp_path / "a.npz", "differ in length: t 40, x 39")
    np.savez(tmp_path / "a.npz", **{name: column[:0] for name, column in sample.items()})
    refused(tmp_path / "a.npz", "no events")
    np.savez(tmp_path / "a.npz", **(sample | {"x": sample["x"][:, None]}))
    refused(tmp_path / "a.npz", "list of numbers")
    np.savez(tmp_path / "a.npz", **(sample | {"x": sample["x"] + 5000}))
    refused(tmp_path / "a.npz", "beyond every known sensor")
    np.savez(tmp_path / "a.npz", frames=np.full((1, 2, 3, 3), np.nan))
    refused(tmp_path / "a.npz", "not finite")


def test_unsorted_events_are_sorted_stably_and_said(tmp_path, sample):
    t = np.array([5, 3, 3, 9] + [10] * 36)
    np.savez(tmp_path / "a.npz", **(sample | {"t": t}))
    recording = read_recording(tmp_path / "a.npz")
    assert recording.t.tolist()[:4] == [3, 3, 5, 9]
    assert recording.x.tolist()[:4] == sample["x"][[1, 2, 0, 3]].tolist()
    assert any("1 time stamps ran backwards" in note for note in recording.notes)


def test_signed_polarity_is_mapped_and_said(tmp_path, sample):
    np.savez(tmp_path / "a.npz", **(sample | {"p": (2 * sample["p"] - 1).astype(np.int8)}))
    recording = read_recording(tmp_path / "a.npz")
    assert_same(recording, sample)
    assert any("-1 was read as 0" in note for note in recording.notes)


def test_pickles_are_never_opened(tmp_path, sample):
    np.savez(tmp_path / "a.npz", **(sample | {"x": np.array([print], object)}))
    refused(tmp_path / "a.npz", "Python objects")
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    refused(tmp_path / "a.npy", "Python objects")


def test_npy_and_npz_that_claim_more_than_they_hold(tmp_path, sample):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }"
    lie = b"\x93NUMPY\x01\x00" + (128 - 10).to_bytes(2, "little") + header.ljust(117) + b"\n" + bytes(80)
    (tmp_path / "a.npy").write_bytes(lie)
    refused(tmp_path / "a.npy", "truncated: shape .1000000000000,. needs")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in COLUMNS:
            archive.writestr(f"{name}.npy", lie)
    refused(tmp_path / "a.npz", "truncated: shape")


def test_hdf5_that_claims_more_than_it_holds(tmp_path, sample):
    datasets = {f"events/{name}": sample[name] for name in "xyp"}
    for options in ({"chunks": (1000,)}, {}):
        path = write_h5(tmp_path / "a.h5", datasets)
        with h5py.File(path, "a") as file:
            file.create_dataset("events/t", (10**12,), "i8", **options)
        refused(path, "stores no data")
    path = write_h5(tmp_path / "a.h5", datasets)
    with h5py.File(path, "a") as file:
        file.create_dataset("events/t", (10**12,), "i8", chunks=(1000,))[:40] = sample["t"]
    refused(path, "claims 8000000000000 bytes")
    path = write_h5(tmp_path / "a.h5", datasets)
    with h5py.File(path, "a") as file:
        shape = {"shape": (40,), "maxshape": (None,), "chunks": (2**25,)}
        file.create_dataset("events/t", dtype="i8", scaleoffset=0, compression="gzip", **shape)[:] = sample["t"]
    refused(path, "claims 268435456 bytes")


def test_hdf5_reads_nothing_outside_the_file(tmp_path, sample):
    datasets = {f"events/{name}": sample[name] for name in "xyp"}
    other = write_h5(tmp_path / "other.h5", {"t": sample["t"]})
    link = write_h5(tmp_path / "link.h5", datasets)
    with h5py.File(link, "a") as file:
        file["events/t"] = h5py.ExternalLink(other.name, "t")
    refused(link, r"events/t \(a link\)")
    virtual = write_h5(tmp_path / "virtual.h5", datasets)
    with h5py.File(virtual, "a") as file:
        source = h5py.VirtualLayout((40,), "i8")
        source[:] = h5py.VirtualSource(str(other), "t", (40,))
        file.create_virtual_dataset("events/t", source)
    refused(virtual, "other files")
    external = write_h5(tmp_path / "external.h5", datasets)
    with h5py.File(external, "a") as file:
        file.create_dataset("events/t", (40,), "i8", external=[(str(tmp_path / "raw"), 0, 320)])[:] = sample["t"]
    refused(external, "other files")
    reference = write_h5(tmp_path / "reference.h5", datasets)
    with h5py.File(reference, "a") as file:
        file.create_dataset("events/t", (40,), h5py.ref_dtype)[:] = [file["events/x"].ref] * 40
    refused(reference, "references")


def test_hdf5_text_in_a_damaged_heap(tmp_path, sample):
    path = write_h5(tmp_path / "a.h5", {"events": records(sample)}, {"geometry": "128x130"})
    assert read_recording(path).sensor == (130, 128)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    free = heap + 16 + 16 + 8  # behind the one object, the seven letters of the attribute
    assert int.from_bytes(data[free : free + 2], "little") == 0
    data[free + 8 : free + 10] = (3959).to_bytes(2, "little")
    path.write_bytes(data)
    refused(path, f"damaged: the heap at byte {heap} has an object of 0 bytes")


def test_names_chosen_by_a_file_cannot_break_the_line(tmp_path):
    np.savez(tmp_path / "a.npz", **{"evil\n\x1b[2J": np.zeros(3)})
    message = refused(tmp_path / "a.npz", "expected t, x, y, p or events")
    assert message.isprintable()


def test_a_forced_layout_that_is_not_there_is_one_line(tmp_path, sample):
    path = write_h5(tmp_path / "a.h5", {"events/t": sample["t"]})
    for layout in ("event_columns", "event_table", "event_rows", "tonic_cache", "torchneuromorphic", "shd", "npz"):
        refused(path, ".", layout=layout)


def test_importing_the_package_imports_no_reader():
    code = "import sys, evsim.recordings; print([m for m in ('h5py', 'numpy', 'tonic', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
