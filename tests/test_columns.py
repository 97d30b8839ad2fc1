"""Columns: one inference for HDF5, NumPy and text; names as people spell them; two readings are refused and named."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import RecordingError
from evsim.recordings import iter_events, read_recording
from evsim.recordings.column_order import CONVENTIONS, possible_orders
from evsim.recordings.field_names import columns_of, parse_name
from evsim.recordings.options import ReadOptions
from evsim.recordings.streaming.decoder import StreamDecoder
from tests import encoders

EVENTS = encoders.some_events()
N = EVENTS["t"].size


def rows(order, events=EVENTS, dtype=np.int64):
    filler = {"_": np.arange(len(events["t"]))}
    return np.stack([np.asarray((events | filler)[name]) for name in order], 1).astype(dtype)


def as_npy(folder, order, events=EVENTS, dtype=np.int64):
    np.save(folder / "a.npy", rows(order, events, dtype))
    return folder / "a.npy"


def as_npz(folder, order, events=EVENTS, dtype=np.int64):
    np.savez(folder / "a.npz", events=rows(order, events, dtype))
    return folder / "a.npz"


def as_hdf5(folder, order, events=EVENTS, dtype=np.int64):
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("events", data=rows(order, events, dtype), chunks=True, compression="lzf")
    return folder / "a.h5"


def as_text(folder, order, events=EVENTS, dtype=np.int64):
    between = {4: " ", 5: ";"}[len(order)]
    lines = [between.join(str(value) for value in row) for row in rows(order, events, dtype).tolist()]
    (folder / "a.txt").write_text("\n".join(lines))
    return folder / "a.txt"


WRITERS = pytest.mark.parametrize("write", [as_npy, as_npz, as_hdf5, as_text])


def assert_same(found, events=EVENTS):
    for name in "txyp":
        np.testing.assert_array_equal(getattr(found, name), events[name], name)


@WRITERS
@pytest.mark.parametrize("order", CONVENTIONS)
def test_the_only_possible_order_is_found_in_every_form(tmp_path, write, order):
    path = write(tmp_path, order)
    found = read_recording(path)
    assert_same(found)
    assert any("inferred from the values" in note for note in found.notes)
    for piece in iter_events(path, 120):
        assert piece.p.max() == 1


@WRITERS
@pytest.mark.parametrize("order", ["pyxt", "txyp", "ptyx", "_txyp", "xy_pt"])
def test_any_order_is_read_when_told(tmp_path, write, order):
    assert_same(read_recording(write(tmp_path, order), layout=order))


@WRITERS
def test_times_as_small_as_coordinates_prove_nothing(tmp_path, write):
    short = EVENTS | {"t": EVENTS["t"] % 97, "y": np.sort(EVENTS["y"])}
    path = write(tmp_path, "txyp", short)
    with pytest.raises(RecordingError, match="could be txyp or xytp; say which: --layout"):
        read_recording(path)
    found = read_recording(path, layout="txyp")
    order = np.argsort(short["t"], kind="stable")
    assert_same(found, {name: short[name][order] for name in "txyp"})


@WRITERS
def test_an_order_that_no_program_writes_is_named_and_not_taken(tmp_path, write):
    with pytest.raises(RecordingError, match=r"could be none of txyp, xypt, xytp .*perhaps --layout ptxy"):
        read_recording(write(tmp_path, "ptxy"))


@WRITERS
def test_rows_in_another_order_than_time_are_refused_in_every_form(tmp_path, write):
    mixed = {name: column[np.random.default_rng(1).permutation(N)] for name, column in EVENTS.items()}
    mixed = {name: EVENTS[name][np.lexsort((EVENTS["x"], EVENTS["y"]))] for name in EVENTS}
    path = write(tmp_path, "txyp", mixed | {"t": 100 * mixed["t"]})
    with pytest.raises(RecordingError, match="not in order of time; if the columns are right, say --layout txyp"):
        read_recording(path)
    assert (np.diff(read_recording(path, layout="txyp").t) >= 0).all()


@WRITERS
def test_five_columns_need_a_word(tmp_path, write):
    with pytest.raises(RecordingError, match="--layout"):
        read_recording(write(tmp_path, "_txyp"))
    with pytest.raises(RecordingError, match="--layout txyp is for rows of 4 columns"):
        read_recording(write(tmp_path, "_txyp"), layout="txyp")


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=9))
@settings(max_examples=60)
def test_an_order_that_is_possible_has_polarities_and_coordinates(values):
    table = np.array(values)
    for order in CONVENTIONS:
        is_possible = set(table[:, order.index("p")].tolist()) <= {0, 1}
        assert (order in possible_orders(table, CONVENTIONS)) == is_possible


def test_float_rows_of_tonic_are_ms_but_whole_ones_could_be_us(tmp_path):
    np.save(tmp_path / "a.npy", rows("xypt", dtype=float))
    with pytest.raises(RecordingError, match="could be microseconds or the milliseconds of tonic"):
        read_recording(tmp_path / "a.npy")
    assert_same(read_recording(tmp_path / "a.npy", unit="us"))


def test_mvsec(tmp_path):
    table = rows("xytp", dtype=float) * [1, 1, 1e-6, 2] + [0, 0, 1.5e9, -1]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["davis/left/events"], file["davis/right/events"] = table, table[:7]
        file["davis/left/image_raw"] = np.zeros((1, 260, 346), np.uint8)
    found = read_recording(tmp_path / "a.h5")
    assert_same(found, EVENTS | {"t": EVENTS["t"] + 1_500_000_000_000_000})
    assert found.sensor == (260, 346)
    assert any("'davis/right/events'" in note for note in found.notes)
    assert read_recording(tmp_path / "a.h5", index="right").t.size == 7


def test_n_imagenet_and_es_imagenet_brothers(tmp_path):
    table = np.rec.fromarrays([EVENTS[name] for name in "xytp"], names="x,y,timestamp,pol")
    np.savez(tmp_path / "a.npz", anything=table)
    assert_same(read_recording(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", one=table, two=table)
    with pytest.raises(RecordingError, match="holds one and two; say"):
        read_recording(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", rows("txyp"))
    assert_same(read_recording(tmp_path / "c.npz"))
    np.savez(tmp_path / "d.npz", pos=np.zeros((3, 4)), neg=np.zeros((3, 3)))
    with pytest.raises(RecordingError, match=r"'pos' has shape .*expected rows of y, x, t"):
        read_recording(tmp_path / "d.npz")


# ---- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t", ("t", None, None)),
        ("Timestamp", ("t", None, None)),
        ("timestamp_us", ("t", "us", None)),
        ("t [ns]", ("t", "ns", None)),
        ("time (s)", ("t", "s", None)),
        ("Time(ms)", ("t", "ms", None)),
        ("time (float s)", ("t", "s", None)),
        ("ts", ("t", None, None)),
        ("times", ("t", None, None)),
        ('"x"', ("x", None, None)),
        ("x@34", ("x", None, 34)),
        ("col", ("x", None, None)),
        ("row", ("y", None, None)),
        ("y [px]", ("y", None, None)),
        ("on", ("p", None, None)),
        ("Polarity (0=off, 1=on)", ("p", None, None)),
        ("", None),
        ("index", None),
        ("tx", None),
        ("p@3", None),
    ],
)
def test_names(name, expected):
    assert parse_name(name) == expected


def test_two_names_for_one_column():
    assert columns_of("f", ["t", "x", "y", "p", "timestamp", "row"]) == {short: short for short in "txyp"}
    with pytest.raises(RecordingError, match="f: the column t could be 'ts' or 'time'; expected one"):
        columns_of("f", ["ts", "time", "x", "y", "p"])
    assert columns_of("f", ["t", "x", "y"]) is None


SECONDS = EVENTS | {"t": EVENTS["t"] / 1e6}


@pytest.mark.parametrize(
    ("data", "sensor"),
    [
        (encoders.text(EVENTS, header="\ufefft,x,y,p\n"), None),
        (encoders.text(EVENTS | {"_": np.arange(N)}, "_txyp", header=",t,x,y,p\n"), None),
        (encoders.text(EVENTS | {"_": np.arange(N)}, "_txyp", ";", header=";t;x;y;p\n"), None),
        (encoders.text(EVENTS | {"_": np.arange(N)}, "_txyp", "\t", header="\tt\tx\ty\tp\n"), None),
        (encoders.text(EVENTS | {"_": np.arange(N)}, "t_xyp", header='"t","","x","y","p"\n'), None),
        (encoders.text(EVENTS, header="t,x@160,y@120,on\n"), (120, 160)),
        (encoders.text(EVENTS | {"t": EVENTS["t"] - 308}, header="% t0 308\nt,x@160,y@120,on\n"), (120, 160)),
        (encoders.text(EVENTS, "xypt", header="%geometry:640,480\n"), (480, 640)),
        (encoders.text(EVENTS, "xypt", header="% geometry 640x480\nx,y,p,t\n"), (480, 640)),
        (encoders.text(EVENTS, header="# width: 640\n# height: 480\n# t,x,y,p\n"), (480, 640)),
        (encoders.text(EVENTS, between=" ", header="640 480\n"), (480, 640)),
        (encoders.text(SECONDS, between=" ", header="# Format: time (float s), x, y, polarity (0=off, 1=on)\n"), None),
        (encoders.text(SECONDS, header="timestamp [s],x,y,polarity\n"), None),
        (encoders.text(EVENTS | {"t": 1000 * EVENTS["t"]}, header="t_ns,x,y,p\n"), None),
        (encoders.text(EVENTS, "tyxp", " ", header="time  row  col  on\n"), None),
        (encoders.text(EVENTS | {"p": np.where(EVENTS["p"] == 1, "true", "FALSE")}, header="t,x,y,p\n"), None),
        (encoders.text(EVENTS | {"p": np.where(EVENTS["p"] == 1, 1, 255)}, header="t,x,y,p\n"), None),
    ],
)
def test_headers_of_text_in_files_and_streams(tmp_path, data, sensor):
    (tmp_path / "a.csv").write_bytes(data)
    found = read_recording(tmp_path / "a.csv")
    assert_same(found)
    assert found.sensor == (sensor or (180, 240))
    decoder = StreamDecoder("-")
    parts = [decoder.feed(data[at : at + 700]) for at in range(0, len(data), 700)] + [decoder.finish()]
    np.testing.assert_array_equal(np.concatenate([part.t for part in parts]), EVENTS["t"])
    assert decoder.sensor == sensor


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,x,y,p\n0,1,2,3,1\n", "expected 4 fields, found 5"),
        ("t x y p\n1 5 1 2 0\n2 6 1 2 1\n", "expected 4 fields, found 5"),
        ("t,x,y,p\n1,2,3,1\n1,2,3\n", "line 3 is b'1,2,3' .* found 3"),
        ("t,x,y,p\n1,2,3,1,\n", "found 5"),
        ("t;x;y;p\n0,5;1;2;1\n", "not a row of numbers"),
        ("ts,time,x,y,p\n1,1,2,3,1\n", "could be 'ts' or 'time'"),
    ],
)
def test_text_that_does_not_fit_its_header(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RecordingError, match=message):
        read_recording(tmp_path / "a.csv")


def test_a_told_order_beats_the_header(tmp_path):
    (tmp_path / "a.csv").write_bytes(encoders.text(EVENTS, "xypt", header="t,x,y,p\n"))
    found = read_recording(tmp_path / "a.csv", layout="xypt")
    assert_same(found)
    assert "the names in the header were passed over" in found.notes


# ---- a layout is heeded or refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["nonsense", "txyp", "shd", "chw"])
def test_a_layout_that_means_nothing_to_a_file_is_refused(tmp_path, layout):
    (tmp_path / "a.raw").write_bytes(encoders.evt3(EVENTS))
    np.savez(tmp_path / "a.npz", **EVENTS)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = EVENTS[name]
    for name in ("a.raw", "a.npz", "a.h5"):
        if (name, layout) == ("a.npz", "chw"):
            continue
        with pytest.raises(RecordingError):
            read_recording(tmp_path / name, layout=layout)


@pytest.mark.parametrize(
    "told", [{"unit": "s"}, {"sensor": (34, 34)}, {"drop_outside": True}, {"normalise": "cifar10"}], ids=str
)
def test_options_of_events_are_refused_for_frames(tmp_path, told):
    np.savez(tmp_path / "a.npz", frames=np.ones((2, 2, 5, 5)))
    with pytest.raises(RecordingError, match=r"--(unit|sensor|drop-outside|normalise)"):
        read_recording(tmp_path / "a.npz", **told)


def test_options_of_images_are_refused_for_events(tmp_path):
    np.savez(tmp_path / "a.npz", **EVENTS)
    for told in ({"normalise": "cifar10"}, {"axes": "T C H W"}, {"index": 3}):
        with pytest.raises(RecordingError, match=r"--normalise|--axes|no recording 3"):
            read_recording(tmp_path / "a.npz", **told)
    assert read_recording(tmp_path / "a.npz", trained_with="cifar10").t.size == N


def test_a_stream_takes_the_same_options():
    text = encoders.text(SECONDS, "xypt", " ")
    decoder = StreamDecoder("-", options=ReadOptions(layout="xypt", unit="s"))
    found = [decoder.feed(text), decoder.finish()]
    np.testing.assert_array_equal(np.concatenate([part.t for part in found]), EVENTS["t"])
    with pytest.raises(RecordingError, match="none of txyp"):
        StreamDecoder("-").feed(encoders.text(EVENTS, "pyxt", " "))
    other = StreamDecoder("-")
    np.testing.assert_array_equal(other.feed(encoders.text(EVENTS, "xypt", " ")).p, EVENTS["p"])
