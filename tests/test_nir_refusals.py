"""A NIR file from a stranger, or one that cannot run event by event: one line, exit code 2, and nothing is written."""

import os

import h5py
import nir
import numpy as np
import pytest

import evsim as package
from evsim.graph.nir import hdf5
from tests.nir_nets import Maker, chain, flatten, small, written

TEXT = h5py.string_dtype()


def replaced(name, value):
    """The file with another array or word at a place below /node."""

    def damage(file):
        del file[f"node/{name}"]
        file.create_dataset(f"node/{name}", data=value)

    return damage


def edges(change):
    def damage(file):
        found = [[a.decode(), b.decode()] for a, b in file["node/edges"][()]]
        replaced("edges", np.array(change(found), dtype=TEXT))(file)

    return damage


def group(name, **members):
    """Another node in place of one."""

    def damage(file):
        del file[f"node/nodes/{name}"]
        made = file.create_group(f"node/nodes/{name}")
        for key, value in members.items():
            made.create_dataset(key, data=value)

    return damage


def deep(file):
    nodes = file["node/nodes"]
    for _ in range(2000):
        inner = nodes.create_group("deep")
        inner.create_dataset("type", data="NIRGraph")
        inner.create_dataset("edges", data=np.zeros((0, 2), "S1"))
        nodes = inner.create_group("nodes")


def many(file):
    for i in range(10_001):
        file["node/nodes"].create_group(f"n{i}")


def huge(file):
    del file["node/nodes/a/weight"]
    words = {"dtype": "f4", "chunks": (1000, 1000), "compression": "gzip"}
    file.create_dataset("node/nodes/a/weight", shape=(100_000, 100_000), **words)


def packed(file):
    """Few bytes on the disk, a gigabyte in memory."""
    for i in range(80):
        file.create_dataset(f"node/nodes/a/x{i}", data=np.zeros(2**22, np.float32), compression="gzip")


def link(file):
    del file["node/nodes/a/weight"]
    file["node/nodes/a/weight"] = h5py.ExternalLink("elsewhere.h5", "/x")


def ring(file):
    file["node/nodes/loop"] = file["node"]


def without(name):
    def damage(file):
        del file[f"node/{name}"]

    return damage


ONES = np.ones((4, 6, 6))
DAMAGE = {
    "NaN weights": (replaced("nodes/a/weight", np.full((4, 2, 3, 3), np.nan)), "node 'a': weight holds values that"),
    "infinite threshold": (replaced("nodes/b/v_threshold", ONES * np.inf), "node 'b': v_threshold holds values that"),
    "wrong weight": (replaced("nodes/a/weight", np.ones((4, 3, 3, 3))), "node 'a' (Conv2d): conv: convolves 2"),
    "wrong neurons": (replaced("nodes/b/r", np.ones((4, 6, 5))), "node 'b' is no IF: All parameters must have the"),
    "neurons of another map": (group("b", type="Threshold", threshold=ONES[:3]), "gets 4x6x6, expected 3x6x6"),
    "wrong bias": (replaced("nodes/a/bias", np.ones(3)), "node 'a' (Conv2d): conv: convolves"),
    "unknown node": (replaced("nodes/a/type", "Magic"), "node 'a' is of the type 'Magic', expected one of Affine"),
    "a node without a type": (without("nodes/a/type"), "node 'a' is of the type None"),
    "a node without weights": (without("nodes/a/weight"), "node 'a' is no Conv2d"),
    "an unknown field": (lambda file: file.create_dataset("node/nodes/a/code", data=1), "node 'a' is no Conv2d"),
    "delay": (group("b", type="Delay", delay=ONES), "node 'b' (Delay): cannot run step by step"),
    "recurrent": (edges(lambda found: [*found, ["e", "d"]]), "recurrent connections cannot run step by step"),
    "recurrent, itself": (edges(lambda found: [*found, ["b", "b"]]), "'b' -> 'b'"),
    "back into the input": (edges(lambda found: [*found, ["b", "input"]]), "'b' -> 'input'"),
    "no input": (without("nodes/input"), "names the node 'input', which is not there"),
    "two inputs": (group("a", type="Input", shape=np.array([4, 6, 6])), "has 2 nodes of the type Input"),
    "two outputs": (group("e", type="Output", shape=np.array([5, 3, 3])), "has 2 nodes of the type Output"),
    "no edge to the output": (edges(lambda found: found[:-1]), "node 'output' (Output) reads nothing"),
    "nothing leads to a node": (edges(lambda found: [e for e in found if e != ["a", "b"]]), "'b' (IF) reads nothing"),
    "no edges": (edges(lambda found: [["input", "a"]]), "reads nothing"),
    "an edge twice": (edges(lambda found: [*found, ["a", "b"]]), "the edge 'a' -> 'b' is there 2 times"),
    "edges of three": (replaced("edges", np.array([["a", "b", "c"]], dtype=TEXT)), "expected up to 100000 pairs"),
    "edges that are numbers": (replaced("edges", np.zeros((2, 2))), "names the node"),
    "huge array": (huge, "claims"),
    "packed arrays": (packed, "its arrays take more than"),
    "huge input": (replaced("nodes/input/shape", np.array([2, 100_000, 100_000])), "expected one to three axes"),
    "negative input": (replaced("nodes/input/shape", np.array([2, -6, 6])), "expected one to three axes"),
    "input of four axes": (replaced("nodes/input/shape", np.array([2, 6, 6, 6])), "expected one to three axes"),
    "huge padding": (replaced("nodes/a/padding", np.array([60_000, 60_000])), "elements"),
    "no stride": (replaced("nodes/a/stride", np.array([0, 1])), "node 'a' (Conv2d): stride is"),
    "half a stride": (replaced("nodes/a/stride", np.array([1.5, 1])), "node 'a' (Conv2d): stride is"),
    "no groups": (replaced("nodes/a/groups", 0), "node 'a' (Conv2d): groups is"),
    "padding in words": (replaced("nodes/a/padding", "somehow"), "node 'a' is no Conv2d: padding must be"),
    "huge numbers": (replaced("nodes/b/r", ONES * 1e30), "more than 1e+15"),
    "a weight in words": (replaced("nodes/a/weight", "x" * 2000), "node 'a': weight is a text, expected numbers"),
    "complex weights": (replaced("nodes/a/weight", np.ones((4, 2, 3, 3), complex)), "is of the type complex128"),
    "an output of another size": (replaced("nodes/output/shape", np.array([7])), "gets 3, expected 7"),
    "a link elsewhere": (link, "is a link to another place"),
    "nested without end": (deep, "its graphs are nested deeper than 16"),
    "a ring of groups": (ring, "its graphs are nested deeper than 16"),
    "too many nodes": (many, "has more than 10000 nodes"),
    "no graph": (without("nodes"), "is a graph without nodes"),
    "nothing": (lambda file: file.pop("node"), "has no 'node'"),
    "a lone node": (lambda file: file.move("node/nodes/a", "x") or (file.pop("node") and file.move("x", "node")),
                    "holds a lone Conv2d, expected a NIRGraph"),
}  # fmt: skip


def refusal(evsim, path, *options):
    """What is said of a file: one line that begins with its name."""
    code, out, err = evsim("import", path, "-o", f"{path}.npz", *(options or ("--dt", "1ms")))
    assert code == 2, out
    assert err.startswith("evsim: ")
    assert err.count("\n") == 1, err
    assert len(err) < 600
    assert not os.path.exists(f"{path}.npz")
    return err


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_does_not_hold_together_is_refused_in_a_line(evsim, tmp_path, damage):
    path = written(small(), tmp_path / "net.nir")
    change, words = DAMAGE[damage]
    with h5py.File(path, "r+") as file:
        change(file)
    message = refusal(evsim, path)
    assert f"{path}: " in message
    assert words in message


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_was_cut_off(evsim, tmp_path, part):
    path = written(small(), tmp_path / "net.nir")
    os.truncate(path, int(part * os.path.getsize(path)))
    assert path in refusal(evsim, path)


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x89HDF\r\n\x1a\n", b"\x80\x02}q\x00."])
def test_a_file_that_is_none(evsim, tmp_path, content):
    path = tmp_path / "net.nir"
    path.write_bytes(content)
    assert str(path) in refusal(evsim, str(path))


def test_a_damaged_byte_is_a_refusal_or_other_numbers(evsim, tmp_path):
    path = written(small(), tmp_path / "net.nir")
    good = bytearray(open(path, "rb").read())
    random = np.random.default_rng(0)
    for at in random.integers(0, len(good), 60):
        bad = bytearray(good)
        bad[at] ^= 1 << int(random.integers(8))
        (tmp_path / "bad.nir").write_bytes(bad)
        code, _, err = evsim("import", tmp_path / "bad.nir", "-o", tmp_path / "bad.npz", "--dt", "1ms")
        assert code in (0, 2)
        assert err.count("\n") == (1 if code else 0), err


def test_a_file_that_is_not_there(evsim, tmp_path):
    assert "nowhere.nir: " in refusal(evsim, str(tmp_path / "nowhere.nir"))


def test_a_step_has_a_length_that_somebody_must_say(evsim, tmp_path):
    path = written(small("LIF"), tmp_path / "net.nir")
    assert "does not say how long a step is: --dt 1ms" in refusal(evsim, path, "--reset", "subtract")
    assert "--dt 1: expected a time such as" in refusal(evsim, path, "--dt", "1")
    assert "shorter than a step of 0.008 s: expected a smaller --dt" in refusal(evsim, path, "--dt", "8ms")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--reset", "zero", "--reset zero: expected v_reset or subtract"),
        ("--spikes", "two", "--spikes two: expected one or many"),
        ("--ema", None, "--ema: is for a checkpoint, and this is a NIR graph"),
        ("--set", "n_steps=4", "--set: is for a checkpoint"),
        ("--quantise", "int8", "--quantise: is for a checkpoint"),
        ("--example", "x.npy", "--example: goes with --from-torch"),
    ],
)
def test_options_that_mean_nothing_to_it(evsim, tmp_path, option, value, words):
    path = written(small(), tmp_path / "net.nir")
    assert words in refusal(evsim, path, "--dt", "1ms", option, *([] if value is None else [value]))


@pytest.mark.parametrize("option", ["--dt", "--reset", "--spikes", "--steps"])
def test_its_options_mean_nothing_to_a_checkpoint(evsim, tmp_path, option):
    (tmp_path / "net.pth").write_bytes(b"\x80\x02}q\x00.")
    message = refusal(evsim, str(tmp_path / "net.pth"), option, "3")
    assert message.startswith(f"evsim: {option}: is for a NIR graph")


def test_neurons_that_differ_from_place_to_place(evsim, tmp_path):
    m = Maker()
    graph = small()
    graph.nodes["b"].v_threshold = m.random.uniform(0.5, 1, (4, 6, 6))
    message = refusal(evsim, written(graph, tmp_path / "net.nir"))
    assert "node 'b' (IF): its constants differ from place to place" in message


def test_membranes_are_no_spikes(evsim, tmp_path):
    m = Maker()
    graph = chain((8,), m.affine(8, 6), m.neurons("LI", 6), m.linear(6, 4), m.neurons("IF", 4))
    message = refusal(evsim, written(graph, tmp_path / "net.nir"))
    assert "node 'd' (IF): its current is made of the membranes of other neurons" in message


def test_a_subgraph_of_two_inputs_is_named(evsim, tmp_path):
    m = Maker()
    inner = chain((8,), m.affine(8, 6), out=(6,))
    inner.nodes["more"] = nir.Input({"input": np.array([8])})
    graph = chain((8,), inner, m.neurons("IF", 6))
    path = str(tmp_path / "net.nir")
    graph.nodes["output"] = nir.Output({"output": np.array([6])})
    nir.write(path, graph)
    assert "the subgraph 'a' has 2 nodes of the type Input" in refusal(evsim, path)


def test_what_leads_nowhere_is_left_out_and_said(evsim, tmp_path):
    m = Maker()
    graph = chain((2, 6, 6), m.conv2d(2, 4), m.neurons("IF", 4, 6, 6), flatten(4, 6, 6), m.affine(144, 3))
    graph.nodes["aside"], graph.edges = m.neurons("IF", 4, 6, 6), [*graph.edges, ("a", "aside")]
    path = written(graph, tmp_path / "net.nir")
    code, out, _ = evsim("import", path, "-o", tmp_path / "net.npz", "--dt", "1ms")
    assert code == 0
    assert "note: left out, they lead to no output: 'aside'" in out


def test_the_package_that_reads_it_is_named_where_it_is_missing(evsim, tmp_path, monkeypatch):
    path = written(small(), tmp_path / "net.nir")
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    message = refusal(evsim, path)
    assert "graphs of NIR need the package nir: pip install 'evsim[nir]'" in message


def test_python_refuses_what_it_is_not_asked_for(tmp_path):
    path = written(small(), tmp_path / "net.nir")
    with pytest.raises(package.EvsimError, match="unknown setting n_steps of a NIR graph"):
        package.load(path, dt="1ms", n_steps=4)


def test_a_recording_is_no_graph_and_a_graph_no_recording(tmp_path):
    from evsim.loading.zoo import zoo_folder

    assert not hdf5.is_nir(zoo_folder() / "nmnist_digit_0.h5")
    os.rename(written(small(), tmp_path / "net.nir"), tmp_path / "net.h5")
    assert hdf5.is_nir(tmp_path / "net.h5")
