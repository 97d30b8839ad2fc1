"""The weights file: what goes in comes out, equal weights make equal bytes, and a dishonest file is refused."""

import contextlib
import io
import json
import random
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.checkpoints import Weights, read_checkpoint, read_weights, write_weights
from evsim.checkpoints.array_member import decode_array, encode_array
from evsim.checkpoints.refusal import Refused
from evsim.errors import CheckpointError
from tests.checkpoint_files import archive

HEADER = {"family": "sdt", "hyper_parameters": {"depth": 2, "tau": 2.0}}
FULL = {
    "format_version": 1,
    "class_names": ["nought", "one"],
    "normalisation": {"mean": [0.5], "std": [0.25]},
    "source": {"file": "net.pth", "sha256": "00", "wrapper": "bare state dict"},
    "dropped": ["block.0.attn.talking_heads.weight"],
    "remark": "à jour",
    **HEADER,
}
TENSORS = {
    "patch_embed.proj_conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "with/slash and space.w": np.arange(3, dtype=np.float16),
    "../evil": np.array(7, np.int64),
    "empty": np.zeros((0, 3)),
    "mask": np.array([True, False]),
    "evsim_header.json": np.ones(1, np.uint8),
}


def npy(array) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def claim(header: str, data: bytes = bytes(24)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def weights_file(*members, header=FULL, compression=zipfile.ZIP_STORED) -> bytes:
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return archive([("evsim_header.json", header), *members], compression)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.npz"


def test_what_goes_in_comes_out(path):
    write_weights(path, Weights(TENSORS, FULL))
    read = read_weights(path)
    assert read.header == FULL
    assert list(read.tensors) == list(TENSORS)
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(read.tensors[name], value)
        assert read.tensors[name].dtype == value.dtype
        assert read.tensors[name].shape == value.shape
        assert read.tensors[name].flags.writeable


def test_numpy_reads_the_file_too(path):
    write_weights(path, Weights(TENSORS, FULL))
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["patch_embed.proj_conv.weight"], TENSORS["patch_embed.proj_conv.weight"])
        np.testing.assert_array_equal(file["../evil"], 7)


def test_any_layout_and_byte_order_is_stored_the_same(path, tmp_path):
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    variants = [plain, np.asfortranarray(plain), plain.astype(">f4"), np.repeat(plain, 2, axis=1)[:, ::2]]
    files = []
    for variant in variants:
        write_weights(path, Weights({"w": variant}, HEADER))
        files.append(path.read_bytes())
    assert len(set(files)) == 1


def test_equal_weights_make_equal_bytes_whatever_the_clock_says(tmp_path):
    write_weights(tmp_path / "a.npz", Weights(TENSORS, FULL))
    write_weights(tmp_path / "b.npz", Weights(TENSORS, dict(reversed(FULL.items()))))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_missing_header_entries_get_their_defaults(path):
    write_weights(path, Weights({}, HEADER))
    header = read_weights(path).header
    assert (header["format_version"], header["class_names"], header["dropped"], header["source"]) == (1, None, [], {})


def test_compressed_files_of_others_are_read(path):
    big = np.zeros((100, 100), np.float32)
    path.write_bytes(weights_file(("w.npy", npy(big)), compression=zipfile.ZIP_DEFLATED))
    np.testing.assert_array_equal(read_weights(path).tensors["w"], big)


def test_a_fortran_ordered_member_keeps_its_meaning(path):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    path.write_bytes(weights_file(("w.npy", npy(array))))
    np.testing.assert_array_equal(read_weights(path).tensors["w"], array)
    assert read_weights(path).tensors["w"].flags.c_contiguous


@pytest.mark.parametrize(
    "weights",
    [
        Weights({"w": np.array([1, np.nan])}, HEADER),
        Weights({"w": np.array([object()])}, HEADER),
        Weights({"w": np.ones(2, complex)}, HEADER),
        Weights({"": np.ones(2)}, HEADER),
        Weights({"a\0b": np.ones(2)}, HEADER),
        Weights({"\ud800": np.ones(2)}, HEADER),
        Weights({}, {"family": "sdt"}),
        Weights({}, HEADER | {"format_version": 2}),
        Weights({}, HEADER | {"class_names": [1]}),
        Weights({}, HEADER | {"extra": np.ones(2)}),
        Weights({}, HEADER | {"extra": float("nan")}),
        Weights({}, HEADER | {"extra": "x" * 2**21}),
    ],
)
def test_what_cannot_be_stored_leaves_the_old_file_alone(path, weights):
    path.write_bytes(b"old")
    with pytest.raises(CheckpointError) as caught:
        write_weights(path, weights)
    assert str(caught.value).startswith(f"{path}: ")
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_interrupted_write_leaves_nothing(path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        write_weights(path, Weights(TENSORS, FULL))
    assert list(path.parent.iterdir()) == []


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        write_weights(tmp_path / "none" / "net.npz", Weights({}, HEADER))
    with pytest.raises(CheckpointError, match="no such file"):
        read_weights(tmp_path / "net.npz")
    with pytest.raises(CheckpointError, match="not a file"):
        read_weights(tmp_path)


FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
GOOD = ("w.npy", npy(np.ones(6, np.float32)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a weights file"),
        (b"text", "not a weights file"),
        (archive([GOOD]), "no member evsim_header.json"),
        (weights_file(header=b"{"), "not JSON"),
        (weights_file(header=b"\xff{}"), "not JSON"),
        (weights_file(header=b"[" * 100_000), "not JSON"),
        (weights_file(header=b'{"a": NaN}'), "not JSON"),
        (weights_file(header=b'{"a": ' + b"9" * 100_000 + b"}"), "not JSON"),
        (weights_file(header=b"[]"), "not a JSON object"),
        (weights_file(header=b" " * 2**21), "more than 1048576"),
        (weights_file(header={}), "format_version None"),
        (weights_file(header=FULL | {"format_version": True}), "format_version True"),
        (weights_file(header=FULL | {"format_version": 2}), "format_version 2"),
        (weights_file(header=FULL | {"family": None}), "'family' of the type str"),
        (weights_file(header=FULL | {"class_names": "ab"}), "'class_names' of the type list or NoneType"),
        (weights_file(header=FULL | {"dropped": [1]}), "'dropped' holds something that is not text"),
        (weights_file(GOOD, GOOD), "2 members named 'w.npy'"),
        (weights_file(("w.txt", b"")), "neither an array nor the header"),
        (weights_file(("w.npy", b"")), "not in NumPy's format"),
        (weights_file(("w.npy", npy(np.array([1, np.inf])))), "NaN or infinite values in the tensors 'w'"),
        (weights_file(("w.npy", npy(np.array(["text"])))), "not that of an array of numbers"),
        (weights_file(("w.npy", claim(FLOATS % "7,"))), "24 bytes, which do not make float32"),
        (weights_file(("w.npy", claim(FLOATS % "999999999999, 999999999999"))), "24 bytes, which do not make"),
        (weights_file(("w.npy", claim(FLOATS % "0, 999999999999, 999999999999", b""))), "0 bytes, which do not make"),
        (weights_file(("w.npy", claim(FLOATS % "-1,"))), "not that of an array"),
        (weights_file(("w.npy", claim(FLOATS % ("1," * 40)))), "not that of an array"),
        (weights_file(("w.npy", claim(FLOATS.replace("<f4", "|O") % "3,"))), "not that of an array"),
        (weights_file(("w.npy", claim(FLOATS.replace("<f4", "<f1") % "24,"))), "unknown"),
        (weights_file(("w.npy", claim(FLOATS.replace("False", "__import__('os')") % "3,"))), "not that of an array"),
        (weights_file(("w.npy", claim(FLOATS % ("1" * 60_000)))), "not that of an array"),
        (weights_file(("w.npy", claim("(" * 5000))), "not that of an array"),
        (weights_file(("w.npy", bytes(100 * 2**20)), compression=zipfile.ZIP_DEFLATED), "zip bomb"),
    ],
)
def test_a_dishonest_file_is_refused_in_one_line(path, data, message):
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickled_object_array_is_never_unpickled(path):
    out = io.BytesIO()
    np.save(out, np.array([print], dtype=object), allow_pickle=True)
    path.write_bytes(weights_file(("w.npy", out.getvalue())))
    with pytest.raises(CheckpointError, match="not that of an array of numbers"):
        read_weights(path)


def test_weights_are_no_checkpoint(path):
    write_weights(path, Weights(TENSORS, FULL))
    with pytest.raises(CheckpointError, match=r"NumPy \.npz file"):
        read_checkpoint(path)


def test_damage_anywhere_is_refused_or_harmless(path):
    write_weights(path, Weights(TENSORS, FULL))
    whole = path.read_bytes()
    chance = random.Random(1)
    for trial in range(1000):
        data = bytearray(whole[: chance.randrange(len(whole))] if trial % 3 == 0 else whole)
        for _ in range(chance.randrange(1, 4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):
            read_weights(path)


@given(st.binary(max_size=200))
def test_no_header_breaks_the_array_reader(tail):
    with contextlib.suppress(Refused):
        decode_array(b"\x93NUMPY\x01\x00" + tail)


@pytest.mark.parametrize("dtype", "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 ?".split())
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (1, 0, 5), (2,) * 10])
def test_arrays_of_every_type_and_shape(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    read = decode_array(encode_array(array))
    np.testing.assert_array_equal(read, array)
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(np.load(io.BytesIO(encode_array(array))), array)
