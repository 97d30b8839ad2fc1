"""Streaming: decoders fed piece by piece, windows against a slow twin, back-pressure, and the command on live input."""

import io
import itertools
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import EvsimError, RecordingError
from evsim.evaluation.follow import Follower, Stream, parse_microseconds, parse_sensor
from evsim.loading.importing import load_network
from evsim.loading.zoo import find_weights
from evsim.recordings import read_recording
from evsim.recordings.streaming import windows as windows_module
from evsim.recordings.streaming.decoder import StreamDecoder
from evsim.recordings.streaming.events import Events
from evsim.recordings.streaming.pipeline import QUEUE_WINDOWS, WindowReader
from evsim.recordings.streaming.source import arriving_bytes
from evsim.recordings.streaming.windows import Windows
from evsim.runs.run import run
from tests.command import call

SECOND = 1_000_000


@pytest.fixture(scope="module")
def digit(data_folder):
    return data_folder / "nmnist_7_00001.bin"


@pytest.fixture(scope="module")
def data_folder():
    from pathlib import Path

    return Path(__file__).parent / "data"


def csv_of(recording):
    return "".join(
        f"{t},{x},{y},{p}\n" for t, x, y, p in zip(recording.t, recording.x, recording.y, recording.p, strict=True)
    ).encode()


def events_at(*t):
    n = len(t)
    return Events(np.array(t, np.int64), np.arange(n, dtype=np.int32), np.zeros(n, np.int32), np.zeros(n, np.int8))


def decoded(decoder, blocks):
    return Events.joined([*(decoder.feed(block) for block in blocks), decoder.finish()])


def pieces(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


# --- decoders -------------------------------------------------------------------------------------------------------


@given(cuts=st.lists(st.integers(0, 10**6), max_size=12))
@settings(max_examples=30, deadline=None)
def test_decoders_do_not_care_where_blocks_end(digit, cuts):
    whole = read_recording(digit)
    found = decoded(StreamDecoder("x", "nmnist"), pieces(digit.read_bytes(), cuts))
    for column in "txyp":
        np.testing.assert_array_equal(getattr(found, column), getattr(whole, column))
    text = csv_of(whole)[:4000].rsplit(b"\n", 1)[0]
    found = decoded(StreamDecoder("x"), pieces(text, cuts))
    for column in "txyp":
        np.testing.assert_array_equal(getattr(found, column), getattr(whole, column)[: len(found)])
    assert len(found) == text.count(b"\n") + 1


@pytest.mark.parametrize("name", ["evt3_sample.raw", "evt2_sample.raw", "dvs.es", "sample.aedat4", "sample_nmnist.bin"])
def test_every_streamable_format_is_recognised_by_its_first_bytes(shared, name):
    path = shared / "data" / "readers" / name
    sensor = (720, 1280)
    whole = read_recording(path, sensor=sensor)
    data = path.read_bytes()
    decoder = StreamDecoder(name if name.endswith(".bin") else "-")
    found = decoded(decoder, (data[begin : begin + 50_000] for begin in range(0, len(data), 50_000)))
    order = np.argsort(found.t, kind="stable")  # a file's reader puts events in order; here the windows do
    for column in "txyp":
        np.testing.assert_array_equal(getattr(found, column)[order], getattr(whole, column))


def test_clock_overflows_count_across_blocks():
    tick = bytes([0, 240, 0, 0, 0])
    event = bytes([3, 4, 128, 0, 7])
    found = decoded(StreamDecoder("x.bin"), pieces(tick + event + tick + tick + event, range(0, 25, 3)))
    assert found.t.tolist() == [2**13 + 7, 3 * 2**13 + 7]
    assert found.p.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("5,1,2,0\n9,3,4,1\n", None),
        ("t,x,y,p\n5,1,2,0\n9,3,4,1", None),
        ('# made by hand\n"x","y","p","t"\n1,2,0,5\n\n# a gap\n3,4,1,9\n', None),
        ("timestamp x y polarity\r\n5 1 2 0\r\n9 3 4 1\r\n", None),
        ("1 2 0 5\n3 4 1 9", "xypt"),
    ],
)
def test_text_with_and_without_names(text, layout):
    for blocks in ([text.encode()], [bytes([byte]) for byte in text.encode()]):
        found = decoded(StreamDecoder("x", layout), blocks)
        columns = [getattr(found, name).tolist() for name in "txyp"]
        assert columns == [[5, 9], [1, 3], [2, 4], [0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,1\n1,2,x,1\n", "feed: .*line"),
        ("1,2,3\n", "feed: "),
        ("1,2,3,1\n4,5\n", "feed: "),
        ("1.5,2,3,1\n", "feed: time stamps with fractions"),
        ("99999999999999999999999,2,3,1\n", "feed: "),
        ("1" * 70_000, "feed: starts with 31 31"),
        ("1,2,3,1\n" + "1" * 70_000, "longer than"),
        ("\0\1\2\n", "feed: "),
        ("", "feed: is empty"),
    ],
)
def test_text_that_is_none_is_refused_in_one_line(text, message):
    with pytest.raises(RecordingError, match=message) as refusal:
        decoded(StreamDecoder("feed"), [text.encode()])
    assert "\n" not in str(refusal.value)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4), st.sampled_from([None, "text", "nmnist"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_events_or_one_line(noise, cuts, layout):
    try:
        found = decoded(StreamDecoder("x", layout), pieces(noise, cuts))
    except RecordingError as refusal:
        found, message = Events.none(), str(refusal)
    else:
        message = ""
    assert "\n" not in message
    assert len({getattr(found, column).size for column in "txyp"}) == 1


# --- windows --------------------------------------------------------------------------------------------------------


def slow_windows(t, length, hop):
    """Every window of an ordered stream, looked at one by one: (begin, events in it) of those that hold any."""
    begin, found = t[0], []
    while begin + length <= t[-1]:
        inside = [time for time in t if begin <= time < begin + length]
        if inside:
            found.append((begin, inside))
        begin += hop
    inside = [time for time in t if begin <= time < begin + length]
    return [*found, (begin, inside)] if inside else found


@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    length=st.integers(1, 30),
    hop=st.integers(1, 30),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
@settings(max_examples=400, deadline=None)
def test_windows_equal_the_slow_twin(gaps, length, hop, cuts):
    hop = min(hop, length)
    t = np.cumsum(gaps).tolist()
    windows = Windows(length, hop)
    found = [window for piece in pieces(t, cuts) for window in windows.feed(events_at(*piece))]
    found += windows.finish()
    expected = slow_windows(t, length, hop)
    assert [(window.t_begin, window.events.t.tolist()) for window in found] == expected
    assert windows.n_late == 0
    n_closed = sum(window.is_complete for window in found)
    n_all = len(range(t[0], t[-1] - length + 1, hop))
    assert n_closed + windows.n_silent == n_all


def test_a_long_silence_costs_nothing():
    windows = Windows(1000, 500)
    begin = time.perf_counter()
    found = [*windows.feed(events_at(0, 10**15, 10**15 + 1))]
    assert time.perf_counter() - begin < 0.5
    assert len(found) == 1
    assert windows.n_silent > 10**9


def test_late_events_are_counted_and_dropped():
    windows = Windows(10, 10)
    (first,) = windows.feed(events_at(0, 5, 25))
    (second,) = windows.feed(events_at(7, 21, 30))
    assert [first.events.t.tolist(), second.events.t.tolist()] == [[0, 5], [25, 21]]
    assert windows.n_late == 1


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(windows_module, "MAX_EVENTS", 100)
    windows = Windows(SECOND, SECOND)
    for number in range(10):
        assert list(windows.feed(events_at(*range(10 * number, 10 * number + 10)))) == []
    with pytest.raises(RecordingError, match="more than 100 events in a window of 1000 ms"):
        list(windows.feed(events_at(100)))


@pytest.mark.parametrize("t", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_absurd_time_stamps_are_refused(t):
    with pytest.raises(RecordingError, match="out of range"):
        list(Windows(10, 10).feed(events_at(t)))


@pytest.mark.parametrize(("length", "hop"), [(0, 0), (10, 0), (10, 11)])
def test_windows_that_make_no_sense_are_refused(length, hop):
    with pytest.raises(RecordingError, match="expected a hop"):
        Windows(length, hop)


# --- back-pressure --------------------------------------------------------------------------------------------------


def test_a_slow_consumer_holds_the_source_back():
    taken = []

    def endless():
        for number in range(10_000):
            taken.append(number)
            yield f"{10 * number},0,0,1\n".encode()

    reader = WindowReader(endless(), StreamDecoder("x"), Windows(10, 10))
    for number, _ in enumerate(reader):
        time.sleep(0.01)
        assert len(taken) <= number + QUEUE_WINDOWS + 4
        if number == 20:
            break
    assert reader.seconds_held_back > 0.05


def test_a_pipe_is_held_back():
    """The writer of a pipe is blocked while nobody asks for predictions."""
    read_end, write_end = os.pipe()
    n_written = 0

    def write():
        nonlocal n_written
        line = b"".join(b"%d,0,0,1\n" % t for t in range(0, 1000, 10))
        try:
            for _ in range(100_000):
                n_written += os.write(write_end, line)
        except OSError:
            return

    threading.Thread(target=write, daemon=True).start()
    blocks = iter(lambda: os.read(read_end, 65536), b"")
    iterator = iter(WindowReader(blocks, StreamDecoder("x"), Windows(10, 10)))
    next(iterator)
    time.sleep(0.5)
    so_far = n_written
    time.sleep(0.3)
    assert n_written == so_far < 10**6
    iterator.close()
    os.close(read_end)


def test_errors_of_the_reader_reach_the_consumer():
    with pytest.raises(RecordingError, match="x: "):
        list(WindowReader([b"nonsense\n1\n"], StreamDecoder("x"), Windows(10, 10)))


# --- sources --------------------------------------------------------------------------------------------------------


def test_a_file_is_followed_while_it_grows(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"ab")

    def grow():
        for letter in b"cdef":
            time.sleep(0.05)
            with open(path, "ab") as file:
                file.write(bytes([letter]))

    thread = threading.Thread(target=grow)
    thread.start()
    assert b"".join(arriving_bytes(str(path), idle_seconds=1.0)) == b"abcdef"
    thread.join()


def test_a_file_that_shrinks_is_an_error(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abcd")
    blocks = arriving_bytes(str(path), idle_seconds=1.0)
    assert next(blocks) == b"abcd"
    path.write_bytes(b"a")
    with pytest.raises(RecordingError, match="became shorter"):
        next(blocks)


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_cannot_be_followed(tmp_path, name):
    with pytest.raises(RecordingError, match=r"cannot be followed|is a folder"):
        next(arriving_bytes(str(tmp_path / name)))


# --- predictions ----------------------------------------------------------------------------------------------------


def test_one_window_over_everything_equals_a_run(digit):
    report, _ = run(find_weights("sdt-nmnist"), str(digit))
    network, weights = load_network(find_weights("sdt-nmnist"))
    found = list(Follower(network, weights, Stream(str(digit), window=SECOND, idle_seconds=0.1)))
    assert len(found) == 1
    assert found[0].logits == report.logits
    assert found[0].counts == report.totals.as_dict()
    assert found[0].label == "7"
    assert not found[0].is_complete
    assert 0 < found[0].compute_ms <= found[0].latency_ms


def test_windows_equal_runs_of_the_same_events(digit):
    from evsim.engine.simulator import simulate
    from evsim.runs.preparation import Preparation, fit_recording

    network, weights = load_network(find_weights("sdt-nmnist"))
    whole = read_recording(digit, sensor=(34, 34))
    found = list(Follower(network, weights, Stream(str(digit), window=100_000, hop=50_000, idle_seconds=0.1)))
    assert len(found) > 3
    for window in found:
        inside = (whole.t >= window.t_begin) & (whole.t < window.t_end)
        columns = {name: getattr(whole, name)[inside] for name in "txyp"}
        part = type(whole)(**columns, sensor=whole.sensor, layout="part")
        expected = simulate(network, fit_recording(network, weights, part, Preparation()).spikes)
        assert window.logits == expected.logits.tolist()
        assert window.n_events == int(inside.sum())


def test_events_outside_the_sensor_are_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdin", _Pipe(b"0,40,3,1\n900000,1,1,1\n"))
    network, weights = load_network(find_weights("sdt-nmnist"))
    with pytest.raises(EvsimError, match="outside the sensor of 34x34"):
        list(Follower(network, weights, Stream("-")))


class _Pipe(io.StringIO):
    """Standard input with a file descriptor."""

    def __init__(self, data):
        super().__init__()
        self._read_end, write_end = os.pipe()
        os.write(write_end, data)
        os.close(write_end)

    def fileno(self):
        return self._read_end


def test_the_command_predicts_while_events_arrive(digit):
    """The first prediction is there before the rest of the stream is written."""
    text = csv_of(read_recording(digit))
    command = [sys.executable, "-m", "evsim", "run", "--follow", "-", "--window", "100ms", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = text.splitlines(keepends=True)
    process.stdin.write(b"".join(lines[:2000]))
    process.stdin.flush()
    first = json.loads(process.stdout.readline())
    assert first["number"] == 0
    assert first["t_end"] - first["t_begin"] == 100_000
    out, err = process.communicate(b"".join(lines[2000:]), timeout=120)
    rest = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert sum(found["n_events"] for found in [first, *rest]) == len(lines)
    assert b"silent windows" in err


def test_the_command_prints_a_line_a_window(digit, monkeypatch, capsys):
    options = ["run", "--follow", digit, "--window", "0.1s", "--hop", "50ms", "--idle", "100ms"]
    code, out, err = call(monkeypatch, capsys, *options)
    assert code == 0
    assert len(out.splitlines()) == 6
    assert "latency" in out
    assert "0 late events dropped" in err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--follow", "absent.csv"], "absent.csv"),
        (["--follow", "-", "--window", "ten"], "--window ten"),
        (["--follow", "-", "--window", "10ms", "--hop", "20ms"], "hop"),
        (["--follow", "-", "--layout", "hdf5"], "nmnist"),
        (["--follow", "-", "--sensor", "34"], "--sensor 34"),
        (["--follow", "-", "--input", "a.h5"], "--input"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(options, word, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(monkeypatch, capsys, "run", *options)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    assert word in err


def test_times_and_sensors_as_text():
    assert parse_microseconds("100ms", "window") == 100_000
    assert parse_microseconds("0.5s", "window") == 500_000
    assert parse_microseconds("7us", "window") == 7
    assert parse_sensor("128x64") == (128, 64)
    assert parse_sensor(None) is None
