"""Files as people have them: each is the same 2,000 events in another form, read right or refused in one line."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evsim.errors import RecordingError
from evsim.evaluation.dataset import find_dataset
from evsim.recordings import iter_events, read_recording

ARCHIVE = Path(__file__).parent / "data" / "recordings_from_the_field.zip"


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """The folder of the files."""
    folder = tmp_path_factory.mktemp("field")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def events(field):
    """What all of them hold."""
    return read_recording(field / "bom.csv")


def assert_same(found, events, without=()):
    keep = np.delete(np.arange(events.t.size), list(without))
    for name in "txyp":
        np.testing.assert_array_equal(getattr(found, name), getattr(events, name)[keep], name)


def test_the_events_are_what_the_writers_say(events):
    assert (events.t.size, int(events.t[0]), int(events.t[-1]), events.sensor) == (2000, 308, 299_759, (34, 34))
    assert np.count_nonzero(events.p) == 1004


# name, what is told, the sensor, words of a note
READ = [
    ("v2e.h5", {}, (34, 34), "polarity 4294967295, -1 in an unsigned column, was read as 0"),
    ("uint8.npz", {}, (34, 34), "polarity 255, -1 in an unsigned column, was read as 0"),
    ("v2e-dvs-events.txt", {}, (34, 34), "time stamps were in s"),
    ("v2e-dvs-events.txt", {"unit": "s"}, (34, 34), "time stamps were in s"),
    ("unsorted_us.txt", {"layout": "txyp"}, (34, 34), "737 time stamps ran backwards; the events were sorted"),
    ("unsorted_seconds.txt", {"layout": "txyp", "unit": "s"}, (34, 34), "737 time stamps ran backwards"),
    ("geometry.csv", {}, (480, 640), "order of the columns was inferred"),
    ("m3ed.h5", {}, (720, 1280), "also has events of 'prophesee/right' (--index prophesee/right reads them)"),
    ("n01440764_1.npz", {}, (34, 34), "'pos' and 'neg' of y, x, t were put together"),
    ("n01440764_10026.npz", {}, (34, 34), "inferred from the furthest event"),
    ("index_txyp.csv", {}, (34, 34), "inferred from the furthest event"),
    ("faery.csv", {}, (34, 34), None),
    ("faery.raw", {}, (34, 34), "t0 308 us was added"),
    ("e3.raw", {}, (720, 1280), "the low time started anew 73 times without a word of high time"),
]


@pytest.mark.parametrize(("name", "told", "sensor", "note"), READ)
def test_files_that_are_read(field, events, name, told, sensor, note):
    found = read_recording(field / name, **told)
    if "unsorted" in name or name.startswith("n01440764_1."):  # ties have the order of the file
        order = np.lexsort((found.p, found.y, found.x, found.t))
        expected = np.lexsort((events.p, events.y, events.x, events.t))
        for column in "txyp":
            np.testing.assert_array_equal(getattr(found, column)[order], getattr(events, column)[expected])
    else:
        assert_same(found, events)
    assert found.sensor == sensor
    assert found.notes == () if note is None else any(note in said for said in found.notes)


@pytest.mark.parametrize(
    ("name", "told"), [(name, told) for name, told, *_ in READ if "unsorted" not in name and "_1." not in name]
)
def test_pieces_of_them_are_the_whole(field, events, name, told):
    pieces = list(iter_events(field / name, 300, **told))
    for column in "txyp":
        joined = np.concatenate([getattr(piece, column) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(events, column))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unsorted_ms.txt", "could be txyp or xytp; say which: --layout"),
        ("unsorted_us.txt", "737 of 2,000 events step back: not in order of time.* --layout txyp"),
        ("unsorted_seconds.txt", "say their unit with --unit.* what the columns are with --layout"),
        ("etram_td.h5", "y of event 777 is 33014; .*--drop-outside"),
        ("moorea_td.dat", r"event 500 at row 449 and column 1308 lies outside the sensor of 720x1280.*--drop-outside"),
        ("davis346.aedat", "y of event 100 is -47; .*--drop-outside"),
        ("ts_float32_epoch.h5", "lost their digits: near 1504645120 a float32 keeps steps of 128 s"),
        ("._00001.bin", "AppleDouble"),
        ("bitshuffle_damaged.h5", r"damaged chunk at \[0\], which cannot be unpacked"),
    ],
)
def test_files_that_are_refused(field, name, message):
    in_pieces = () if "unsorted_us" in name else (lambda path: list(iter_events(path, 300)),)
    for read in (read_recording, *in_pieces):
        with pytest.raises(RecordingError, match=message) as refusal:
            read(field / name)
        assert str(refusal.value).startswith(str(field / name))
        assert "\n" not in str(refusal.value)


def test_ms_need_their_unit_too(field, events):
    found = read_recording(field / "unsorted_ms.txt", layout="txyp", unit="ms")
    np.testing.assert_array_equal(found.t, np.sort(events.t // 1000 * 1000))


@pytest.mark.parametrize(("name", "at"), [("etram_td.h5", 777), ("moorea_td.dat", 500), ("davis346.aedat", 100)])
def test_an_event_outside_is_left_out_on_demand(field, events, name, at):
    found = read_recording(field / name, drop_outside=True)
    np.testing.assert_array_equal(found.t, np.delete(events.t, at))
    np.testing.assert_array_equal(found.p, np.delete(events.p, at))
    assert "1 events outside the sensor were left out" in found.notes


def test_a_line_sensor_with_the_index_of_pandas(field):
    plain, indexed = (read_recording(field / f"{name}index_line_sensor.csv") for name in ("no", ""))
    assert_same(indexed, plain)
    assert set(plain.y.tolist()) == {0}


def test_the_other_camera(field, events):
    for index in ("right", "prophesee/right", 1, "1"):
        assert_same(read_recording(field / "m3ed.h5", index=index), events)
    with pytest.raises(RecordingError, match="no events 'middle'; it has 'prophesee/left', 'prophesee/right'"):
        read_recording(field / "m3ed.h5", index="middle")


def test_a_damaged_dataset_is_one_line(field, evsim):
    with pytest.raises(RecordingError, match="damaged or not readable") as refusal:
        find_dataset(str(field / "dataset_damaged.h5"))
    assert "\n" not in str(refusal.value)
    code, _, err = evsim("evaluate", "-d", field / "dataset_damaged.h5")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_refused_at_once(tmp_path, evsim):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match=r"is a pipe; expected a file \(--follow reads pipes"):
        read_recording(tmp_path / "pipe")
    for verb in (("run", "-i"), ("info",)):
        code, _, err = evsim(*verb, tmp_path / "pipe")
        assert (code, "is a pipe" in err) == (2, True)
    with pytest.raises(RecordingError, match="is a device"):
        read_recording("/dev/zero")
