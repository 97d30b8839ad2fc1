"""Files made to deceive: each is refused in one line, runs nothing, and costs little time and memory."""

import contextlib
import io
import os
import pickle
import random
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.checkpoints import read_checkpoint
from evsim.checkpoints.refusal import Refused
from evsim.checkpoints.restricted_pickle import unpickle
from evsim.errors import CheckpointError
from tests.checkpoint_files import (
    SIX,
    TENSOR,
    archive,
    call,
    integer,
    mapping,
    name,
    namespace,
    pickled,
    sizes,
    storage,
    tensor,
    text,
    torch_legacy,
    torch_zip,
)

DATA = Path(__file__).parent / "data"
SECONDS = 20
"""Of processor time: what a loaded machine does beside does not count."""
MEGABYTES = 500


@pytest.fixture
def refusal(tmp_path):
    """Give back the one line with which a file is refused; fail when it is read, slow, or large in memory."""

    def refusal(data: bytes) -> str:
        path = tmp_path / "net.pth"
        path.write_bytes(data)
        started = time.process_time()
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert time.process_time() - started < SECONDS
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert len(message.splitlines()) == 1
        assert len(message) < len(str(path)) + 400
        return message

    return refusal


def both(value: bytes) -> list[bytes]:
    """A value as the payload of either torch format."""
    return [torch_zip(value), torch_legacy(value)]


# ------------------------------------------------------------------------------------------ code execution

TOUCH = text("touch pwned")
COMMANDS = {
    "os.system": call("os", "system", TOUCH),
    "posix.system": call("posix", "system", TOUCH),
    "nt.system": call("nt", "system", TOUCH),
    "builtins.eval": call("builtins", "eval", text("open('pwned', 'w')")),
    "builtins.exec": call("builtins", "exec", text("open('pwned', 'w')")),
    "__builtin__.eval": call("__builtin__", "eval", text("1")),
    "builtins.getattr": call("builtins", "getattr", name("torch._utils", "_rebuild_tensor_v2"), text("__globals__")),
    "operator.attrgetter": call("operator", "attrgetter", text("__globals__")),
    "torch._utils._rebuild_tensor_v2.__globals__": name("torch._utils", "_rebuild_tensor_v2.__globals__"),
    "torch._utils.os.system": name("torch._utils", "os.system"),
    "copyreg._reconstructor": call("copyreg", "_reconstructor", name("collections", "OrderedDict")),
    "copyreg.add_extension": name("copyreg", "add_extension"),
    "subprocess.Popen": call("subprocess", "Popen", TOUCH),
    "runpy._run_code": name("runpy", "_run_code"),
    "torch.load": call("torch", "load", text("other.pth")),
    "torch.hub.load": name("torch.hub", "load"),
    "torch.jit._script.unpackage_script_module": name("torch.jit._script", "unpackage_script_module"),
    "torch.nn.modules.linear.Linear": name("torch.nn.modules.linear", "Linear"),
    "numpy.load": name("numpy", "load"),
    "numpy.core.multiarray._reconstruct": name("numpy.core.multiarray", "_reconstruct"),
    "functools.partial": name("functools", "partial"),
    "importlib.import_module": name("importlib", "import_module"),
    "evsim.errors.EvsimError": name("evsim.errors", "EvsimError"),
}


@pytest.mark.parametrize("dotted", COMMANDS)
def test_a_name_that_is_not_allowed_is_named_and_nothing_runs(refusal, tmp_path, monkeypatch, dotted):
    monkeypatch.chdir(tmp_path)
    for data in both(mapping(w=tensor(), bad=COMMANDS[dotted])):
        assert f"'{dotted}', which is not allowed; nothing was executed" in refusal(data)
    assert os.listdir(tmp_path) == ["net.pth"]


def test_a_command_that_python_itself_would_run(refusal, tmp_path, monkeypatch):
    class Bad:
        def __reduce__(self):
            return os.system, ("touch pwned",)

    monkeypatch.chdir(tmp_path)
    for protocol in range(6):
        data = archive([("archive/data.pkl", pickle.dumps({"state_dict": Bad()}, protocol))])
        assert "not allowed" in refusal(data)
    assert os.listdir(tmp_path) == ["net.pth"]


def test_a_name_put_together_on_the_stack(refusal):
    for module, attribute in (("os", "system"), ("builtins", "eval"), ("torch._utils", "_rebuild_tensor_v2.__call__")):
        data = torch_zip(text(module) + text(attribute) + pickle.STACK_GLOBAL)
        assert f"'{module}.{attribute}'" in refusal(data)
    assert "not text" in refusal(torch_zip(integer(1) + text("system") + pickle.STACK_GLOBAL))


def test_only_functions_of_the_list_are_called(refusal):
    nested = b"(" + text("id") + b"t"
    wrong = {
        "argparse.Namespace": call("argparse", "Namespace"),
        "torch.FloatStorage": call("torch", "FloatStorage", integer(10)),
        "builtins.dict": call("builtins", "dict"),
        "a dict": b"}" + nested + b"R",
        "a StoredTensor": tensor() + nested + b"R",
        "a str": text("os.system") + nested + b"R",
        "collections.OrderedDict": name("collections", "OrderedDict") + text("no tuple") + b"R",
    }
    for what, value in wrong.items():
        assert f"its pickle calls {what}, which is not allowed" in refusal(torch_zip(value))


def test_only_a_namespace_is_made_without_a_call(refusal):
    for kind in (name("collections", "OrderedDict"), name(*TENSOR), text("x"), name("torch", "FloatStorage")):
        assert "makes an object of" in refusal(torch_zip(kind + b")\x81"))
    assert "makes an object of" in refusal(torch_zip(name("argparse", "Namespace") + b"(K\x01t\x81"))


def test_only_a_namespace_is_given_a_state(refusal):
    for target in (tensor(), b"]", text("x"), name(*TENSOR), name("argparse", "Namespace"), storage()):
        assert "sets the state" in refusal(torch_zip(target + mapping(__class__=integer(1)) + b"b"))
    assert "sets the state" in refusal(torch_zip(namespace(b"}" + mapping(x=integer(1)) + b"\x86")))


def test_a_state_cannot_reach_our_own_attributes(tmp_path):
    state = mapping(values=integer(1), __class__=integer(2), __dict__=integer(3))
    path = tmp_path / "net.pth"
    path.write_bytes(torch_zip(mapping(model=mapping(w=tensor()), args=namespace(state))))
    assert read_checkpoint(path).args == {"values": 1, "__class__": 2, "__dict__": 3}


NEEDLESS = [
    *(pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEWOBJ_EX, pickle.PERSID, pickle.DUP),
    *(pickle.INT, pickle.LONG, pickle.FLOAT, pickle.STRING, pickle.UNICODE, pickle.GET, pickle.PUT, pickle.DICT),
    *(pickle.LIST, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, b"\xff", b"\x00"),
]


@pytest.mark.parametrize("opcode", NEEDLESS)
def test_opcodes_that_no_checkpoint_needs(refusal, opcode):
    said = refusal(torch_zip(b"(" + opcode + b"os\nsystem\n" + bytes(8)))
    assert "opcode" in said.partition(": ")[2], said  # behind the path, which has the name of this test in it


# ------------------------------------------------------------------------------------------ tensors that lie


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (tensor(shape=(2, 4)), "reaches to element 7 of a storage that holds 6"),
        (tensor(offset=1), "reaches to element 7"),
        (tensor(shape=(2, 3), strides=(4, 1)), "reaches to element 7"),
        (tensor(offset=-1), "non-negative"),
        (tensor(shape=(-2, -3)), "non-negative"),
        (tensor(strides=(-3, 1)), "non-negative"),
        (tensor(shape=(2**62, 2**62), strides=(0, 0)), "non-negative integers of a sane size"),
        (tensor(shape=(2**39, 2**39), strides=(0, 0)), "claims the shape"),
        (tensor(shape=(0, 2**39, 2**39), strides=(0, 0, 0)), "claims the shape"),
        (tensor(shape=(2**30,), strides=(0,)), "many times the size of the file"),
        (tensor(shape=(2, 3), strides=(1,)), "2 sizes and 1 strides"),
        (tensor(shape=(1,) * 33, strides=(1,) * 33), "non-negative"),
        (tensor(offset=2**200), "non-negative"),
        (tensor(text("0")), "not a storage"),
        (tensor(tensor()), "not a storage"),
        (call(*TENSOR, storage(), text("0"), sizes((1,)), sizes((1,))), "non-negative"),
        (call(*TENSOR, storage(), b"\x89", sizes((1,)), sizes((1,))), "non-negative"),
        (call(*TENSOR, storage(), integer(0), text("ab"), sizes((1,))), "non-negative"),
        (call(*TENSOR, storage(), integer(0), b"G" + bytes(8) + b"\x85", sizes((1,))), "non-negative"),
        (call(*TENSOR), "arguments that do not fit"),
        (call("torch._utils", "_rebuild_parameter", text("w"), b"\x88"), "where a StoredTensor belongs"),
        (tensor(storage(numel=-1)), "makes no sense"),
        (tensor(storage(numel=2**60)), "makes no sense"),
        (tensor(storage(kind="OrderedDict", module="collections")), "known type"),
        (tensor(storage(kind="UntypedStorage")), "torch.UntypedStorage"),
        (tensor(storage(tag="module")), "known type"),
        (tensor(storage(tail=integer(3))), "plain storage"),
        (tensor(storage(tail=b"NN")), "plain storage"),
        (text("0") + b"Q", "plain storage"),
        (b")Q", "plain storage"),
        (b"]Q", "plain storage"),
        (b"(" + tensor(storage(numel=6)) + tensor(storage(numel=3)) + b"t", "two types or two sizes"),
        (b"(" + tensor() + tensor(storage(kind="IntStorage")) + b"t", "two types or two sizes"),
    ],
)
def test_tensors_that_reach_where_they_must_not(refusal, value, message):
    for data in both(mapping(w=value)):
        assert message in refusal(data)


def test_storages_of_another_size_than_told(refusal):
    for raw in (b"", SIX[:-1], SIX + b"\0", SIX * 2):
        assert "its storage '0' should hold 6 float32 numbers" in refusal(torch_zip(mapping(w=tensor()), {"0": raw}))
    for numel in (0, 5, 7, -1, 2**62):
        data = torch_legacy(mapping(w=tensor()), storages=struct.pack("<q", numel) + SIX)
        assert f"its storage '0' holds {numel} numbers, and should hold 6" in refusal(data)


def test_storages_that_are_not_there(refusal):
    for key in ("1", "../data.pkl", "/etc/passwd", "", "0\0", "0/"):
        assert "missing" in refusal(torch_zip(mapping(w=tensor(storage(key)))))
        assert "does not name the storages" in refusal(torch_legacy(mapping(w=tensor(storage(key)))))
    for keys in ((), ("0", "0"), ("0", "1")):
        assert "does not name the storages" in refusal(torch_legacy(mapping(w=tensor()), keys))


def test_overlapping_views_are_copied_apart(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(torch_zip(mapping(a=tensor(shape=(4, 3), strides=(1, 1)), b=tensor(shape=(3,), strides=(0,)))))
    tensors = read_checkpoint(path).tensors
    np.testing.assert_array_equal(tensors["a"], np.add.outer(np.arange(4), np.arange(3)))
    tensors["a"][:] = 9
    tensors["b"][0] = 5
    np.testing.assert_array_equal(tensors["b"], [5, 0, 0])


def test_many_views_of_one_large_storage_are_not_all_copied(refusal):
    raw = bytes(2**20)
    view = tensor(storage(numel=2**18), shape=(2**18,), strides=(1,))
    value = mapping(**{f"w{i}": view for i in range(100)})
    assert "many times the size of the file" in refusal(torch_zip(value, {"0": raw}))


# ------------------------------------------------------------------------------------------ archives that lie


def test_members_that_are_missing_or_there_twice(refusal):
    data = ("archive/data.pkl", pickled(mapping(w=tensor())))
    assert "'archive/data/0' is missing" in refusal(archive([data]))
    assert "2 members named 'archive/data.pkl'" in refusal(archive([data, data, ("archive/data/0", SIX)]))
    assert "2 members named 'archive/data/0'" in refusal(
        archive([data, ("archive/data/0", SIX), ("archive/data/0", SIX)])
    )
    assert "without the data.pkl" in refusal(archive([("archive/data/0", SIX)]))
    assert "without the data.pkl" in refusal(archive([data, ("other/data.pkl", data[1])]))
    assert "without the data.pkl" in refusal(archive([]))


def test_a_zip_bomb(refusal):
    huge = bytes(200 * 2**20)
    assert "a zip bomb" in refusal(torch_zip(mapping(w=tensor()), {"0": huge}, zipfile.ZIP_DEFLATED))


def test_a_member_that_says_it_is_small(refusal):
    large = bytes(2**24)
    data = torch_zip(mapping(w=tensor()), {"0": large}, zipfile.ZIP_DEFLATED)
    lying = data.replace(struct.pack("<I", len(large)), struct.pack("<I", 24))
    assert lying != data
    tracemalloc.start()
    assert "damaged" in refusal(lying)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_member_that_says_it_is_large(refusal):
    for claimed in (2**31 - 1, 2**32 - 2, 60 * 2**20):
        data = torch_zip(mapping(w=tensor())).replace(struct.pack("<II", 24, 24), struct.pack("<II", claimed, claimed))
        assert any(word in refusal(data) for word in ("zip bomb", "should hold 6", "damaged"))


def test_a_huge_pickle_in_a_small_archive(refusal):
    padding = {"data.pkl": bytes(65 * 2**20)}
    assert "bomb" in refusal(torch_zip(b"}", compression=zipfile.ZIP_DEFLATED, **padding))


def test_a_changed_weight_is_noticed(refusal):
    data = bytearray(torch_zip(mapping(w=tensor())))
    data[data.index(SIX) + 3] ^= 1
    assert "CRC" in refusal(bytes(data))


def test_members_that_are_encrypted_or_exotic(refusal):
    data = torch_zip(mapping(w=tensor()))
    encrypted = bytearray(data)
    place = data.index(b"PK\x01\x02")
    encrypted[place + 8] |= 1
    assert "encrypted" in refusal(bytes(encrypted))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert "compression method" in refusal(torch_zip(mapping(w=tensor()), compression=method))


# ------------------------------------------------------------------------------------------ pickles that cost


def laughs(depth: int = 100) -> bytes:
    return b"]" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))


COSTLY = {
    "a tuple of tuples as a dict key": b"}" + laughs() + b"Ns",
    "a tuple of tuples in a set": b"\x8f(" + laughs() + b"\x90",
    "a tuple of tuples in a frozenset": b"(" + laughs() + b"\x91",
    "a tuple of tuples as a shape": call(*TENSOR, storage(), integer(0), laughs(), laughs()),
    "a dict that copies itself": call("collections", "OrderedDict", laughs()),
    "deep lists": b"]" * 1_000_000 + b"a" * 999_999,
    "deep tuples": b")" + b"\x85" * 1_000_000,
    "a tuple too deep to hash": b"}" + b")" + b"\x85" * 1_000_000 + b"Ns",
    "marks without end": b"(" * 1_900_000,
    "too many opcodes": b"N0" * 2_000_000,
    "sets without end": b"\x8f" * 1_900_000,
    "a memo at a huge index": b"Nr\xff\xff\xff\xff0j\xfe\xff\xff\xff",
    "an integer of gigabytes": b"\x8b\xff\xff\xff\x7f",
    "an integer of negative length": b"\x8b\xff\xff\xff\xff",
    "a text of gigabytes": b"X\xff\xff\xff\xff",
    "a text of exabytes": b"\x8d" + b"\xff" * 7 + b"\x7f",
    "bytes of exabytes": b"\x8e" + b"\xff" * 8,
    "a string of negative length": b"T\xff\xff\xff\xff",
    "a large set, copied often": b"]("
    + b"K\x01" * 100_000
    + b"eq\x00"
    + (b"0" + call("builtins", "set", b"h\x00")) * 5000,
    "a large text, encoded often": text("x" * 10**6)
    + b"q\x00"
    + call("_codecs", "encode", b"h\x00", text("latin1")) * 99,
    "large equal texts as keys": b"}(" + (text("x" * 10**5) + b"N") * 20 + b"u",
    "integers of one hash": b"}(" + b"".join(integer(i * (2**61 - 1)) + b"N" for i in range(5000)) + b"u",
    "a state that is set often": mapping(**{f"k{i}": b"N" for i in range(9999)})
    + b"q\x00"
    + namespace()
    + b"h\x00b" * 10**5,
}


@pytest.mark.parametrize("what", COSTLY)
def test_small_files_that_would_take_forever(refusal, what):
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(torch_zip(COSTLY[what]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 2**10


def test_arguments_that_would_take_forever_to_print(tmp_path):
    looped = b"]q\x00h\x00a"
    args = namespace(
        mapping(laughs=laughs(), loop=looped, deep=b")" + b"\x85" * 100_000, wide=b"](" + b"N" * 20_000 + b"e")
    )
    path = tmp_path / "net.pth"
    path.write_bytes(torch_zip(mapping(model=mapping(w=tensor()), args=args)))
    assert read_checkpoint(path).args == {}
    assert len(read_checkpoint(path).notes) == 4


MISFITS = [
    *(b"", b"0", b"R", b"a", b"s", b"u", b"e", b"t", b"\x85", b"\x86", b"\x87", b"b", b"\x81", b"Q", b"\x93", b"\x90"),
    *(b"h\x00", b"j\x00\x00\x00\x00", b"]N(a", b"]Ns", b"}Na", b"}(Nu", b"}N(u", b"N(0", b"q\x00", b"1", b"(Nb"),
    *(b"X\x01\x00\x00\x00\xff", b"cos", b"cos\n", b"c\xff\nx\n", b"c" + b"a" * 1000 + b"\nb\n"),
    *(b"\x80\x09", b"K", b"G\x00", b"\x95\xff"),
]


@pytest.mark.parametrize("value", MISFITS)
def test_opcodes_that_do_not_fit_together(refusal, value):
    for data in (torch_zip(value + b"."), torch_legacy(value + b".")):
        refusal(data)


def test_messages_stay_short_and_on_one_line(refusal):
    refusal(torch_zip(name("a\rb\u2028", "x" * 290)))
    refusal(torch_zip(mapping(**{f"line\nbreak{i}" * 40: b"N" for i in range(50)})))
    refusal(torch_zip(mapping(w=tensor(storage("line\nbreak" * 50)))))
    refusal(torch_legacy(mapping(**{"n\nan" * 99: tensor()}), storages=struct.pack("<q", 6) + b"\xff" * 24))


def test_a_name_with_half_a_surrogate_pair(refusal):
    half = b"X\x03\x00\x00\x00\xed\xa0\x80"
    value = b"}(" + half + tensor() + b"u"
    refusal(torch_zip(value, {"0": b"\xff" * 24})).encode()


# ------------------------------------------------------------------------------------------ damage


def read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    message = "read"
    try:
        tensors = read_checkpoint(path).tensors
        assert sum(tensor.nbytes for tensor in tensors.values()) <= max(2**20, 8 * len(data))
    except CheckpointError as error:
        message = str(error)
    assert len(message.splitlines()) == 1


SMALL = {
    "zip": torch_zip(
        mapping(model=mapping(w=tensor(), v=tensor(shape=(3,), strides=(2,))), args=namespace(mapping(T=integer(4))))
    ),
    "deflated": torch_zip(mapping(w=tensor()), compression=zipfile.ZIP_DEFLATED),
    "legacy": torch_legacy(mapping(model=mapping(w=tensor()), args=namespace(mapping(T=integer(4))))),
    "safetensors": safetensors.numpy.save({"w": np.ones((2, 3), np.float32), "v": np.ones(3, np.float16)}),
}


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_cut_off_anywhere(tmp_path, kind):
    for length in range(len(SMALL[kind])):
        read_or_refuse(tmp_path / "net.pth", SMALL[kind][:length])


@pytest.mark.parametrize("kind", SMALL)
def test_any_byte_changed(tmp_path, kind):
    chance = random.Random(2)
    for place in range(len(SMALL[kind])):
        data = bytearray(SMALL[kind])
        data[place] ^= 1 << chance.randrange(8)
        read_or_refuse(tmp_path / "net.pth", bytes(data))


@pytest.mark.parametrize("kind", SMALL)
def test_several_bytes_changed(tmp_path, kind):
    chance = random.Random(3)
    for _ in range(1500):
        data = bytearray(SMALL[kind])
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 0x28, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        read_or_refuse(tmp_path / "net.pth", bytes(data))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.pth")), ids=lambda path: path.name)
def test_a_real_file_cut_off_or_changed(tmp_path, path):
    whole = path.read_bytes()
    chance = random.Random(4)
    for _ in range(100):
        read_or_refuse(tmp_path / "net.pth", whole[: chance.randrange(len(whole))])
    for _ in range(200):
        data = bytearray(whole)
        data[chance.randrange(20_000)] = chance.randrange(256)
        read_or_refuse(tmp_path / "net.pth", bytes(data))


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [text("a"), tensor(), storage(), b"K\x01", b"}"]))
)
def test_no_sequence_of_opcodes_does_harm(parts):
    data = b"".join(parts)
    with contextlib.suppress(Refused):
        unpickle(io.BytesIO(data), len(data))
