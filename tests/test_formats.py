"""Every event format gives back what was written, block by block as well as whole, and equals an independent reader."""

import io
import itertools
import os
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import RecordingError
from evsim.recordings import bin_events, bin_file, decode_stream, find_decoder, iter_events, read_recording
from evsim.recordings.decoding import join
from evsim.recordings.discover import formats_of
from evsim.recordings.evt3 import Evt3
from evsim.recordings.options import ReadOptions
from evsim.recordings.prophesee_header import read_header
from evsim.recordings.readers import prophesee_raw
from tests import encoders
from tests.encoders import some_events

COLUMNS = "txyp"
EVENTS = some_events()
SMALL = some_events(height=120, width=128)  # for cameras of 128x128
TINY = some_events(height=34, width=34)


def lz4(data):
    return pytest.importorskip("lz4.frame").compress(data)


def zstd(data):
    return pytest.importorskip("zstandard").compress(data)


# name of the file, what it holds, its bytes, what is read
FORMATS = {
    "evt2": ("a.raw", EVENTS, encoders.evt2(EVENTS), "Prophesee EVT 2.0", (480, 640)),
    "evt21": ("a.raw", EVENTS, encoders.evt21(EVENTS), "Prophesee EVT 2.1", (480, 640)),
    "evt3": ("a.raw", EVENTS, encoders.evt3(EVENTS), "Prophesee EVT 3.0", (480, 640)),
    "dat": ("a.dat", EVENTS, encoders.dat(EVENTS), "Prophesee DAT version 2", (480, 640)),
    "es": ("a.es", EVENTS, encoders.event_stream(EVENTS), "Event Stream 2.0.0, DVS events", (120, 160)),
    "nmnist": ("a.bin", TINY, encoders.nmnist(TINY), "N-MNIST .bin, 5 bytes an event", (34, 34)),
    "aedat2": ("a.aedat", SMALL, encoders.aedat2(SMALL), "AEDAT 2.0, DVS128", (128, 128)),
    "aedat3": ("a.aedat", SMALL, encoders.aedat3(SMALL), "AEDAT 3.1, DVS128", (128, 128)),
    "aedat4": ("a.aedat4", EVENTS, encoders.aedat4(EVENTS), "AEDAT 4, event stream 0", (120, 160)),
    "csv": ("a.csv", EVENTS, encoders.text(EVENTS, header="t,x,y,p\n"), "text, columns t, x, y, p", (128, 128)),
}
FORMATS["csv"] = (*FORMATS["csv"][:4], (180, 240))


def assert_same(recording, events):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(recording, name), events[name], name)
    assert [getattr(recording, name).dtype for name in COLUMNS] == [np.int64, np.int32, np.int32, np.int8]


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def refused(path, pattern, **options):
    with pytest.raises(RecordingError, match=pattern) as caught:
        read_recording(path, **options)
    assert str(caught.value).startswith(str(path.parent))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_written_comes_back(tmp_path, kind):
    name, events, data, layout, sensor = FORMATS[kind]
    recording = read_recording(write(tmp_path, name, data))
    assert_same(recording, events)
    assert (recording.layout, recording.sensor) == (layout, sensor)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("block_bytes", [1, 7, 333])
def test_any_size_of_block_gives_the_same_events(tmp_path, kind, block_bytes):
    from evsim.recordings.read import find_reader

    name, events, data, *_ = FORMATS[kind]
    path = write(tmp_path, name, data)
    pieces = list(decode_stream(io.BytesIO(data), find_reader(path).Decoder(path, ReadOptions()), block_bytes))
    for column, name in zip(join(pieces), COLUMNS, strict=True):
        np.testing.assert_array_equal(column, events[name])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pipe_gives_events_before_it_ends(kind):
    _, events, data, *_ = FORMATS[kind]
    options = ReadOptions(layout="nmnist" if kind == "nmnist" else None)
    receiver, sender = os.pipe()
    with open(receiver, "rb") as stream, open(sender, "wb", buffering=0) as source:
        source.write(data[: len(data) // 2])
        head = stream.peek()
        pieces = decode_stream(stream, find_decoder(head, options=options))
        first = next(pieces)
        assert 50 < first.t.size < 500
        source.write(data[len(data) // 2 :])
        source.close()
        columns = join([first, *pieces])
    np.testing.assert_array_equal(columns.t, events["t"])


def test_a_stream_nobody_knows():
    with pytest.raises(RecordingError, match="-: not events that can be read as they arrive"):
        find_decoder(b"hello")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("chunk_events", [64, 499, 500, 1000])
def test_pieces_put_together_are_the_whole(tmp_path, kind, chunk_events):
    name, events, data, layout, sensor = FORMATS[kind]
    path = write(tmp_path, name, data)
    pieces = list(iter_events(path, chunk_events))
    assert [piece.t.size for piece in pieces[:-1]] == [chunk_events] * ((500 - 1) // chunk_events)
    for name in COLUMNS:
        np.testing.assert_array_equal(np.concatenate([getattr(piece, name) for piece in pieces]), events[name])
    assert {(piece.layout, piece.sensor, piece.path) for piece in pieces} == {(layout, sensor, str(path))}


@pytest.mark.parametrize("split_by", ["number", "time"])
@pytest.mark.parametrize("n_steps", [1, 3, 16, 700])
def test_binning_in_pieces_equals_binning_at_once(tmp_path, split_by, n_steps):
    path = write(tmp_path, "a.bin", encoders.nmnist(TINY))
    frames = bin_events(read_recording(path), n_steps, split_by)
    binned = bin_file(path, n_steps, split_by, chunk_events=77)
    np.testing.assert_array_equal(binned.frames, frames)
    assert binned.frames.dtype == np.float32
    assert "a piece of the file at a time" in binned.notes[-1]


@pytest.mark.parametrize(
    "use",
    [
        lambda path: [piece.t.size for piece in iter_events(path, 2**14)],
        lambda path: bin_file(path, 4, "number", 2**14),
    ],
)
def test_a_long_file_takes_no_more_memory_than_a_few_pieces(tmp_path, use):
    piece = encoders.nmnist(TINY | {"t": np.full(500, 7)})
    path = write(tmp_path, "a.bin", piece * 4000)  # 10 MB, 34 MB of columns
    use(write(tmp_path, "b.bin", piece))  # what is imported on first use does not count
    tracemalloc.start()
    use(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
@pytest.mark.parametrize("layout", ["columns", "table", "rows", "ecf"])
def test_pieces_of_hdf5_are_read_as_they_are_needed(tmp_path, layout, options, monkeypatch):
    path = tmp_path / "a.h5"
    columns = [EVENTS[name] for name in COLUMNS]
    with h5py.File(path, "w") as file:
        if layout == "columns":
            for name in COLUMNS:
                file.create_dataset(f"events/{name}", data=EVENTS[name], **options)
        elif layout == "table":
            file.create_dataset("CD/events", data=np.rec.fromarrays(columns, names="t,x,y,p"), **options)
        else:
            file.create_dataset("events", data=np.stack(columns, 1), **options)
    if layout == "ecf":
        encoders.ecf_file(path, EVENTS, chunk=64)
    whole = read_recording(path)
    monkeypatch.setattr("evsim.recordings.stream.read_recording", None)
    for n in (37, 64, 128, 1000):
        pieces = list(iter_events(path, n))
        assert max(piece.t.size for piece in pieces) <= n
        for name in COLUMNS:
            np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in pieces]), getattr(whole, name))


def test_a_file_without_events_has_no_pieces(tmp_path):
    for name, data in (("a.csv", b"t,x,y,p\n"), ("a.raw", encoders.EVT_HEADER % b"2.0")):
        for sensor in (None, (34, 34)):
            with pytest.raises(RecordingError, match="holds no events"):
                list(iter_events(write(tmp_path, name, data), sensor=sensor))


def test_pieces_of_other_files_are_cut_from_the_whole(tmp_path):
    np.savez(tmp_path / "a.npz", **EVENTS)
    sizes = [piece.t.size for piece in iter_events(tmp_path / "a.npz", 200)]
    assert sizes == [200, 200, 100]
    np.savez(tmp_path / "b.npz", frames=np.zeros((1, 2, 3, 3)))
    with pytest.raises(RecordingError, match="holds no events"):
        list(iter_events(tmp_path / "b.npz"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(1, 20))
def test_a_little_disorder_across_pieces_is_put_in_order(tmp_path_factory, times, chunk_events):
    n = len(times)
    events = {"t": np.array(times), "x": np.arange(n) % 34, "y": np.arange(n) % 34, "p": np.arange(n) % 2}
    path = write(tmp_path_factory.mktemp("a"), "a.bin", encoders.nmnist(events))
    whole = read_recording(path)
    try:
        pieces = list(iter_events(path, chunk_events))
    except RecordingError as error:
        assert "out of order by more than a piece" in str(error)  # noqa: PT017
        assert chunk_events < n
        return
    for name in COLUMNS:
        np.testing.assert_array_equal(np.concatenate([getattr(piece, name) for piece in pieces]), getattr(whole, name))


def test_a_cut_file_gives_its_whole_events_and_says_so(tmp_path):
    for kind in ("evt2", "evt21", "dat", "es", "aedat2", "aedat3", "aedat4"):
        name, _, data, *_ = FORMATS[kind]
        recording = read_recording(write(tmp_path, name, data[:-1]))
        assert recording.t.size < 500
        assert any("the file ends inside" in note for note in recording.notes), kind
        refused(write(tmp_path, name, data[:20]), "truncated|no events|not a recording|damaged")


# ---- time that wraps -----------------------------------------------------------------------------------------------


def test_times_that_wrap(tmp_path):
    late = {
        "t": np.arange(60) * 400_000 + 2**24 - 10**6,
        "x": np.arange(60),
        "y": np.arange(60),
        "p": np.arange(60) % 2,
    }
    assert_same(read_recording(write(tmp_path, "a.raw", encoders.evt3(late))), late)
    later = late | {"t": np.arange(60) * 2**29 + 7}
    for encode in (encoders.evt2, encoders.evt21):
        assert_same(read_recording(write(tmp_path, "a.raw", encode(later))), later)
    assert_same(read_recording(write(tmp_path, "a.dat", encoders.dat(later))), later)
    assert_same(read_recording(write(tmp_path, "a.aedat", encoders.aedat2(later))), later)
    assert_same(read_recording(write(tmp_path, "a.aedat", encoders.aedat3(later, packet=1))), later)


def test_evt3_time_that_steps_back_a_little_is_jitter(tmp_path):
    words = [0x8002, 0x6FFF, 0x0005, 0x2001, 0x8001, 0x6FFE, 0x2002, 0x8002, 0x2003]
    data = encoders.EVT_HEADER % b"3.0" + np.array(words, "<u2").tobytes()
    recording = read_recording(write(tmp_path, "a.raw", data))
    assert recording.t.tolist() == [0x1FFE, 0x2000, 0x2FFF]
    assert any("1 time stamps ran backwards" in note for note in recording.notes)


def test_events_before_the_first_time_are_left_out_and_said(tmp_path):
    data = encoders.EVT_HEADER % b"3.0" + np.array([0x0005, 0x2001, 0x8001, 0x2002], "<u2").tobytes()
    recording = read_recording(write(tmp_path, "a.raw", data))
    assert recording.x.tolist() == [2]
    assert any("1 events before the first time stamp" in note for note in recording.notes)
    data = encoders.EVT_HEADER % b"2.0" + np.array([0x1000_0801, 0x8000_0001, 0x1000_1001], "<u4").tobytes()
    recording = read_recording(write(tmp_path, "a.raw", data))
    assert (recording.x.tolist(), recording.t.tolist()) == ([2], [64])


# ---- AEDAT ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "address"),
    [
        ("dvs128", lambda x, y, p: (127 - y) << 8 | (127 - x) << 1 | 1 - p),
        ("cifar10dvs", lambda x, y, p: (127 - x) << 8 | (127 - y) << 1 | 1 - p),
        ("tonic", lambda x, y, p: x << 8 | y << 1 | p),
    ],
)
def test_aedat2_conventions_of_the_dvs128(tmp_path, layout, address):
    path = write(tmp_path, "a.aedat", encoders.aedat2(SMALL, address=address))
    assert_same(read_recording(path, layout=layout), SMALL)


def test_aedat2_davis_leaves_out_frames_and_motion(tmp_path):
    address = encoders.davis_address(260, 346)
    chip = b"# AEChip: eu.seebetter.ini.chips.davis.Davis346red\r\n"
    data = encoders.aedat2(EVENTS, chip, address)
    mixed = data + bytes([0x80, 0, 0, 0]) + bytes(4) + bytes([0, 0, 4, 0]) + bytes(4)
    recording = read_recording(write(tmp_path, "a.aedat", mixed))
    assert_same(recording, EVENTS)
    assert recording.sensor == (260, 346)
    assert "2 samples that are no polarity events were left out" in recording.notes
    assert_same(
        read_recording(write(tmp_path, "a.aedat", encoders.aedat2(EVENTS, b"", address)), layout="davis346"), EVENTS
    )
    refused(write(tmp_path, "a.aedat", encoders.aedat2(SMALL, b"# AEChip: net.sf.Cochlea\r\n")), "unknown camera")


def test_aedat2_equals_tonics_readers(tmp_path, monkeypatch):
    tonic_io = pytest.importorskip("tonic.io")
    # tonic.io.read_dvs_128 unpacks two of the three values its own header reader returns.
    whole = tonic_io.read_aedat_header_from_file
    path = write(tmp_path, "a.aedat", encoders.aedat2(SMALL))
    with monkeypatch.context() as patch:
        patch.setattr(tonic_io, "read_aedat_header_from_file", lambda name: whole(name)[:2])
        _, expected = tonic_io.read_dvs_128(path)
    assert_same(read_recording(path, layout="tonic"), expected)
    path = write(tmp_path, "a.aedat", encoders.aedat2(EVENTS, address=encoders.davis_address(260, 346)))
    _, _, expected = tonic_io.read_davis_346(path)
    assert_same(read_recording(path, layout="davis346"), expected)


def test_aedat3_equals_tonics_reader(tmp_path, monkeypatch):
    tonic_io = pytest.importorskip("tonic.io")
    whole = tonic_io.read_aedat_header_from_file
    monkeypatch.setattr(tonic_io, "read_aedat_header_from_file", lambda name: whole(name)[:2])
    path = write(tmp_path, "a.aedat", encoders.aedat3(SMALL))
    _, expected = tonic_io.read_dvs_ibm(path)
    assert_same(read_recording(path), expected)


def test_aedat3_passes_over_what_is_no_event(tmp_path):
    data = encoders.aedat3(SMALL, packet=100, capacity=128)
    other = encoders.struct.pack("<hhiiiiii", 3, 1, 36, 4, 0, 2, 2, 2) + bytes(72)
    start = len(encoders.AEDAT3_HEADER)
    assert_same(read_recording(write(tmp_path, "a.aedat", data[:start] + other + data[start:])), SMALL)
    invalid = bytearray(data)
    invalid[start + 28] &= 254
    recording = read_recording(write(tmp_path, "a.aedat", bytes(invalid)))
    assert recording.t.size == 499
    assert "1 events marked invalid were left out" in recording.notes


def test_gesture_labels_cut_a_recording(tmp_path):
    path = write(tmp_path, "user01_led.aedat", encoders.aedat3(SMALL))
    t = SMALL["t"]
    labels = f"class,startTime_usec,endTime_usec\n1,{t[0]},{t[100]}\n8,{t[100]},{t[300]}\n11,0,1\n"
    write(tmp_path, "user01_led_labels.csv", labels.encode())
    begin, end = np.searchsorted(t, [t[100], t[300]])
    recording = read_recording(path, index=1)
    assert_same(recording, {name: SMALL[name][begin:end] for name in COLUMNS})
    assert recording.label == 7
    assert "class 8 of 1..11" in recording.notes[0]
    assert next(iter_events(f"{path}::1", 50)).label == 7
    assert read_recording(path).label == 0
    whole = read_recording(path, index="whole")
    assert_same(whole, SMALL)
    assert whole.label is None
    refused(path, "there is no recording 3", index=3)
    refused(path, "no events", index=2)
    write(tmp_path, "user01_led_labels.csv", b"class,startTime_usec,endTime_usec\n1,2\n")
    refused(path, r"labels.csv: line 2 is '1,2'")


@pytest.mark.parametrize(("compression", "pack"), [(0, bytes), (1, lz4), (2, lz4), (3, zstd), (4, zstd)])
def test_aedat4_compressions(tmp_path, compression, pack):
    recording = read_recording(write(tmp_path, "a.aedat4", encoders.aedat4(EVENTS, compression, pack)))
    assert_same(recording, EVENTS)
    assert recording.notes == ()


def test_aedat4_streams(tmp_path):
    streams = ((0, "FRME", 346, 260), (2, "EVTS", 346, 260), (5, "EVTS", 160, 120))
    header = encoders.aedat4_header(0, streams)
    packets = [encoders.aedat4_packet(number, EVENTS, bytes) for number in (5, 0, 5)]
    path = write(tmp_path, "a.aedat4", header + b"".join(packets))
    refused(path, "holds no events")
    recording = read_recording(path, index="5")
    assert (recording.t.size, recording.sensor) == (1000, (120, 160))
    assert "2 event streams" in recording.notes[0]
    refused(write(tmp_path, "a.aedat4", encoders.aedat4_header(0, ((0, "IMUS", 0, 0),))), "without a stream of events")


def test_aedat4_bombs_and_lies(tmp_path):
    bomb = zstd(bytes(2**27))
    streams = ((0, "EVTS", 160, 120),)
    for compression, packed in ((3, bomb), (1, lz4(bytes(2**27)))):
        data = encoders.aedat4_header(compression, streams) + encoders.struct.pack("<ii", 0, len(packed)) + packed
        refused(write(tmp_path, "a.aedat4", data), "unpacks to more than")
    header = encoders.aedat4_header(9, streams)
    refused(write(tmp_path, "a.aedat4", header), "unknown compression 9")
    entities = '<!DOCTYPE d [<!ENTITY a "b">]>' + encoders.DESCRIPTION
    refused(write(tmp_path, "a.aedat4", encoders.aedat4_header(0, streams, entities)), "declarations")
    refused(write(tmp_path, "a.aedat4", encoders.aedat4_header(0, (), "<dv>{}")), "damaged description")


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, "a.aedat4", encoders.aedat4(EVENTS, 1, lz4))
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    refused(path, "needs the package lz4: pip install lz4")


# ---- Prophesee -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "sensor"),
    [
        (b"% format EVT2;height=720;width=1280\n% end\n", (720, 1280)),
        (b"% evt 2.0\n% plugin_name hal_plugin_gen31_fx3\n", (480, 640)),
        (b"% evt 2.0\n% geometry 320x320\n", (320, 320)),
        (b"% evt 2.0\r\n% Height 240\r\n% Width 304\r\n", (240, 304)),
        (b"% evt 2.0\n", (180, 240)),
    ],
)
def test_prophesee_headers(tmp_path, header, sensor):
    recording = read_recording(write(tmp_path, "a.raw", encoders.evt2(EVENTS, header)))
    assert_same(recording, EVENTS)
    assert recording.sensor == sensor


def test_prophesee_files_that_are_refused(tmp_path):
    refused(write(tmp_path, "a.raw", b"% evt 4.0\n" + bytes(40)), "EVT version '4.0'; expected one of 2.0, 2.1, 3.0")
    refused(write(tmp_path, "a.raw", b"% evt 2.1\n% endianness big\n" + bytes(40)), "big endian")
    refused(write(tmp_path, "a.raw", b"% evt 3.0\n" + bytes(40)), "no events")
    refused(write(tmp_path, "a.dat", b"% Version 2\n" + bytes([12, 9]) + bytes(40)), "not a recording")
    refused(write(tmp_path, "a.es", b"Event Stream\x01\x00\x00\x01" + bytes(40)), "version 1.0.0; expected 2")
    refused(write(tmp_path, "a.es", b"Event Stream\x02\x00\x00\x02" + bytes(40)), "ATIS events")
    outside = encoders.event_stream({"t": [1], "x": [160], "y": [0], "p": [1]})
    refused(write(tmp_path, "a.es", outside), "outside the sensor of 120x160")


def test_evt21_with_the_upper_half_first(tmp_path):
    header = encoders.EVT_HEADER % b"2.1"
    swapped = np.frombuffer(encoders.evt21(EVENTS, b""), "<u4").reshape(-1, 2)[:, ::-1].tobytes()
    path = write(tmp_path, "a.raw", header + swapped)
    assert_same(read_recording(path), EVENTS)
    pieces = list(decode_stream(io.BytesIO(header + swapped), prophesee_raw.Decoder(path, ReadOptions()), 5))
    np.testing.assert_array_equal(join(pieces).x, EVENTS["x"])


def test_dat_of_the_first_cameras(tmp_path):
    header = b"% Data file containing CD events.\n% Version 1\n% Width 304\n% Height 240\n"
    recording = read_recording(write(tmp_path, "a.dat", encoders.dat(EVENTS, header, (9, 17))))
    assert_same(recording, EVENTS)
    assert recording.sensor == (240, 304)


def test_dat_equals_expelliarmus(tmp_path):
    wizard = pytest.importorskip("expelliarmus").Wizard(encoding="dat")
    path = write(tmp_path, "a.dat", encoders.dat(EVENTS))
    assert_same(read_recording(path), wizard.read(path))


@pytest.mark.parametrize(("encode", "name"), [(encoders.evt2, "evt2"), (encoders.evt3, "evt3")])
def test_evt_equals_expelliarmus(tmp_path, encode, name):
    wizard = pytest.importorskip("expelliarmus").Wizard(encoding=name)
    # It counts a low time that is smaller than the last as a wrap even where the high time already says so.
    short = {column: EVENTS[column][EVENTS["t"] < 4096] for column in COLUMNS}
    path = write(tmp_path, "a.raw", encode(short))
    assert_same(read_recording(path), wizard.read(path))


@pytest.mark.parametrize("encode", [encoders.evt2, encoders.evt3])  # faery has no EVT 2.1 yet
def test_evt_equals_faery(tmp_path, encode):
    path = write(tmp_path, "a.raw", encode(EVENTS))
    assert_same(read_recording(path), faery_events(path))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**16 - 1), max_size=80))
def test_any_evt3_words_mean_what_the_format_says(words):
    words = [word for word in words if word >> 12 != 8]  # wraps have their own test
    assert list(encoders.rows(Evt3().decode(np.array([0x8001, *words], "<u2").tobytes())._asdict())) == list(
        slow_evt3(words)
    )


def slow_evt3(words):
    """EVT 3.0 one word at a time, after a high time of 1."""
    low, row, base, sign = 0, None, 0, 0
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 0:
            row = value & 0x7FF
        elif kind == 3:
            base, sign = value & 0x7FF, value >> 11
        elif kind == 6:
            low = value
        elif kind == 2 and row is not None:
            yield 4096 + low, value & 0x7FF, row, value >> 11
        elif kind in (4, 5):
            for bit in range({4: 12, 5: 8}[kind]):
                if value >> bit & 1 and row is not None:
                    yield 4096 + low, base + bit, row, sign
            base += {4: 12, 5: 8}[kind]


# ---- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (encoders.text(EVENTS), {}),
        (encoders.text(EVENTS, between=" "), {}),
        (encoders.text(EVENTS, between="\t", end="\r\n"), {}),
        (encoders.text(EVENTS, "xypt", ", "), {}),
        (encoders.text(EVENTS, "pyxt", ";"), {"layout": "pyxt"}),
        (encoders.text(EVENTS, "pyxt", ";", "# made by hand\npolarity;y;x;timestamp\n"), {}),
        (encoders.text(EVENTS, "tpyx", " ", "# t p y x\n"), {}),
        (encoders.text(EVENTS, "txyp", ",", "Timestamp,X,Y,Polarity\n"), {}),
        (encoders.text(EVENTS)[:-1], {}),
        (encoders.text(EVENTS | {"p": EVENTS["p"].astype(bool)}), {}),
        (encoders.text(EVENTS | {"p": 2 * EVENTS["p"] - 1}), {}),
        (encoders.text(EVENTS | {"t": EVENTS["t"] / 1e6}, between=" "), {"unit": "s"}),
    ],
)
def test_text(tmp_path, data, options):
    assert_same(read_recording(write(tmp_path, "a.txt", data), **options), EVENTS)


def test_text_that_is_refused(tmp_path):
    refused(write(tmp_path, "a.csv", b"0,0,0,0\n1,1,1,1\n"), "could be txyp or")
    refused(write(tmp_path, "a.csv", encoders.text(EVENTS) + b"5,6\n"), "line 501 is b.5,6.")
    refused(write(tmp_path, "a.csv", encoders.text(EVENTS) + b"600000,1,1,1\n" * 600 + b"5,6\n"), "after line")
    refused(write(tmp_path, "a.csv", encoders.text(EVENTS, header="t,x,y,p\n") + b"a,b,c,d\n"), "after line")
    refused(write(tmp_path, "a.csv", encoders.text(EVENTS, header="t,x,y,p\n") + b"9e99,1,1,1\n"), "out of range")
    refused(write(tmp_path, "a.csv", b"t,x,y,p\n"), "no events")
    refused(write(tmp_path, "a.csv", b"t,x,y,p\n1,1,1,-1\n2,1,1,0\n"), "polarities -1 and 0")
    refused(write(tmp_path, "a.csv", b"t,x,y,p\n" + b"1" * 10**6), "longer than|out of range|columns")
    refused(write(tmp_path, "a.csv", b"name,age\nann,3\n"), "found text")


# ---- real files ----------------------------------------------------------------------------------------------------


def faery_events(path):
    array = pytest.importorskip("faery").events_stream_from_file(path).to_array()
    return {"t": array["t"].astype(np.int64)} | {name: array[name] for name in "xy"} | {"p": array["on"]}


@pytest.mark.parametrize("name", ["evt2_sample.raw", "dvs.es", "sample.aedat4", "davis.aedat4"])
def test_real_files_equal_faery(shared, name):
    path = shared / "data" / "readers" / name
    assert_same(read_recording(path), faery_events(path))


def test_real_evt2_equals_expelliarmus(shared):
    path = shared / "data" / "readers" / "evt2_sample.raw"
    expected = pytest.importorskip("expelliarmus").Wizard(encoding="evt2").read(path)
    assert expected.size == 539_481
    assert_same(read_recording(path), expected)


@pytest.mark.parametrize("name", ["sample.aedat4", "davis.aedat4"])
def test_real_aedat4_equals_tonic(shared, name):
    pytest.importorskip("aedat")
    path = shared / "data" / "readers" / name
    events = pytest.importorskip("tonic.io").read_aedat4(str(path))
    assert_same(read_recording(path), {"t": events["t"]} | {c: events[c] for c in "xy"} | {"p": events["on"]})


def test_real_evt3_equals_two_readers_but_for_its_eleven_glitches(shared):
    """The file's low time steps back eleven times by up to 11 us, in words that no event follows.

    The truth file (expelliarmus) counts each as a wrap of 4096 us, faery keeps the largest time so far; the raw words
    say neither.
    """
    folder = shared / "data" / "readers"
    recording = read_recording(folder / "evt3_sample.raw")
    truth, other = np.load(folder / "evt3_sample.npy"), faery_events(folder / "evt3_sample.raw")
    assert recording.t.size == truth.size == 219_596
    for name in "xyp":
        np.testing.assert_array_equal(getattr(recording, name), truth[name])
        np.testing.assert_array_equal(getattr(recording, name), other[name])
    extra = truth["t"] - recording.t
    assert sorted(set(extra.tolist())) == [4096 * laps for laps in range(12)]
    assert (np.diff(extra) >= 0).all()
    late = other["t"] - recording.t
    assert (late >= 0).all()
    assert late.max() <= 11
    raw = (folder / "evt3_sample.raw").read_bytes()
    words = np.frombuffer(raw, "<u2", offset=read_header("", raw)[1]).tolist()
    highs = [at for at, word in enumerate(words) if word >> 12 == 8] + [len(words)]
    by_the_book = [
        (((words[begin] & 0xFFF) - 1) * 4096 + t, x, y, p)
        for begin, end in itertools.pairwise(highs)
        for t, x, y, p in slow_evt3([*row_before(words, begin), *words[begin + 1 : end]])
    ]
    assert list(encoders.rows(vars(recording))) == by_the_book


def row_before(words, at):
    """The last row, base and low time set before a place; a high time sets the low one to 0."""
    last = {word >> 12: word for word in words[max(0, at - 3000) : at] if word >> 12 in (0, 3)}
    return list(last.values())


def test_all_nmnist_recordings_equal_tonic(shared, tmp_path):
    read_mnist_file = pytest.importorskip("tonic.io").read_mnist_file
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    with zipfile.ZipFile(shared / "data" / "nmnist_1000_100.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".bin")]
        archive.extractall(tmp_path, names)
    assert len(names) == 1100
    for name in names:
        assert_same(read_recording(tmp_path / name), read_mnist_file(str(tmp_path / name), dtype))


def test_every_reader_of_events_can_be_read_in_pieces():
    from evsim.recordings import readers

    with_pieces = {name for name, module in formats_of(readers).items() if hasattr(module, "Decoder")}
    assert with_pieces >= {
        "aedat2",
        "aedat3",
        "aedat4",
        "event_stream",
        "nmnist",
        "prophesee_dat",
        "prophesee_raw",
        "text",
    }
