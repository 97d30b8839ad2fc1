"""A graph written as NIR and read back, by the library and by evsim: the same spikes; what NIR cannot say is named."""

from dataclasses import asdict

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evsim as package
from evsim.checkpoints.weights import write_weights
from evsim.graph.file import to_weights
from evsim.handlers.neuron_forms.forms import Decay, IntegerLeak, LateReset, Leaky, MultiSpike, Norse, Quantiser
from evsim.networks.recorded import describe
from tests.graph_nets import Maker as GraphMaker
from tests.graph_nets import example_of
from tests.nir_nets import Maker, chain, frames, small, spikes_of, written


def imported(path, out, *options):
    """A NIR file as a network's file."""
    from evsim.loading.nir_graph import import_nir

    told = dict(zip(options[::2], options[1::2], strict=True))
    weights, _ = import_nir(str(path), {"dt": "1ms", **told})
    write_weights(out, weights)
    return str(out)


def same_spikes(one, other, given_frames):
    """Of two networks; the populations of the second may be called otherwise, but stand in the same order."""
    n = len(given_frames)
    (mine, run), (theirs, back) = (spikes_of(package.load(path), given_frames, n) for path in (one, other))
    assert len(mine) == len(theirs) > 0
    for a, b in zip(mine.values(), theirs.values(), strict=True):
        assert a.any()
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(run.logits, back.logits, rtol=1e-5, atol=1e-6)
    return run, back


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF", "Threshold"])
@pytest.mark.parametrize("reset", ["v_reset", "subtract"])
@pytest.mark.parametrize("spikes", ["one", "many"])
def test_there_and_back(evsim, tmp_path, kind, reset, spikes):
    start = written(small(kind, v_threshold=0.5, by_channel=True, r=2.0), tmp_path / "start.nir")
    told = ("reset", reset, "spikes", spikes)
    first = imported(start, tmp_path / "first.npz", *told)
    code, out, err = evsim("export", first, "-o", tmp_path / "back.nir", "--format", "nir")
    assert code == 0, err
    is_usual = (reset, spikes) == ("v_reset", "one") or kind == "Threshold"
    assert ("NIR says neither: read it back with --dt 1ms" in out) == (not is_usual)
    assert is_usual or ("--reset subtract" in out) == (reset == "subtract")
    assert is_usual or ("--spikes many" in out) == (spikes == "many")
    graph = nir.read(tmp_path / "back.nir")  # with the library's own check of types
    assert {type(node).__name__ for node in graph.nodes.values()} >= {kind, "Conv2d", "SumPool2d", "Affine", "Flatten"}
    second = imported(tmp_path / "back.nir", tmp_path / "second.npz", *told)
    run, back = same_spikes(first, second, frames((2, 6, 6), rate=0.6))
    assert run.counts.total.acs == back.counts.total.acs


@pytest.mark.parametrize("kind", ["LI", "CubaLI", "I"])
def test_integrators_there_and_back(evsim, tmp_path, kind):
    m = Maker()
    graph = chain((8,), m.affine(8, 6), m.neurons("IF", 6), m.linear(6, 3), m.neurons(kind, 3))
    first = imported(written(graph, tmp_path / "start.nir"), tmp_path / "first.npz")
    assert evsim("export", first, "-o", tmp_path / "back.nir")[0] == 0
    second = imported(tmp_path / "back.nir", tmp_path / "second.npz")
    same_spikes(first, second, frames((8,), rate=2.0)[:, :, None, None])


@given(st.integers(0, 2**20), st.booleans(), st.booleans(), st.integers(1, 3))
def test_any_tree_of_layers_there_and_back(tmp_path_factory, seed, branches, even, stride):
    """Padding of both kinds, groups, strides, branches that meet, a pool and a subgraph."""
    m, folder = Maker(seed), tmp_path_factory.mktemp("nir")
    layer = m.conv2d(4, 4, (2, 2) if even else (3, 3), padding="same" if even else 1, groups=2)
    inner = chain((4, 5, 5), layer, out=(4, 5, 5))
    nodes = {
        "input": nir.Input({"input": np.array([2, 5, 5])}), "conv": m.conv2d(2, 4), "one": m.neurons("IF", 4, 5, 5),
        "block": nir.NIRGraph(inner.nodes, inner.edges, type_check=False),
        "side": m.conv2d(4, 4, kernel=(1, 1), padding=0),
        "two": m.neurons("LIF", 4, 5, 5, v_threshold=0.5), "down": m.conv2d(4, 3, stride=stride),
        "three": m.neurons("IF", 3, *[4 // stride + 1] * 2),
        "pool": nir.AvgPool2d(*np.array([[2, 2], [2, 2], [1, 1]])), "output": nir.Output({"output": None}),
    }  # fmt: skip
    edges = [("input", "conv"), ("conv", "one"), ("one", "block"), ("block", "two"), ("two", "down"), ("down", "three"),
             ("three", "pool"), ("pool", "output")]  # fmt: skip
    edges += [("one", "side"), ("side", "two")] if branches else []
    if not branches:
        del nodes["side"]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    first = imported(written(graph, folder / "start.nir"), folder / "first.npz")
    from evsim.graph.nir.export import export_nir

    export_nir(first, folder / "back.nir")
    second = imported(folder / "back.nir", folder / "second.npz")
    given_frames = frames((2, 5, 5), 6, seed, rate=1.0)
    (mine, run), (theirs, back) = (spikes_of(package.load(path), given_frames, 6) for path in (first, second))
    assert list(mine) == list(theirs)
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name])
    np.testing.assert_array_equal(run.logits, back.logits)


# ---- graphs that were not NIR before


def stored(graph, path):
    write_weights(path, to_weights(graph, None, {"hyper_parameters": asdict(describe(graph))}))
    return str(path)


def recorded(form=None, norm=True, axis=0):
    """As a recorder leaves it: reshapes around neurons, a BatchNorm, a pool, a classifier of everything."""
    m = GraphMaker((1, 1, 2, 8, 8), axes="TBCHW")
    form = form or Leaky(tau=2.0)
    x = m.conv(m.reshape(m.input, 1, 2, 8, 8), 6, path="block.conv0")
    x = m.norm(x, path="block.bn") if norm else x
    s = m.reshape(m.fire(m.reshape(x, 1, 1, 6, 8, 8), "block.lif0", form, axis=axis), 1, 6, 8, 8)
    words = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil": False}
    s = m.op("avg_pool", s, path="pool", **words, count_padding=True, divisor=0)
    s = m.fire(m.conv(s, 6, path="block.conv1", bias=True), "block.lif1", form, axis=axis)
    y = m.op("matmul", m.reshape(s, 1, 96), m.permute(m.weight(3, 96), 1, 0), path="head")
    return m.graph(m.op("add", y, m.weight(3), path="head"), n_steps=6)


@pytest.mark.parametrize("norm", [False, True])
def test_a_recorded_network(evsim, tmp_path, norm):
    graph = recorded(norm=norm)
    first = stored(graph, tmp_path / "first.npz")
    code, _, err = evsim("export", first, "-o", tmp_path / "net.nir")
    assert code == 2
    assert "block.lif0: its leak counts steps, and NIR wants seconds: --dt 1ms says how long one is" in err
    code, out, err = evsim("export", first, "-o", tmp_path / "net.nir", "--dt", "1ms")
    assert (code, err) == (0, "")
    assert "note" not in out
    kinds = [type(node).__name__ for node in nir.read(tmp_path / "net.nir").nodes.values()]
    assert sorted(kinds) == ["Affine", "AvgPool2d", "Conv2d", "Conv2d", "Flatten", "Input", "LIF", "LIF", "Output"]
    second = imported(tmp_path / "net.nir", tmp_path / "second.npz")
    same_spikes(first, second, example_of(graph)[:, 0])


EXACT = {
    "soft": (Leaky(input="integrates", v_reset=None, strict=True), "--reset subtract"),
    "hard": (Leaky(input="integrates", v_threshold=0.75, v_reset=-0.25), ""),
    "learnt": (Leaky(rate=0.3), ""),
    "norse": (Norse(0.25, v_leak=0.125, v_threshold=0.5), ""),
    "synapse": (Norse(0.5, v_threshold=0.5, synapse_rate=0.25), ""),
    "by channel": (Leaky(rate=np.float32([0.5, 0.25, 1, 0.5, 0.25, 1]), v_threshold=np.float32([1, 2, 0.5] * 2)), ""),
    "many": (MultiSpike(0.5, rate=0.25), "--reset subtract --spikes many"),
    "nothing kept": (Decay(0.0, 0.5, strict=True), ""),
}


@pytest.mark.parametrize("name", EXACT)
def test_forms_that_nir_says_exactly(evsim, tmp_path, name):
    form, note = EXACT[name]
    graph = recorded(form, norm=False, axis=-3 if name == "by channel" else 0)
    first = stored(graph, tmp_path / "first.npz")
    code, out, err = evsim("export", first, "-o", tmp_path / "net.nir", "--dt", "1ms")
    assert code == 0, err
    assert (note in out) if note else ("note" not in out)
    options = [word.lstrip("-") for word in note.split()]
    second = imported(tmp_path / "net.nir", tmp_path / "second.npz", *options)
    same_spikes(first, second, example_of(graph)[:, 0] * 2)


ROUNDED = {
    "tau 3": Leaky(tau=3.0),
    "reset": Leaky(tau=2.0, v_reset=-0.5),
    "whole": Leaky(tau=4.0, input="whole"),
    "decay": Decay(0.25, 0.5, strict=True),
    "late": LateReset(0.5, reset="zero"),
}


@pytest.mark.parametrize("form", ROUNDED.values(), ids=ROUNDED)
def test_other_roundings_are_said(evsim, tmp_path, form):
    graph = recorded(form, norm=False)
    first = stored(graph, tmp_path / "first.npz")
    code, out, _ = evsim("export", first, "-o", tmp_path / "net.nir", "--dt", "1ms")
    assert code == 0
    assert "another order of roundings, the last bit may differ: 'block.lif0', 'block.lif1'" in out
    second = imported(tmp_path / "net.nir", tmp_path / "second.npz")
    given_frames = example_of(graph)[:, 0] * 2
    mine, theirs = (spikes_of(package.load(path), given_frames, 6)[0] for path in (first, second))
    assert all(rows.any() for rows in mine.values())
    assert sum(np.count_nonzero(mine[name] != theirs[name]) for name in mine) <= 4


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (LateReset(0.5), "block.lif0: NIR has no neurons of the form LateReset, whose reset comes a step late"),
        (IntegerLeak(0.25), "block.lif0: NIR has no neurons of the form IntegerLeak"),
        (Quantiser(0, 4), "block.lif0: NIR has no neurons of the form Quantiser"),
        (Leaky(tau=2.0, v_reset=None), "block.lif0: fires where H >= v_threshold and resets by subtraction"),
    ],
    ids=["late", "integer", "quantiser", "soft"],
)
def test_neurons_that_nir_does_not_have(evsim, tmp_path, form, words):
    first = stored(recorded(form), tmp_path / "first.npz")
    code, _, err = evsim("export", first, "-o", tmp_path / "net.nir", "--dt", "1ms")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "net.nir").exists()


def attention(m):
    s = m.fire(m.conv(m.input, 4), "lif")
    tokens = m.reshape(s, 1, 4, 36)
    return m.classify(m.fire(m.matmul(tokens, m.permute(tokens, 0, 2, 1), path="block.attn"), "attn_lif"))


def gate(m):
    s, other = (m.fire(m.conv(m.input, 4, path=f"conv{i}"), f"lif{i}") for i in range(2))
    return m.classify(m.mul(s, other))


def max_pool(m):
    words = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil": False}
    return m.classify(m.fire(m.op("max_pool", m.conv(m.input, 4), path="pool", **words), "lif"))


def twice(m):
    s = m.fire(m.conv(m.input, 4), "lif")
    return m.classify(m.fire(m.add(s, s), "lif2"))


def constant(m):
    s = m.fire(m.conv(m.input, 4), "lif")
    return m.classify(m.fire(m.add(s, m.weight(1, 4, 6, 6)), "lif2"))


def turned(m):
    s = m.fire(m.conv(m.input, 4), "lif")
    return m.classify(m.permute(s, 0, 2, 3, 1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            attention,
            "block.attn: operation matmul cannot be written as NIR: it multiplies two values that both come with",
        ),
        (
            gate,
            "operation mul cannot be written as NIR: it multiplies two values that both come with the input, as atten",
        ),
        (max_pool, "pool: operation max_pool cannot be written as NIR: NIR has no such node"),
        (twice, "operation add cannot be written as NIR: it adds a value to itself"),
        (
            constant,
            "operation add cannot be written as NIR: NIR adds constants in convolutions and Affine layers alone",
        ),
        (turned, "operation permute cannot be written as NIR"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_nir_cannot_say_is_named(evsim, tmp_path, make, words):
    m = GraphMaker((1, 2, 6, 6))
    path = stored(m.graph(make(m)), tmp_path / "net.npz")
    code, _, err = evsim("export", path, "-o", tmp_path / "net.nir", "--dt", "1ms")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_words_that_mean_nothing(evsim, tmp_path, data):
    code, _, err = evsim("export", "sdt-nmnist", "-o", tmp_path / "net.nir")
    assert code == 2
    assert "a network of the family sdt holds no graph, and its attention multiplies spikes by spikes" in err
    path = imported(written(small(), tmp_path / "start.nir"), tmp_path / "net.npz")
    code, _, err = evsim("export", path, "-o", tmp_path / "net.csv", "--format", "csv")
    assert code == 2
    assert f"--format csv: {path} is a network, whose graph is written as nir" in err
    code, _, err = evsim("export", path, "-o", tmp_path / "net.nir", "--dt", "2ms")
    assert code == 2
    assert "was imported for steps of 1ms" in err
    code, _, err = evsim("export", data / "trace_version_1.h5", "-o", tmp_path / "x.csv", "--dt", "1ms")
    assert code == 2
    assert "--dt: is for a network" in err


def test_sums_over_the_steps_and_images_are_said(evsim, tmp_path):
    m = GraphMaker((1, 2, 6, 6))
    spikes = m.fire(m.conv(m.input, 4), "lif", Leaky(input="integrates"))
    path = stored(m.graph(m.classify(spikes), readout="sum"), tmp_path / "net.npz")
    code, out, _ = evsim("export", path, "-o", tmp_path / "net.nir")
    assert code == 0
    assert "the model sums its output over the steps" in out
    assert "the model takes one image for all steps" in out
    first, second = package.load(path), package.load(tmp_path / "net.nir", dt="1ms")
    image = example_of(m.graph(m.classify(spikes)))[0]
    np.testing.assert_allclose(
        first.run(image, axes="C H W").logits / 4, second.run(image, axes="C H W", steps=4).logits, rtol=1e-6
    )
