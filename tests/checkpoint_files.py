"""Checkpoints put together by hand, opcode by opcode, so that the tests need no torch and can lie about anything."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile

import numpy as np

PROTO = b"\x80\x02"
TENSOR = ("torch._utils", "_rebuild_tensor_v2")


def text(value: str) -> bytes:
    data = value.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return pickle.LONG1 + bytes([len(data)]) + data


def sizes(values) -> bytes:
    return b"(" + b"".join(integer(value) for value in values) + b"t"


def name(module: str, attribute: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def namespace(state: bytes = b"}") -> bytes:
    return name("argparse", "Namespace") + b")\x81" + state + b"b"


def storage(key="0", kind="FloatStorage", numel=6, tail=b"", module="torch", tag="storage") -> bytes:
    return b"(" + text(tag) + name(module, kind) + text(key) + text("cpu") + integer(numel) + tail + b"tQ"


def tensor(stored: bytes | None = None, offset=0, shape=(2, 3), strides=(3, 1)) -> bytes:
    stored = storage() if stored is None else stored
    return call(
        *TENSOR, stored, integer(offset), sizes(shape), sizes(strides), b"\x89", call("collections", "OrderedDict")
    )


def pickled(value: bytes) -> bytes:
    return PROTO + value + b"."


SIX = np.arange(6, dtype="<f4").tobytes()


def torch_zip(
    value: bytes, storages: dict[str, bytes] | None = None, compression=zipfile.ZIP_STORED, **members
) -> bytes:
    """A zip checkpoint around the opcodes of one value; by default it has one storage "0" of six floats."""
    members = {"data.pkl": pickled(value)} | members
    members |= {f"data/{key}": raw for key, raw in ({"0": SIX} if storages is None else storages).items()}
    return archive([(f"archive/{key}", data) for key, data in members.items()], compression)


def archive(members: list[tuple[str, bytes]], compression=zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compression) as file:
        warnings.simplefilter("ignore")
        for member, data in members:
            file.writestr(zipfile.ZipInfo(member), data, compression)
    return out.getvalue()


def torch_legacy(value: bytes, keys=("0",), storages: bytes | None = None, little_endian=b"\x88") -> bytes:
    """An old checkpoint around the opcodes of one value; by default it has one storage "0" of six floats."""
    storages = struct.pack("<q", 6) + SIX if storages is None else storages
    machine = mapping(little_endian=little_endian)
    listed = b"](" + b"".join(text(key) for key in keys) + b"e"
    heads = [integer(0x1950A86A20F9469CFC6C), integer(1001), machine, value, listed]
    return b"".join(map(pickled, heads)) + storages
