"""Event files written by the book, one small function a format: seeds for the tests of the readers."""

import struct

import numpy as np

EVT_HEADER = b"%% Date 2024-01-01 10:00:00\n%% evt %s\n%% geometry 640x480\n%% end\n"


def some_events(n=500, height=120, width=160, seed=5, gap=40):
    """Events in order of time, with runs of neighbours so that vectors occur."""
    rng = np.random.default_rng(seed)
    t = 1_000 + np.cumsum(rng.integers(0, gap, n))
    x, y, p = rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n)
    for at in range(0, n - 8, 16):
        t[at : at + 6], y[at : at + 6], p[at : at + 6] = t[at], y[at], p[at]
        x[at : at + 6] = rng.integers(0, width - 32) + np.sort(rng.permutation(20)[:6])
    t = np.sort(t)
    return {"t": t.astype(np.int64), "x": x, "y": y, "p": p}


def rows(events):
    """The events one by one."""
    return zip(*(np.asarray(events[name]).tolist() for name in "txyp"), strict=True)


def evt2(events, header=EVT_HEADER % b"2.0"):
    words, high = [], None
    for t, x, y, p in rows(events):
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high & 0x0FFFFFFF)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return header + np.array(words, "<u4").tobytes()


def evt21(events, header=EVT_HEADER % b"2.1"):
    """Each word takes as many events as share time, row and polarity and lie within 32 columns, in order."""
    words, high, last = [], None, None
    for t, x, y, p in rows(events):
        if t >> 6 != high:
            high, last = t >> 6, None
            words.append(8 << 60 | (high & 0x0FFFFFFF) << 32)
        if last is not None and last[:3] == (t, y, p) and last[4] < x < last[3] + 32:
            words[-1] |= 1 << x - last[3]
            last = (*last[:4], x)
            continue
        words.append(p << 60 | (t & 63) << 54 | x << 43 | y << 32 | 1)
        last = (t, y, p, x, x)
    return header + np.array(words, "<u8").tobytes()


def evt3(events, header=EVT_HEADER % b"3.0"):
    """Neighbours go into vectors of 12 where the next event lies within reach."""
    words, high, low, row, vector = [], None, None, None, None
    for t, x, y, p in rows(events):
        if t >> 12 != high:
            high, low, vector = t >> 12, 0, None
            words.append(8 << 12 | high & 0xFFF)
        if t & 0xFFF != low:
            low, vector = t & 0xFFF, None
            words.append(6 << 12 | low)
        if y != row:
            row, vector = y, None
            words.append(y)
        if vector and vector[0] == p and vector[2] < x < vector[1] + 12:
            words[-1] |= 1 << x - vector[1]
            vector = (p, vector[1], x)
        elif x % 3 == 0:
            words += [3 << 12 | p << 11 | x, 4 << 12 | 1]
            vector = (p, x, x)
        else:
            words.append(2 << 12 | p << 11 | x)
            vector = None
    return header + np.array(words, "<u2").tobytes()


def dat(events, header=b"% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n", shifts=(14, 28)):
    data = b"".join(
        struct.pack("<II", t & 0xFFFFFFFF, x | y << shifts[0] | p << shifts[1]) for t, x, y, p in rows(events)
    )
    return header + bytes([12, 8]) + data


def event_stream(events, height=120, width=160):
    out, now = [b"Event Stream\x02\x00\x00\x01" + struct.pack("<HH", width, height)], 0
    for t, x, y, p in rows(events):
        step = t - now
        out.append(b"\xff" * (step // 127) + struct.pack("<BHH", step % 127 << 1 | p, x, height - 1 - y))
        now = t
    return b"".join(out)


def nmnist(events):
    out, ticks = [], 0
    for t, x, y, p in rows(events):
        while t - 8192 * ticks >= 2**23:
            ticks += 1
            out.append(bytes([0, 240, 0, 0, 0]))
        t -= 8192 * ticks
        out.append(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]))
    return b"".join(out)


def aedat2(events, chip=b"", address=lambda x, y, p: (127 - y) << 8 | (127 - x) << 1 | 1 - p):
    header = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n" + chip
    return header + b"".join(struct.pack(">II", address(x, y, p), t & 0xFFFFFFFF) for t, x, y, p in rows(events))


def davis_address(height, width):
    return lambda x, y, p: (height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11


AEDAT3_HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-01-01\r\n#!END-HEADER\r\n"


def aedat3(events, header=AEDAT3_HEADER, packet=100, capacity=None):
    out, all_rows = [header], list(rows(events))
    for at in range(0, len(all_rows), packet):
        part = all_rows[at : at + packet]
        overflow = part[0][0] >> 31
        room = capacity or len(part)
        out.append(struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, room, len(part), len(part)))
        data = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t & 0x7FFFFFFF) for t, x, y, p in part)
        out.append(data.ljust(8 * room, b"\0"))
    return b"".join(out)


def block(identifier, vtable, table):
    """A size-prefixed flatbuffer whose root table starts with the offset to its list of fields."""
    start = 8 + len(vtable)
    body = struct.pack("<I", start) + identifier + vtable + struct.pack("<i", len(vtable)) + table
    return struct.pack("<I", len(body)) + body


DESCRIPTION = """<dv version="2.0"><node name="outInfo" path="/">{}</node></dv>"""
STREAM = """<node name="{}" path="/"><attr key="typeIdentifier" type="string">{}</attr><node name="info" path="/">
<attr key="sizeX" type="int">{}</attr><attr key="sizeY" type="int">{}</attr></node></node>"""


def aedat4_header(compression, streams, description=DESCRIPTION):
    text = description.format("".join(STREAM.format(*stream) for stream in streams)).encode()
    vtable = struct.pack("<HHHHH", 10, 20, 4, 8, 16) + b"\0\0"
    table = struct.pack("<iqI", compression, -1, 4) + struct.pack("<I", len(text)) + text
    return b"#!AER-DAT4.0\r\n" + block(b"IOHE", vtable, table)


def aedat4_packet(stream, events, pack):
    count = len(events["t"])
    data = b"".join(struct.pack("<qhhB3x", t, x, y, p) for t, x, y, p in rows(events))
    vtable = struct.pack("<HHH", 6, 8, 4) + b"\0\0"
    plain = block(b"EVTS", vtable, struct.pack("<II", 4, count) + data)
    packed = pack(plain)
    return struct.pack("<ii", stream, len(packed)) + packed


def aedat4(events, compression=0, pack=bytes, streams=((0, "EVTS", 160, 120), (1, "IMUS", 0, 0)), packet=128):
    n = len(events["t"])
    parts = [{name: events[name][at : at + packet] for name in "txyp"} for at in range(0, n, packet)]
    return aedat4_header(compression, streams) + b"".join(aedat4_packet(0, part, pack) for part in parts)


def text(events, order="txyp", between=",", header="", end="\n"):
    columns = [np.asarray(events[name]).tolist() for name in order]
    lines = [between.join(str(value) for value in row) for row in zip(*columns, strict=True)]
    return (header + end.join(lines) + end).encode()


def ecf(events, packed=0):
    """Prophesee's codec for one chunk; `packed` is 0, 1 (columns with polarities) or 2 (everything)."""
    t, x, y, p = (np.asarray(events[name]).tolist() for name in "txyp")
    out = struct.pack("<Iq", len(t) << 2 | packed, t[0]) + _ecf_times(t)
    if packed == 2:
        return out + _four_in_three([y[n] << 12 | x[n] << 1 | p[n] for n in range(len(t))], 8, 24, "<u4")
    out += b"".join(_ecf_run(row << 5, count, 31, "<H") for row, count in _runs(y))
    if packed == 1:
        return out + _four_in_three([x[n] << 1 | p[n] for n in range(len(t))], 4, 12, "<u2")
    out += _ecf_columns(x)
    return out + b"".join(_ecf_run(sign << 7, count, 127, "<B") for sign, count in _runs(p))


def _runs(values):
    start = 0
    for at in range(1, len(values) + 1):
        if at == len(values) or values[at] != values[start]:
            yield values[start], at - start
            start = at


def _ecf_run(value, count, longest, form):
    if count < longest:
        return struct.pack(form, value | count)
    return struct.pack(form, value | longest) + struct.pack("<H", count)


def _ecf_times(t):
    out, now = b"", t[0]
    for time, count in _runs(t):
        step, now = time - now, time
        while step >= 15:
            nibbles = [step >> shift & 15 for shift in range(0, step.bit_length(), 4)]
            out += bytes(15 << 4 | nibble for nibble in nibbles)
            step = 0
        out += _ecf_run(step << 4, count, 15, "<B")
    return out


def _ecf_columns(x):
    words, at = [], 0
    while at < len(x):
        first, mask = x[at], 0
        at += 1
        for right in range(1, 6):
            if at < len(x) and x[at] == first + right:
                mask |= 1 << 5 - right
                at += 1
        words.append(first << 5 | mask)
    return np.array(words, "<u2").tobytes()


def _four_in_three(values, low, width, dtype):
    values = values + [0] * (-len(values) % 4)
    words = []
    for a, b, c, d in zip(*(values[place::4] for place in range(4)), strict=True):
        words.append(a << low | b & (1 << low) - 1)
        words.append(b >> low << 2 * low | c & (1 << 2 * low) - 1)
        words.append(c >> 2 * low << 3 * low | d)
    return np.array(words, dtype).tobytes()


def ecf_file(path, events, packed=0, chunk=16_384):
    """A Prophesee HDF5 file: CD/events and nothing else of it."""
    import h5py

    n = len(events["t"])
    with h5py.File(path, "w") as file:
        file.attrs["geometry"] = "640x480"
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((chunk,))
        properties.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        record = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
        group = file.create_group("CD")
        kind = h5py.h5t.py_create(record, logical=True)
        dataset = h5py.h5d.create(group.id, b"events", kind, h5py.h5s.create_simple((n,)), properties)
        for at in range(0, n, chunk):
            part = {name: events[name][at : at + chunk] for name in "txyp"}
            missing = chunk - len(part["t"])
            whole = {name: np.concatenate([part[name], np.zeros(missing, int)]) for name in "txyp"} if missing else part
            if missing:
                whole["t"][-missing:] = part["t"][-1]
            dataset.write_direct_chunk((at,), ecf(whole, packed))
    return path
