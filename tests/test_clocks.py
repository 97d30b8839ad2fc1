"""Clocks: counters that wrap are unwrapped with a note, jitter is sorted, anything else that steps back is refused."""

import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import RecordingError
from evsim.recordings import decode_stream, iter_events, read_recording
from evsim.recordings.clock import Clock
from evsim.recordings.decoding import join
from evsim.recordings.evt2 import Evt2
from evsim.recordings.options import ReadOptions
from evsim.recordings.readers import prophesee_raw
from evsim.recordings.streaming.decoder import StreamDecoder
from evsim.recordings.streaming.events import Events
from evsim.recordings.streaming.windows import Windows
from tests import encoders

N = 400
TRUE = 2**32 - 100_000 + 500 * np.arange(N, dtype=np.int64)
REST = {"x": np.arange(N) % 30, "y": np.arange(N) % 20, "p": np.arange(N) % 2}


def save(folder, kind, t, unit=""):
    columns = {"t": t} | REST
    path = folder / f"a.{kind.partition('-')[0]}"
    table = np.stack([np.asarray(columns[name]) for name in "txyp"], 1)
    if kind == "npz":
        np.savez(path, **columns)
    elif kind == "npy":
        np.save(path, table)
    elif kind == "h5-columns":
        with h5py.File(path, "w") as file:
            for name in "txyp":
                file[f"events/{name}"] = columns[name]
    elif kind == "h5-rows":
        with h5py.File(path, "w") as file:
            file["events"] = table
    elif kind == "h5-table":
        with h5py.File(path, "w") as file:
            file["events"] = np.rec.fromarrays(columns.values(), names="t,x,y,p")
    else:
        np.savetxt(path, table, fmt="%.9g" if np.asarray(t).dtype.kind == "f" else "%d", header="t x y p")
    return path


KINDS = pytest.mark.parametrize("kind", ["npz", "npy", "h5-columns", "h5-rows", "h5-table", "txt"])


@KINDS
@pytest.mark.parametrize(
    ("t", "unit", "first"),
    [
        (TRUE % 2**32, None, TRUE[0]),
        ((TRUE + 2**31) % 2**32 - 2**31, None, TRUE[0] - 2**32),
        ((TRUE - 2**31) % 2**31, None, TRUE[0] - 2**31),
        ((TRUE - 2**31 + 2**32) % 2**32, None, TRUE[0] - 2**31),
    ],
    ids=["uint32", "signed-at-0", "31 bits", "no wrap"],
)
def test_a_32_bit_column_that_wraps_is_unwrapped(tmp_path, kind, t, unit, first):
    path = save(tmp_path, kind, t)
    found = read_recording(path, unit=unit)
    np.testing.assert_array_equal(found.t - found.t[0], TRUE - TRUE[0])
    assert found.t[0] == t[0]
    np.testing.assert_array_equal(found.x, REST["x"])
    wraps = np.count_nonzero(np.diff(t) < -(2**30))
    assert any("counter of the time wrapped" in note for note in found.notes) == bool(wraps)
    pieces = list(iter_events(path, 90))
    np.testing.assert_array_equal(np.concatenate([piece.t for piece in pieces]), found.t)


def test_nanoseconds_of_32_bits_wrap_every_four_seconds(tmp_path):
    nanoseconds = (1000 * (TRUE - TRUE[0]) * 300).astype(np.uint64) % 2**32
    found = read_recording(save(tmp_path, "npz", nanoseconds.astype(np.uint32)), unit="ns")
    np.testing.assert_array_equal(found.t, 300 * (TRUE - TRUE[0]))
    assert any("wrapped 13 times" in note for note in found.notes)


def test_seconds_that_were_made_from_a_counter_wrap_too(tmp_path):
    found = read_recording(save(tmp_path, "npz", (TRUE % 2**32) / 1e6), unit="s")
    np.testing.assert_array_equal(found.t, TRUE)


@KINDS
@pytest.mark.parametrize("at", [100, 390])
def test_a_clock_that_starts_anew_is_refused(tmp_path, kind, at):
    t = 10**6 + 500 * np.arange(N)
    t[at:] -= t[at] - 10**6
    with pytest.raises(RecordingError, match="a clock that started anew, or several recordings in one"):
        read_recording(save(tmp_path, kind, t))
    with pytest.raises(RecordingError, match=r"a clock that started anew|out of order"):
        list(iter_events(tmp_path / f"a.{kind.partition('-')[0]}", 150))


@KINDS
def test_a_little_disorder_is_jitter(tmp_path, kind):
    t = 10**6 + 500 * np.arange(N)
    t[[50, 200]] -= 3000
    found = read_recording(save(tmp_path, kind, t))
    np.testing.assert_array_equal(found.t, np.sort(t))
    assert any("2 time stamps ran backwards" in note for note in found.notes)


@pytest.mark.parametrize(
    ("t", "unit", "message"),
    [
        ((1.5e9 + np.arange(N) / 1e3).astype(np.float32), "s", "lost their digits"),
        ((1.5e9 + np.arange(N) / 1e3).astype(np.float32).astype(np.float64), "s", "lost their digits"),
        ((1.5e15 + 1e3 * np.arange(N)).astype(np.float32).astype(np.int64), None, "lost their digits"),
        ((1.5e12 + np.arange(N)).astype(np.float32), "ms", "lost their digits"),
        ((4000 + np.arange(N) / 1e3).astype(np.float16), "s", "lost their digits"),
        (1_500_000_000_000_000_000 + 1000 * np.arange(N), None, "nanoseconds since 1970.*--unit ns"),
        (np.full(N, 2.0**62), None, "lost their digits|out of range"),
        (np.arange(N) + 2.0**60, None, "lost their digits|out of range"),
    ],
)
def test_digits_that_are_gone(tmp_path, t, unit, message):
    with pytest.raises(RecordingError, match=message):
        read_recording(save(tmp_path, "npz", t), unit=unit)


@pytest.mark.parametrize(
    ("unit", "t"),
    [
        ("s", 1_500_000_000 + np.arange(N) / 1e3),
        ("ms", 1_500_000_000_000 + np.arange(N)),
        ("us", 1_500_000_000_000_000 + 1000 * np.arange(N)),
        ("ns", 1_500_000_000_000_000_000 + 1_000_000 * np.arange(N)),
    ],
)
@pytest.mark.parametrize("kind", ["npz", "h5-columns"])
def test_times_since_1970_in_any_unit(tmp_path, kind, unit, t):
    found = read_recording(save(tmp_path, kind, t), unit=unit)
    np.testing.assert_array_equal(found.t, 1_500_000_000_000_000 + 1000 * np.arange(N))


def test_what_float32_keeps_is_said(tmp_path):
    found = read_recording(save(tmp_path, "npz", (100 + np.arange(N) / 100).astype(np.float32)), unit="s")
    assert any("float32, which keeps them to 7.63 us" in note for note in found.notes)
    found = read_recording(save(tmp_path, "npz", np.full(N, 7)))
    assert any(f"all {N} events have the same time stamp, 7 us" in note for note in found.notes)


def test_an_unknown_unit():
    with pytest.raises(RecordingError, match=r"unknown time unit 'h'; expected one of us, ms, s, ns"):
        Clock("f", "h")


@given(st.lists(st.integers(0, 2**27), min_size=1, max_size=50), st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_unwrapping_gives_the_steps_back_in_any_pieces(steps, start, n):
    true = start + np.cumsum(np.array(steps, np.int64))
    clock = Clock("f")
    pieces = [clock.read(piece) for piece in np.array_split(true % 2**32, n)]
    found = np.concatenate(pieces)
    # A wrap is believed where the counter was near its end.
    if not (true // 2**32 > true[0] // 2**32).any() or clock.notes:
        np.testing.assert_array_equal(found - found[0], true - true[0])


# ---- decoders ------------------------------------------------------------------------------------------------------


def without_highs(data, word_bytes, kind_shift, kind=8):
    """The file of an encoder with all its words of high time but the first left out."""
    header, words = data[: data.index(b"% end\n") + 6], data[data.index(b"% end\n") + 6 :]
    words = np.frombuffer(words, f"<u{word_bytes}")
    highs = np.flatnonzero(words >> kind_shift == kind)
    return header + np.delete(words, highs[1:]).tobytes(), highs.size - 1


@pytest.mark.parametrize(
    ("encode", "word_bytes", "shift", "step"),
    [(encoders.evt3, 2, 12, 1400), (encoders.evt2, 4, 28, 26), (encoders.evt21, 8, 60, 26)],
)
@pytest.mark.parametrize("block", [7, 64, 10**6])
def test_lost_words_of_high_time_are_counted(tmp_path, encode, word_bytes, shift, step, block):
    # An odd time, or the encoder leaves out a low time of 0 as well.
    events = {"t": 9001 + step * np.arange(N), "x": 3 * REST["x"], "y": REST["y"], "p": REST["p"]}
    data, n_lost = without_highs(encode(events), word_bytes, shift)
    assert n_lost > 20
    (tmp_path / "a.raw").write_bytes(data)
    found = read_recording(tmp_path / "a.raw")
    np.testing.assert_array_equal(found.t, events["t"])
    assert any(f"the low time started anew {n_lost} times" in note for note in found.notes)
    decoder = prophesee_raw.Decoder("a.raw", ReadOptions())
    np.testing.assert_array_equal(join(list(decode_stream(io.BytesIO(data), decoder, block))).t, events["t"])


def test_the_next_word_of_high_time_is_right_again():
    words = [8 << 28 | 5, 1 << 28 | 60 << 22, 1 << 28 | 2 << 22, 8 << 28 | 7, 1 << 28 | 1 << 22]
    decoder = Evt2()
    assert decoder.decode(np.array(words, "<u4").tobytes()).t.tolist() == [5 * 64 + 60, 6 * 64 + 2, 7 * 64 + 1]
    assert decoder.notes == ["the low time started anew once without a word of high time; 64 us were counted each time"]


def test_the_23_bits_of_nmnist_wrap(tmp_path):
    t = 2**23 - 9000 + 100 * np.arange(N)
    rows = [
        bytes([x, y, p << 7 | w >> 16, w >> 8 & 255, w & 255])
        for w, x, y, p in zip(t % 2**23, *REST.values(), strict=True)
    ]
    (tmp_path / "a.bin").write_bytes(b"".join(rows))
    found = read_recording(tmp_path / "a.bin")
    np.testing.assert_array_equal(found.t, t)
    assert any("23-bit counter of the time wrapped once" in note for note in found.notes)


@pytest.mark.parametrize(("encode", "name"), [(encoders.dat, "a.dat"), (encoders.aedat2, "a.aedat")])
def test_what_decoders_unwrap_is_said(tmp_path, encode, name):
    (tmp_path / name).write_bytes(encode({"t": TRUE} | REST))
    found = read_recording(tmp_path / name)
    np.testing.assert_array_equal(found.t, TRUE)
    assert any("32-bit counter of the time wrapped once" in note for note in found.notes)


@pytest.mark.parametrize("encode", [encoders.evt2, encoders.evt3, encoders.dat])
def test_faerys_first_time_is_added(tmp_path, encode):
    start = {encoders.dat: b"% Version 2\n% t0 308\n% Width 40\n% Height 40\n"}
    version = {encoders.evt2: b"2.0", encoders.evt3: b"3.0"}.get(encode)
    header = start.get(encode) or b"% evt " + version + b"\n% geometry 40x40\n% t0 308\n% end\n"
    (tmp_path / "a").write_bytes(encode({"t": 5000 + 100 * np.arange(N)} | REST, header))
    found = read_recording(tmp_path / "a")
    np.testing.assert_array_equal(found.t, 5308 + 100 * np.arange(N))
    assert "t0 308 us was added to the time stamps" in found.notes


# ---- streams -------------------------------------------------------------------------------------------------------


def windows_of(t, block=7, length=1000):
    windows = Windows(length, length)
    found = []
    for at in range(0, len(t), block):
        part = np.array(t[at : at + block], np.int64)
        same = np.zeros(part.size, np.int32)
        found += windows.feed(Events(part, same, same, same))
    return windows, [*found, *windows.finish()]


@pytest.mark.parametrize("at", [0, 1, 55, 199])
@pytest.mark.parametrize("stray", [9 * 10**15, 10**6])
def test_one_event_far_in_the_future_is_dropped(at, stray):
    t = (100 * np.arange(200)).tolist()
    for block in (1, 7, 1000):
        windows, found = windows_of([*t[:at], stray, *t[at:]], block)
        assert (windows.n_strays, windows.n_late) == (1, 0)
        assert [time for window in found for time in window.events.t.tolist()] == t


def test_a_pause_is_no_stray():
    t = [0, 100, 10**6, 10**6 + 100, 10**9, 10**12]
    for block in (1, 3, 10):
        windows, found = windows_of(t, block)
        assert (windows.n_strays, windows.n_late) == (0, 0)
        assert [time for window in found for time in window.events.t.tolist()] == t


def test_a_clock_that_steps_back_for_good_ends_the_stream():
    t = np.concatenate([10**9 + np.arange(1000), np.arange(200_000)])
    with pytest.raises(RecordingError, match="the clock of the stream stepped back from 1000000000 us to"):
        windows_of(t, 1000)


def test_a_stream_unwraps():
    text = encoders.text({"t": TRUE % 2**32} | REST)
    decoder = StreamDecoder("-")
    parts = [decoder.feed(text[at : at + 512]) for at in range(0, len(text), 512)] + [decoder.finish()]
    np.testing.assert_array_equal(np.concatenate([part.t for part in parts]), TRUE)
    assert any("wrapped once" in note for note in decoder.notes)
