"""Checkpoints as people have them: prefixes, wrappers, harmless data beside the weights; never a guess between two."""

import numpy as np
import pytest

from evsim.checkpoints import read_checkpoint
from evsim.errors import CheckpointError
from evsim.loading.importing import import_checkpoint
from tests.checkpoint_files import SIX, call, integer, mapping, name, namespace, storage, tensor, text, torch_zip

OPTIONS = {"img_size": "16", "n_steps": "2", "pooling_stat": "1111", "dvs_mode": "true"}


@pytest.fixture
def write(tmp_path):
    def write(value: bytes, storages=None) -> str:
        path = tmp_path / "net.pth"
        path.write_bytes(torch_zip(value, storages))
        return str(path)

    return write


def state(*names: str) -> bytes:
    """A dict of tensors, all views of one storage."""
    return b"}(" + b"".join(text(each) + tensor() for each in names) + b"u"


def message(path, **options):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# ------------------------------------------------------------------------------------------ prefixes


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "model.", "net."),
        *("module._orig_mod.", "_orig_mod.module.", "module.module.", "model.module._orig_mod.", "model._orig_mod."),
        *("_orig_mod.model.net.module.", "module.model."),
    ],
)
def test_prefixes_in_any_order_and_depth_are_stripped(write, prefix):
    read = read_checkpoint(write(mapping(state_dict=state(f"{prefix}a.b", f"{prefix}a.c"))))
    assert list(read.tensors) == ["a.b", "a.c"]
    (note,) = read.notes
    assert note.startswith("stripped ")
    assert note.endswith(" from all of the names")
    for part in prefix.split(".")[:-1]:
        assert repr(f"{part}.") in note


def test_parts_that_tools_put_around_a_module_are_stripped_in_the_middle(write):
    names = ("block._orig_mod.0.w", "block.1._fsdp_wrapped_module.w", "stem._checkpoint_wrapped_module.conv.w")
    assert list(read_checkpoint(write(state(*names))).tensors) == ["block.0.w", "block.1.w", "stem.conv.w"]


def test_prefixes_of_some_names_only_are_stripped_and_counted(write):
    read = read_checkpoint(write(state("model.a.w", "b.w", "module.c.w", "d.model.w")))
    assert list(read.tensors) == ["a.w", "b.w", "c.w", "d.model.w"]
    assert read.notes == ("stripped 'model.', 'module.' from 2 of the names",)


def test_names_that_would_become_one_are_refused_with_the_option(write):
    path = write(state("model.a.w", "net.a.w"))
    assert "differ only by 'model.' or 'net.'" in message(path)
    assert "--prefix" in message(path)
    assert list(read_checkpoint(path, prefix="net.").tensors) == ["a.w"]
    assert read_checkpoint(path, prefix="net").notes[1] == (
        "left out 1 tensors whose names do not begin so: 'model.a.w'"
    )
    assert "they begin with 'model.', 'net.'" in message(path, prefix="teacher")


def test_a_mean_over_models_is_noted(write):
    value = b"}(" + text("n_averaged") + tensor(shape=(), strides=()) + text("module.a.w") + tensor() + b"u"
    read = read_checkpoint(write(value))
    assert list(read.tensors) == ["a.w"]
    assert read.notes[0] == "stripped 'module.' from all of the names"
    assert "a mean over several states" in read.notes[1]


# ------------------------------------------------------------------------------------------ wrappers


@pytest.mark.parametrize(
    "key", ["state_dict", "model", "net", "model_state_dict", "model_state", "network", "weights", "ema", "whatever"]
)
def test_the_only_dict_of_tensors_is_taken_whatever_its_key(write, key):
    value = mapping(**{key: state("a.w")}, optimizer=mapping(state=state("exp.avg")), epoch=integer(3), rng=tensor())
    read = read_checkpoint(write(value))
    assert list(read.tensors) == ["a.w"]
    assert repr(key) in read.wrapper


def test_dicts_below_dicts_are_found(write):
    value = mapping(checkpoint=mapping(model=mapping(state_dict=state("a.w"))), scheduler=mapping(best=state("b.w")))
    assert list(read_checkpoint(write(value)).tensors) == ["a.w"]
    assert list(read_checkpoint(write(b"(" + state("a.w") + integer(7) + b"t")).tensors) == ["a.w"]


@pytest.mark.parametrize("other", ["teacher", "discriminator", "model", "student_state_dict"])
def test_two_dicts_of_tensors_are_refused_and_both_are_named(write, other):
    path = write(mapping(state_dict=state("a.w"), **{other: state("b.w")}))
    said = message(path)
    assert "holds 2 dicts of tensors" in said
    for word in ("'state_dict'", repr(other), "--key"):
        assert word in said
    assert list(read_checkpoint(path, key=other).tensors) == ["b.w"]
    assert "under the key 'none'" in message(path, key="none")


@pytest.mark.parametrize("average", ["ema", "model_ema", "state_dict_ema", "ema_state_dict", "swa_model"])
def test_a_moving_average_beside_is_not_used_unless_asked_for(write, average):
    path = write(mapping(model=state("a.w"), **{average: state("module.b.w")}))
    read = read_checkpoint(path)
    assert list(read.tensors) == ["a.w"]
    assert read.notes == ("a moving average (EMA) of the weights is present and was not used",)
    assert list(read_checkpoint(path, ema=True).tensors) == ["b.w"]


def test_a_moving_average_alone_is_taken_with_a_note(write):
    assert "the only weights there are" in read_checkpoint(write(mapping(ema=mapping(shadow=state("a.w"))))).notes[0]


def test_a_random_state_is_no_network(write):
    value = mapping(model=state("a.w"), rng_state=state("torch", "cuda"), scaler=state("scale"))
    assert list(read_checkpoint(write(value)).tensors) == ["a.w"]


# ------------------------------------------------------------------------------------------ arguments

ARGUMENTS = mapping(T=integer(4), name=text("x"))
NODE = name("omegaconf.nodes", "AnyNode") + b")\x81"


@pytest.mark.parametrize("key", ["args", "hyper_parameters", "hparams", "config", "cfg"])
@pytest.mark.parametrize(
    "stored",
    [
        ARGUMENTS,
        namespace(ARGUMENTS),
        mapping(args=namespace(ARGUMENTS)),
        call("types", "SimpleNamespace") + ARGUMENTS + b"b",
        name("my.config", "Config") + b")\x81" + ARGUMENTS + b"b",
        name("easydict", "EasyDict") + b")\x81(" + text("T") + integer(4) + text("name") + text("x") + b"u",
        name("omegaconf.dictconfig", "DictConfig")
        + b")\x81"
        + mapping(
            _content=mapping(T=NODE + mapping(_val=integer(4)) + b"b", name=NODE + mapping(_val=text("x")) + b"b")
        )
        + b"b",
    ],
    ids=["dict", "Namespace", "nested", "SimpleNamespace", "object", "dict subclass", "omegaconf"],
)
def test_arguments_of_any_class_are_read_as_values(write, key, stored):
    read = read_checkpoint(write(mapping(model=state("a.w"), **{key: stored})))
    assert {name_: read.args[name_] for name_ in ("T", "name")} == {"T": 4, "name": "x"}


def test_arguments_that_nothing_can_be_read_of_are_said(write):
    stored = call("my.config", "load", text("config.yaml"))
    read = read_checkpoint(write(mapping(model=state("a.w"), args=stored)))
    assert read.args == {}
    assert "the arguments under 'args' are a 'my.config.load': none of its values could be read" in read.notes


# ------------------------------------------------------------------------------------------ what lies beside

COMPLEX = storage("0", "ComplexFloatStorage", 3)
HARMLESS = {
    "path": call("pathlib", "PosixPath", text("out")),
    "dtype": name("torch", "float16"),
    "complex": call("builtins", "complex", b"G" + bytes(8), b"G" + bytes(8)),
    "bytearray": call("builtins", "bytearray", b"C\x02ab"),
    "bytearray5": b"\x96\x02" + bytes(7) + b"ab",
    "array": call("numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), integer(0)) + b"(K\x01tb",
    "array2": call("numpy._core.numeric", "_frombuffer", b"C\x02ab", call("numpy", "dtype", text("u1")), b")"),
    "text scalar": call(
        "numpy._core.multiarray", "scalar", call("numpy", "dtype", text("U1")) + b"(K\x03tb", b"C\x01a"
    ),
    "uint16": call("torch._utils", "_rebuild_tensor_v3", storage("0", "UntypedStorage", 24, module="torch.storage")),
    "complex tensor": tensor(COMPLEX, shape=(3,), strides=(1,)),
    "sparse": call("torch._utils", "_rebuild_sparse_tensor", name("torch", "sparse_coo"), tensor()),
    "quantised": call("torch._utils", "_rebuild_qtensor", storage("0", "QInt8Storage", 24)),
    "meta": call("torch._utils", "_rebuild_meta_tensor_no_storage", name("torch", "float32")),
    "tuple as a key": b"}K\x01K\x02\x86Ns",
    "object": name("my.module", "Thing") + b")\x81" + mapping(x=integer(1)) + b"b",
    "function": name("my.module", "warm_up"),
    "list subclass": name("my.module", "List") + b")\x81(K\x01K\x02e",
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_lies_beside_the_weights_stays_an_inert_mark(write, what):
    storages = {"0": SIX, "1": SIX}
    weights = b"}(" + text("a.w") + tensor(storage("1")) + b"u"
    read = read_checkpoint(write(mapping(model=weights, other=HARMLESS[what]), storages))
    np.testing.assert_array_equal(read.tensors["a.w"].reshape(-1), np.arange(6))
    if what in ("path", "dtype", "array", "object", "function"):
        assert any("passed over" in note and "nothing was executed" in note for note in read.notes)
    args = namespace(mapping(T=integer(4), other=HARMLESS[what]))
    assert read_checkpoint(write(mapping(model=weights, args=args), storages)).args["T"] == 4


@pytest.mark.parametrize("what", ["path", "dtype", "complex", "array", "quantised", "meta"])
def test_known_data_among_the_weights_is_no_tensor(write, what):
    weights = b"}(" + text("a.w") + tensor(storage("1")) + text("other") + HARMLESS[what] + b"u"
    read = read_checkpoint(write(weights, {"0": SIX, "1": SIX}))
    assert list(read.tensors) == ["a.w"]
    assert "ignored what is no tensor: 'other'" in read.notes


@pytest.mark.parametrize("what", ["object", "function", "list subclass"])
def test_what_nobody_knows_is_refused_among_the_weights(write, what):
    weights = b"}(" + text("a.w") + tensor() + text("other") + HARMLESS[what] + b"u"
    assert "which is not allowed; nothing was executed" in message(write(weights))


def test_a_command_beside_the_weights_makes_the_file_hostile(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module, attribute in (("os", "system"), ("subprocess", "Popen"), ("builtins", "eval"), ("posix", "system")):
        value = mapping(model=state("a.w"), other=call(module, attribute, text("touch pwned")))
        assert "which is not allowed; nothing was executed" in message(write(value))
    value = mapping(model=state("a.w"), other=call("my.module", "touch", text("pwned")))
    assert read_checkpoint(write(value)).notes == (
        "passed over 'my.module.touch', which is no data; nothing was executed",
    )
    assert not (tmp_path / "pwned").exists()


def test_parameters_with_attributes_are_tensors(write):
    kept = call("torch._utils", "_rebuild_parameter_with_state", tensor(), b"\x88", b"}", mapping(foo=integer(3)))
    rebuilt = b"(" + storage() + integer(0) + b"(K\x02K\x03t(K\x03K\x01t\x89}t"
    typed = call("torch._tensor", "_rebuild_from_type_v2", name("torch._utils", "_rebuild_tensor_v2"),
                 name("torch", "Tensor"), rebuilt, mapping(foo=integer(3)))  # fmt: skip
    read = read_checkpoint(write(b"}(" + text("a.w") + kept + text("b.w") + typed + b"u"))
    np.testing.assert_array_equal(read.tensors["a.w"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(read.tensors["b.w"], read.tensors["a.w"])


def test_a_whole_pickled_model_is_refused_with_advice(write):
    said = message(write(name("model.net", "SDT") + b")\x81" + mapping(_modules=b"}") + b"b"))
    assert "save the model's state_dict()" in said


def test_a_name_that_would_command_a_terminal_is_refused(write):
    assert "has a tensor named" in message(write(state("a.\x1b[31m")))
    assert "\x1b" not in message(write(state("a.\x1b[31m")))


# ------------------------------------------------------------------------------------------ as torch writes them


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_torch_writes(tmp_path, protocol, zipped):
    torch = pytest.importorskip("torch")
    import pathlib

    layer = torch.nn.Sequential(torch.nn.Linear(3, 2))
    layer[0].weight.note = "kept"
    marked = torch.nn.Parameter(torch.zeros(2))
    marked.note = 3
    beside = {
        "args": {"T": 4, "out": pathlib.PurePosixPath("out"), "scale": np.float32(0.5), "mean": np.arange(3.0)},
        "extra": [
            marked,
            torch.float16,
            1 + 2j,
            bytearray(b"ab"),
            np.arange(3.0),
            np.str_("a"),
            np.int64(3),
            {(1, 2): 3},
        ],
        "complex": torch.zeros(2, dtype=torch.complex64),
        "sparse": torch.eye(2).to_sparse(),
    }
    if zipped:
        beside |= {"uint16": torch.zeros(3, dtype=torch.uint16), "meta": torch.empty(3, device="meta")}
        beside |= {"float8": torch.zeros(3).to(torch.float8_e4m3fn)}
    state_dict = {f"module._orig_mod.{key}": value for key, value in layer.state_dict().items()}
    path = tmp_path / "net.pth"
    torch.save({"net": state_dict, **beside}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert list(read.tensors) == ["0.weight", "0.bias"]
    np.testing.assert_array_equal(read.tensors["0.weight"], layer[0].weight.detach().numpy())
    assert {key: read.args[key] for key in ("T", "scale")} == {"T": 4, "scale": 0.5}
    assert any("'mean', which is no plain value" in note for note in read.notes)


# ------------------------------------------------------------------------------------------ a network under a prefix


def network_file(write, prefix, extra=(), more=None, without=None, opcodes=b""):
    """A small Spike-driven Transformer under a prefix, the same under others, and more entries."""
    from evsim.networks import sdt
    from tests.fuzz_networks import pickled_state

    live, dead = sdt.tensor_shapes(sdt.SMALLEST[0])
    tensors = {key: np.full(shape, 0.5, np.float32) for key, shape in (live | dead).items() if key != without}
    named = {start + key: value for start in (prefix, *extra) for key, value in tensors.items()} | (more or {})
    value, storages = pickled_state(named)
    return write(value[:-1] + opcodes + b"u", storages), tensors


@pytest.mark.parametrize("prefix", ["backbone.", "classifier.backbone.", "module.encoder.net."])
def test_a_prefix_that_leads_to_a_known_network_is_found(write, prefix):
    path, tensors = network_file(write, prefix)
    weights, notes = import_checkpoint(path, OPTIONS)
    assert set(weights.tensors) <= set(tensors)
    assert any(note.endswith("from all of the names") for note in notes)


def test_two_networks_under_two_prefixes_are_refused_and_named(write):
    path, _ = network_file(write, "student.", ["teacher."])
    with pytest.raises(
        CheckpointError, match=r"several networks, under 'student\.', 'teacher\.'; say which with --prefix"
    ):
        import_checkpoint(path, OPTIONS)
    assert import_checkpoint(path, OPTIONS, prefix="teacher.")[0].tensors


def test_an_average_under_a_prefix_is_left_out_with_a_note(write):
    path, _ = network_file(write, "model.", ["ema_model."])
    weights, notes = import_checkpoint(path, OPTIONS)
    assert weights.tensors
    assert any("EMA" in note and "'ema_model.'" in note and "--prefix" in note for note in notes)
    assert import_checkpoint(path, OPTIONS, prefix="ema_model.")[0].tensors


def test_other_tensors_beside_the_network_are_named_with_the_option(write):
    path, _ = network_file(write, "model.", more={"criterion.weight": np.ones(3, np.float32)})
    with pytest.raises(CheckpointError, match=r"unknown criterion\.weight; --prefix NAME takes only tensors"):
        import_checkpoint(path, OPTIONS)
    _, notes = import_checkpoint(path, OPTIONS, prefix="model.")
    assert "left out 1 tensors whose names do not begin so: 'criterion.weight'" in notes


def test_a_wanted_tensor_of_a_type_that_is_not_read_is_named(write):
    path, _ = network_file(write, "", without="head.weight", opcodes=text("head.weight") + HARMLESS["meta"])
    with pytest.raises(CheckpointError, match=r"no 2-D tensor head\.weight"):
        import_checkpoint(path, OPTIONS)
    path, _ = network_file(write, "", without="head.bias", opcodes=text("head.bias") + HARMLESS["meta"])
    with pytest.raises(CheckpointError, match=r"missing head\.bias; it ignored what is no tensor: 'head\.bias'"):
        import_checkpoint(path, OPTIONS)
