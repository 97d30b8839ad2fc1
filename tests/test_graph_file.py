"""A graph file from a stranger: whatever is wrong with it is one line, and nothing it says is believed unchecked."""

import copy
import json
import zlib
from dataclasses import asdict

import numpy as np
import pytest

from evsim.checkpoints.weights import Weights, read_weights, write_weights
from evsim.errors import CheckpointError
from evsim.graph.file import GRAPH, from_weights, to_weights
from evsim.loading.importing import load_network
from evsim.networks.recorded import describe
from evsim.traces.stored import verify_stored
from tests.graph_nets import LIF, Maker, reference_of


def small():
    m = Maker((1, 3, 6, 6))
    s = m.fire(m.norm(m.conv(m.input, 8, path="conv0")), "lif0")
    return m.graph(m.classify(m.fire(m.conv(s, 8, path="conv1"), "lif1", LIF)))


@pytest.fixture(scope="module")
def graph():
    return small()


@pytest.fixture
def stored(graph):
    """The weights of a good file, to be spoilt."""
    return to_weights(graph, reference_of(graph), {"hyper_parameters": asdict(describe(graph))})


def write(path, weights, data):
    """The file with another graph text in it."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    tensors = dict(weights.tensors) | {GRAPH: np.frombuffer(text, np.uint8)}
    write_weights(path, Weights(tensors, weights.header))
    return str(path)


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        load_network(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 400
    return message


def test_a_file_comes_back_as_it_was_and_runs(tmp_path, graph, stored):
    path = str(tmp_path / "net.npz")
    write_weights(path, stored)
    back, reference = from_weights(read_weights(path))
    assert back.to_json() == graph.to_json()
    assert set(back.tensors) == set(graph.tensors)
    assert reference.sent.keys() == {"lif0", "lif1"}
    network, _ = load_network(path)
    found = verify_stored(network)
    assert found.agrees
    assert found.free.differing == 0
    assert found.local.compared == sum(array.size for array in reference.sent.values())


def test_equal_graphs_have_equal_fingerprints_and_others_not(graph):
    assert small().fingerprint() == graph.fingerprint()
    m = Maker((1, 3, 6, 6))
    other = m.graph(m.classify(m.fire(m.conv(m.input, 8, path="conv0"), "lif0")))
    assert other.fingerprint() != graph.fingerprint()


def node_of(data, op):
    return next(node for node in data["nodes"] if node["op"] == op)


def cycle(data):
    node_of(data, "neuron")["in"] = [len(data["nodes"]) - 1]


def itself(data):
    i = data["nodes"].index(node_of(data, "conv"))
    data["nodes"][i]["in"][0] = i


def negative(data):
    node_of(data, "conv")["in"][0] = -1


def wrong_shape(data):
    node_of(data, "conv")["out"] = [1, 8, 7, 7]


def wrong_weight(data):
    node_of(data, "tensor")["shape"] = [9]


def unknown_op(data):
    node_of(data, "conv")["op"] = "exec"


def readout_op(data):
    node_of(data, "conv")["op"] = "steps"


def no_such_tensor(data):
    node_of(data, "tensor")["name"] = "../../etc/passwd"


def huge_map(data):
    data["nodes"].append({"op": "full", "in": [], "out": [10**9], "path": "", "shape": [10**9], "value": 0.0})


def huge_view(data):
    i = data["nodes"].index(node_of(data, "tensor"))
    shape = [100_000, 100_000]
    data["nodes"].append({"op": "expand", "in": [i], "out": shape, "path": "", "shape": shape})


def huge_pad(data):
    i = data["nodes"].index(node_of(data, "conv"))
    words = {"before": [0, 0, 2**20, 2**20], "after": [0, 0, 0, 0], "value": 0.0}
    data["nodes"].append({"op": "pad", "in": [i], "out": [1, 8, 2**20 + 6, 2**20 + 6], "path": "", **words})


def many_constants(data):
    shape = [2**24]
    for _ in range(200):
        data["nodes"].append({"op": "full", "in": [], "out": shape, "path": "", "shape": shape, "value": 1.0})
    for i in range(200):
        a = len(data["nodes"]) - 200 + i
        data["nodes"].append({"op": "neg", "in": [a], "out": shape, "path": ""})


def many_nodes(data):
    data["nodes"] += [data["nodes"][0]] * 100_000


def wrong_type(data):
    node_of(data, "conv")["stride"] = [1, "1"]


def unprintable(data):
    node_of(data, "conv")["stride"] = "\ud800\x1b[31m"


def unprintable_number(data):
    node_of(data, "conv")["groups"] = "\ud800" * 100


def missing_attribute(data):
    del node_of(data, "conv")["groups"]


def unknown_attribute(data):
    node_of(data, "conv")["code"] = "import os"


def two_inputs(data):
    data["nodes"].append(copy.deepcopy(node_of(data, "input")))


def twice_the_same_name(data):
    first, second = (node for node in data["nodes"] if node["op"] == "neuron")
    second["path"] = second["path"] = first["path"]


def no_form(data):
    node_of(data, "neuron")["form"] = {"form": "Magic", "v_threshold": 1}


def wrong_form(data):
    node_of(data, "neuron")["form"]["tau"] = -1


def endless_form(data):
    node_of(data, "neuron")["form"]["v_threshold"] = [1.0] * 100


def far_step(data):
    data["readout"].append({"op": "at_step", "in": [0], "out": [1], "path": "", "step": 99, "shape": [1]})


def steps_of_nothing(data):
    data["readout"][0]["shape"] = data["readout"][0]["out"] = [5, 3]


def output_in_the_step(data):
    data["output"] = 0


def steps(data):
    data["n_steps"] = 10**9


def format_(data):
    data["format"] = 99


def axes(data):
    data["input"]["axes"] = "BC"


def time_twice(data):
    data["input"]["still"] = False


DAMAGE = [
    cycle, itself, negative, wrong_shape, wrong_weight, unknown_op, readout_op, no_such_tensor, huge_map, huge_view,
    huge_pad, many_constants, many_nodes, wrong_type, unprintable, unprintable_number,
    missing_attribute, unknown_attribute, two_inputs,
    twice_the_same_name, no_form, wrong_form,
    endless_form, far_step, steps_of_nothing, output_in_the_step, steps, format_, axes, time_twice,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_graph_that_does_not_hold_together_is_refused_in_a_line(tmp_path, graph, stored, damage):
    data = json.loads(graph.to_json())
    damage(data)
    refusal(write(tmp_path / "net.npz", stored, data))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": NaN}', b"[" * 100_000, b'{"a":' * 50_000, b'{"format": 1}'],
    ids=["empty", "cut", "list", "null", "no text", "nan", "deep", "deep objects", "nothing else"],
)
def test_text_that_is_no_graph_is_refused_in_a_line(tmp_path, stored, text):
    refusal(write(tmp_path / "net.npz", stored, text))


def test_a_graph_that_is_missing_is_named(tmp_path, stored):
    tensors = {name: tensor for name, tensor in stored.tensors.items() if name != GRAPH}
    write_weights(tmp_path / "net.npz", Weights(tensors, stored.header))
    assert "has no graph" in refusal(str(tmp_path / "net.npz"))


def test_a_tensor_that_no_node_uses_is_refused(tmp_path, stored):
    write_weights(
        tmp_path / "net.npz", Weights(dict(stored.tensors) | {"spare": np.ones(3, np.float32)}, stored.header)
    )
    assert "does not use the tensor 'spare'" in refusal(str(tmp_path / "net.npz"))


def test_a_header_that_says_something_else_than_the_graph_is_refused(tmp_path, stored):
    header = dict(stored.header, hyper_parameters=dict(stored.header["hyper_parameters"], n_steps=5))
    write_weights(tmp_path / "net.npz", Weights(stored.tensors, header))
    assert "n_steps is 5, its graph says 4" in refusal(str(tmp_path / "net.npz"))


@pytest.mark.parametrize("name", ["reference/input", "reference/output", "reference/zspk/lif0"])
def test_a_reference_that_does_not_fit_is_refused(tmp_path, stored, name):
    tensors = dict(stored.tensors) | {name: np.zeros((2, 2), np.uint8)}
    write_weights(tmp_path / "net.npz", Weights(tensors, stored.header))
    assert "reference" in refusal(str(tmp_path / "net.npz"))


@pytest.mark.parametrize(
    "spikes", [bytes(144), bytes(10**9), bytes(145), b""], ids=["sound", "a billion bytes", "one too many", "none"]
)
def test_spikes_that_inflate_to_another_size_are_refused(tmp_path, stored, spikes):
    """4 steps of 288 neurons are 144 bytes of bits; whatever follows them is never inflated."""
    deflated = np.frombuffer(zlib.compress(spikes, 9), np.uint8)
    write_weights(
        tmp_path / "net.npz", Weights(dict(stored.tensors) | {"reference/zspk/lif0": deflated}, stored.header)
    )
    if len(spikes) == 144:
        assert load_network(str(tmp_path / "net.npz"))
    else:
        assert "no spikes of 'lif0' that fit its graph" in refusal(str(tmp_path / "net.npz"))


def test_spikes_that_are_cut_off_are_refused(tmp_path, stored):
    tensors = dict(stored.tensors)
    tensors["reference/zspk/lif0"] = tensors["reference/zspk/lif0"][:-5]
    write_weights(tmp_path / "net.npz", Weights(tensors, stored.header))
    assert "no spikes of 'lif0' that fit its graph" in refusal(str(tmp_path / "net.npz"))


def test_spikes_as_bare_bits_are_read_as_well(tmp_path, stored):
    """As files had them first."""
    tensors = dict(stored.tensors)
    bits = zlib.decompress(tensors.pop("reference/zspk/lif0").tobytes())
    tensors["reference/spk/lif0"] = np.frombuffer(bits, np.uint8)
    write_weights(tmp_path / "net.npz", Weights(tensors, stored.header))
    assert verify_stored(load_network(str(tmp_path / "net.npz"))[0]).free.differing == 0


def test_every_command_works_on_a_recorded_network(tmp_path, evsim, graph, stored):
    path, image = str(tmp_path / "net.npz"), str(tmp_path / "image.npy")
    write_weights(path, stored)
    np.save(image, reference_of(graph).example[0])
    assert "family recorded" in evsim("info", path)[1]
    for verb, *more in (
        ("run",), ("audit",), ("lint",), ("raster", "-o", str(tmp_path / "r.png")),
        ("report", "-o", str(tmp_path / "r.html")),
    ):  # fmt: skip
        code, out, error = evsim(verb, "-w", path, "--input", image, *more)
        assert (code, error if code else "") == (0, ""), (verb, out, error)
    code, out, _ = evsim("verify", "-w", path)
    assert code == 0
    assert out.rstrip().endswith("agrees")


def test_the_error_for_an_unknown_checkpoint_points_to_recording(evsim, tmp_path):
    from safetensors.numpy import save_file

    save_file({"layer.weight": np.ones((2, 2), np.float32)}, tmp_path / "x.safetensors")
    code, _, error = evsim("import", tmp_path / "x.safetensors", "-o", tmp_path / "x.npz")
    assert code == 2
    assert "--from-torch mymodel.py:build" in error
    assert "evsim.torch.trace(" in error
    assert "docs/any-network.md" in error
    assert "docs/adding-a-network.md" in error
    assert len(error.strip().splitlines()) == 1


def test_a_checkpoint_is_told_that_it_holds_no_graph(evsim, tmp_path):
    from safetensors.numpy import save_file

    save_file({"layer.weight": np.ones((2, 2), np.float32)}, tmp_path / "x.safetensors")
    code, _, error = evsim("import", tmp_path / "x.safetensors", "-o", tmp_path / "x.npz", "--set", "family=recorded")
    assert code == 2
    assert "holds tensors and no graph" in error
