"""Honest checkpoints are read as torch reads them; dishonest files are in test_hostile_checkpoints.py."""

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from evsim.checkpoints import read_checkpoint
from evsim.errors import CheckpointError
from tests.checkpoint_files import (
    SIX,
    call,
    integer,
    mapping,
    namespace,
    storage,
    tensor,
    text,
    torch_legacy,
    torch_zip,
)

DATA = Path(__file__).parent / "data"
LEGACY = DATA / "sdt_mlp1.legacy_zip_false.pth"
PREFIXED = DATA / "sdt_mlp1.module_prefix.pth"


@pytest.fixture
def write(tmp_path):
    def write(data: bytes, name: str = "net.pth") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def assert_equal(tensors, state):
    """Same names, same order, same types, same bits; torch has bfloat16 where NumPy has float32."""
    state = {name.removeprefix("module."): value for name, value in state.items()}
    assert list(tensors) == list(state)
    for name, value in state.items():
        expected = value.detach().float().numpy() if str(value.dtype) == "torch.bfloat16" else value.detach().numpy()
        assert tensors[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(tensors[name], expected, err_msg=name)
        assert tensors[name].flags.c_contiguous
        assert tensors[name].flags.writeable


# ------------------------------------------------------------------------------------------ real files


def test_zip_and_old_format_hold_the_same_network():
    old, new = read_checkpoint(LEGACY), read_checkpoint(PREFIXED)
    assert old.wrapper == "old torch file (not zip): bare state dict"
    assert new.wrapper == "torch zip file: timm wrapper 'state_dict'"
    assert new.notes == ("stripped 'module.' from all of the names",)
    assert list(old.tensors) == list(new.tensors)
    assert len(old.tensors) == 112
    for name, value in old.tensors.items():
        np.testing.assert_array_equal(value, new.tensors[name])
    assert old.tensors["patch_embed.proj_conv.weight"].shape == (6, 3, 3, 3)
    assert old.tensors["patch_embed.proj_bn.num_batches_tracked"].dtype == np.int64


def test_torch_is_never_imported():
    code = f"from evsim.checkpoints import read_checkpoint; read_checkpoint({str(LEGACY)!r})"
    code += "; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_checksum_is_that_of_the_file():
    assert read_checkpoint(LEGACY).sha256 == hashlib.sha256(LEGACY.read_bytes()).hexdigest()
    assert read_checkpoint(str(LEGACY)).path == str(LEGACY)


@pytest.mark.parametrize("path", [LEGACY, PREFIXED], ids=lambda path: path.name)
def test_as_torch_reads_it(path, torch):
    state = torch.load(path, map_location="cpu", weights_only=False)
    assert_equal(read_checkpoint(path).tensors, state.get("state_dict", state))


def test_every_shared_fixture_as_torch_reads_it(shared, torch):
    paths = sorted([*shared.glob("fixtures/**/*.pth"), *shared.glob("fixtures/**/*.pth.tar")])
    assert paths
    for path in paths:
        saved = torch.load(path, map_location="cpu", weights_only=False)
        read = read_checkpoint(path)
        assert_equal(read.tensors, saved.get("state_dict", saved.get("model", saved)))
        assert read.args == (vars(saved["args"]) if "args" in saved else {})


def test_the_moving_average_is_read_when_asked_for(shared, torch):
    path = shared / "fixtures" / "sdt_cifar_lif.model_best.pth.tar"
    plain, ema = read_checkpoint(path), read_checkpoint(path, ema=True)
    saved = torch.load(path, map_location="cpu", weights_only=False)
    assert_equal(ema.tensors, saved["state_dict_ema"])
    assert plain.notes == ("a moving average (EMA) of the weights is present and was not used",)
    assert ema.wrapper == "torch zip file: timm wrapper 'state_dict_ema'"
    assert not np.array_equal(plain.tensors["head.weight"], ema.tensors["head.weight"])


# ------------------------------------------------------------------------------------------ types and views, by torch


@pytest.mark.parametrize("zipped", [True, False])
def test_every_type_and_view_as_torch_reads_it(tmp_path, torch, zipped):
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 7
    names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    state = {name: base.to(getattr(torch, name)) for name in names}
    state |= {"scalar": torch.tensor(7), "empty": torch.zeros(0, 3), "nothing": torch.zeros(2, 0)[1:]}
    state |= {
        "turned": base.permute(2, 0, 1),
        "slice": base[:, 1:, ::2],
        "row": base[1, 2],
        "spread": base[:1].expand(2, 3, 4),
    }
    state |= {"parameter": torch.nn.Parameter(base[1]), "half_slice": base.bfloat16()[1, :, 1]}
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    assert_equal(read_checkpoint(tmp_path / "net.pth").tensors, state)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_that_torch_can_write(tmp_path, torch, protocol):
    state = {"model": OrderedDict(weight=torch.ones(2, 3)), "args": argparse.Namespace(T=4, pair=(1, 2))}
    torch.save(state, tmp_path / "net.pth", pickle_protocol=protocol)
    assert read_checkpoint(tmp_path / "net.pth").args == {"T": 4, "pair": (1, 2)}


def test_what_training_scripts_keep_beside_the_weights(tmp_path, torch):
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimizer.step()
    state = {
        "model": layer.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5]).state_dict(),
        "best": np.float64(71.9),
        "seen": np.int64(3),
        "sets": [{1, 2}, frozenset("a"), defaultdict(list, a=[1]), Counter("aab")],
        "places": [
            torch.device("cuda:0"),
            torch.device("cpu"),
            torch.Size([1, 2]),
            b"\x00\xff",
            2**70,
            -(2**70),
            1e300,
        ],
        "rng": torch.get_rng_state(),
    }
    torch.save(state, tmp_path / "net.pth")
    assert_equal(read_checkpoint(tmp_path / "net.pth").tensors, layer.state_dict())


def test_tensors_that_share_a_storage_come_apart(tmp_path, torch):
    weight = torch.arange(6.0)
    torch.save({"a": weight, "b": weight, "c": weight[2:]}, tmp_path / "net.pth")
    tensors = read_checkpoint(tmp_path / "net.pth").tensors
    tensors["a"][:] = -1
    np.testing.assert_array_equal(tensors["b"], weight.numpy())
    np.testing.assert_array_equal(tensors["c"], weight.numpy()[2:])


# ------------------------------------------------------------------------------------------ files made by hand


def test_hand_made_files_are_read(write):
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    for data in (torch_zip(mapping(w=tensor())), torch_legacy(mapping(w=tensor(storage(tail=b"N"))))):
        np.testing.assert_array_equal(read_checkpoint(write(data)).tensors["w"], expected)


def test_storages_of_a_big_endian_machine(write):
    raw = np.arange(6, dtype=">f4").tobytes()
    path = write(torch_zip(mapping(w=tensor()), {"0": raw}, byteorder=b"big"))
    np.testing.assert_array_equal(read_checkpoint(path).tensors["w"].reshape(-1), np.arange(6))


def test_bfloat16_widens_exactly(write):
    raw = np.array([0x3F80, 0xC049, 0x0001, 0x7F7F, 0x8000, 0x0080], "<u2")
    path = write(torch_zip(mapping(w=tensor(storage(kind="BFloat16Storage"))), {"0": raw.tobytes()}))
    read = read_checkpoint(path).tensors["w"].reshape(-1)
    np.testing.assert_array_equal(read.view(np.uint32), raw.astype(np.uint32) << 16)


def test_storages_that_no_wanted_tensor_uses_are_not_read(write):
    state = mapping(model=mapping(w=tensor()), optimizer=tensor(storage("gone", numel=2**40), shape=(2**20, 2**10)))
    assert list(read_checkpoint(write(torch_zip(state))).tensors) == ["w"]


def test_arguments_come_as_plain_values(write):
    args = namespace(mapping(T=integer(4), deep=mapping(a=b"](K\x01N\x88e"), weight=tensor(), inner=namespace()))
    read = read_checkpoint(write(torch_zip(mapping(model=mapping(w=tensor()), args=args))))
    assert read.args == {"T": 4, "deep": {"a": [1, None, True]}}
    assert read.notes == tuple(
        f"ignored the stored argument {name!r}, which is no plain value" for name in ("weight", "inner")
    )


def test_only_some_names_have_the_module_prefix(write):
    state = b"}(" + text("module.a") + tensor() + text("b.module.c") + tensor() + text("epoch") + integer(3) + b"u"
    read = read_checkpoint(write(torch_zip(state)))
    assert list(read.tensors) == ["a", "b.module.c"]
    assert read.notes == ("stripped 'module.' from 1 of the names", "ignored what is no tensor: 'epoch'")


def test_safetensors(write):
    tensors = {"module.a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array(True), "c": np.ones((0, 2))}
    read = read_checkpoint(write(safetensors.numpy.save(tensors), "net.safetensors"))
    assert read.wrapper == "safetensors file: bare state dict"
    for name, value in tensors.items():
        np.testing.assert_array_equal(read.tensors[name.removeprefix("module.")], value)
        assert read.tensors[name.removeprefix("module.")].dtype == value.dtype


def test_safetensors_bfloat16_widens_exactly(tmp_path, torch):
    from safetensors.torch import save_file

    state = {"w": torch.arange(6.0).reshape(2, 3).bfloat16() / 7}
    save_file(state, tmp_path / "net.safetensors")
    assert_equal(read_checkpoint(tmp_path / "net.safetensors").tensors, state)


def test_the_format_is_told_by_the_content(tmp_path):
    shutil.copy(LEGACY, tmp_path / "net.safetensors")
    assert len(read_checkpoint(tmp_path / "net.safetensors").tensors) == 112


# ------------------------------------------------------------------------------------------ honest mistakes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"weights: none\n", "a text file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"\x93NUMPY\x01\x00", "a NumPy .npy file"),
        (b"\x1f\x8b\x08", "gzip"),
        (bytes(257) + b"ustar\x00" + bytes(200), "tar archive"),
        (bytes(99), "neither a PyTorch checkpoint"),
        (PREFIXED.read_bytes()[:1000], "damaged zip archive"),
        (LEGACY.read_bytes()[:50_000], "truncated"),
        (b"\x80\x02}.", "not one that torch.save wrote"),
        (torch_zip(b"}"), "no tensors"),
        (torch_zip(integer(3)), "holds a int"),
        (torch_zip(mapping(net=mapping(w=integer(3)))), "no tensors where a state dict was expected"),
        (torch_zip(mapping(net=mapping(w=integer(3)))), "but the keys 'net'"),
        (torch_zip(mapping(w=tensor()), {"0": np.array([0, 1, np.nan, 3, 4, 5], "<f4").tobytes()}), "tensors 'w'"),
        (torch_zip(mapping(w=tensor()), {"0": np.array([0, 1, -np.inf, 3, 4, 5], "<f4").tobytes()}), "NaN or infinite"),
        (torch_zip(b"}(" + text("module.a") + tensor() + text("a") + tensor() + b"u"), "differ only by 'module.'"),
        (torch_legacy(mapping(w=tensor()), little_endian=b"\x89"), "big-endian"),
        (torch_zip(mapping(w=tensor()), byteorder=b"middle"), "byte order"),
        (torch_zip(mapping(w=tensor()), **{"constants.pkl": b""}), "TorchScript"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(write, data, message):
    path = write(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_npz_file_is_called_by_its_name(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.ones(3))
    with pytest.raises(CheckpointError, match=r"a NumPy \.npz file"):
        read_checkpoint(tmp_path / "w.npz")


def test_no_such_file_and_directory(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="not a file"):
        read_checkpoint(tmp_path)


def test_a_moving_average_that_is_not_there(write):
    with pytest.raises(CheckpointError, match="EMA"):
        read_checkpoint(LEGACY, ema=True)
    with pytest.raises(CheckpointError, match="'model_ema'"):
        read_checkpoint(write(torch_zip(mapping(model=mapping(w=tensor())))), ema=True)


def test_many_broken_tensors_are_counted(write):
    state = mapping(**{f"w{i}": tensor() for i in range(5)})
    with pytest.raises(CheckpointError, match="tensors 'w0', 'w1', 'w2' and 2 more"):
        read_checkpoint(write(torch_zip(state, {"0": SIX[:-4] + b"\x00\x00\xc0\x7f"})))


def test_numpy_scalars_and_bytes_are_data(write):
    kind = call("numpy", "dtype", text("f8"), b"\x89", b"\x88")
    raw = call("_codecs", "encode", text("\x00" * 6 + "\xf8?"), text("latin1"))
    args = namespace(mapping(best=call("numpy.core.multiarray", "scalar", kind, raw)))
    assert read_checkpoint(write(torch_zip(mapping(model=mapping(w=tensor()), args=args)))).args == {"best": 1.5}
