"""A NIR graph, imported, does what the standard's equations say, spike for spike, in every reading of them."""

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evsim as package
from tests import naive_nir
from tests.nir_nets import Maker, chain, check_same_spikes, flatten, frames, small, written

readings = pytest.mark.parametrize("reset", ["v_reset", "subtract"])
spikes_a_step = pytest.mark.parametrize("spikes", ["one", "many"])


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
@readings
@spikes_a_step
def test_every_kind_of_neuron_in_every_reading(tmp_path, kind, reset, spikes):
    path = written(small(kind, v_threshold=0.5), tmp_path / "net.nir")
    run = check_same_spikes(path, frames((2, 6, 6)), reset, spikes)
    payloads = [run._finished.probe.spikes("b", step).payload for step in range(8)]
    sends_several = any(payload is not None and payload.max() > 1 for payload in payloads)
    assert sends_several == (spikes == "many")


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF", "Threshold"])
@pytest.mark.parametrize("constants", [{"r": 2.0}, {"by_channel": True}, {"v_reset": -0.25, "v_threshold": 0.75}])
def test_constants_of_neurons(tmp_path, kind, constants):
    path = written(small(kind, seed=3, **constants), tmp_path / "net.nir")
    check_same_spikes(path, frames((2, 6, 6), seed=4, rate=0.6))


@readings
def test_a_leak_potential_that_is_not_zero(tmp_path, reset):
    path = written(small("LIF", v_leak=0.25, v_threshold=0.5), tmp_path / "net.nir")
    check_same_spikes(path, frames((2, 6, 6)), reset)


@pytest.mark.parametrize("kind", ["LI", "CubaLI", "I"])
def test_integrators_in_front_of_the_output(tmp_path, kind):
    m = Maker()
    graph = chain((2, 6, 6), m.conv2d(2, 4), m.neurons("LIF", 4, 6, 6), flatten(4, 6, 6), m.linear(144, 3),
                  m.neurons(kind, 3), m.linear(3, 4))  # fmt: skip
    run = check_same_spikes(written(graph, tmp_path / "net.nir"), frames((2, 6, 6)))
    assert np.abs(run.logits).max() > 0.1
    updates = run.counts.total.updates - next(row for row in run.report.layers if row.name == "b").counts.updates
    assert updates == (0 if kind == "I" else 8 * 3)


LAYERS = {
    "strided": lambda m: m.conv2d(4, 6, stride=np.array([2, 1]), padding=np.array([0, 1])),
    "dilated": lambda m: m.conv2d(4, 6, dilation=2, padding=2),
    "grouped": lambda m: m.conv2d(4, 6, groups=2),
    "oblong": lambda m: m.conv2d(4, 6, kernel=(1, 3), padding=np.array([0, 1])),
    "same": lambda m: m.conv2d(4, 6, padding="same"),
    "same, even": lambda m: m.conv2d(4, 6, kernel=(2, 4), padding="same"),
    "valid": lambda m: m.conv2d(4, 6, padding="valid"),
    "sum pool": lambda m: nir.SumPool2d(np.array([3, 2]), np.array([2, 2]), np.array([1, 0])),
    "average pool": lambda m: nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([1, 1])),
    "one number for both axes": lambda m: nir.AvgPool2d(np.array([2]), np.array([2]), np.array([0])),
    "scale": lambda m: nir.Scale(m.weight(4, 6, 6)),
    "one scale": lambda m: nir.Scale(np.full((4, 6, 6), 0.5, np.float32)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_kind_of_layer(tmp_path, layer):
    """Behind spikes, in front of neurons; what it makes is added up by a fixed layer, so that its places matter."""
    m = Maker(5)
    node = LAYERS[layer](m)
    shape = _shape_behind(node)
    n = int(np.prod(shape))
    graph = chain((2, 6, 6), m.conv2d(2, 4), m.neurons("IF", 4, 6, 6), node, m.neurons("IF", *shape, v_threshold=0.5),
                  flatten(*shape), m.affine(n, 3), m.neurons("IF", 3))  # fmt: skip
    check_same_spikes(written(graph, tmp_path / "net.nir"), frames((2, 6, 6), rate=0.5))


def _shape_behind(node):
    from tests.naive_nir import step

    return step(node, np.zeros((4, 6, 6)), {}, 1e-3, "v_reset", "one").shape


def test_sequences_and_vectors(tmp_path):
    m = Maker(2)
    graph = chain((3, 16), m.conv1d(3, 4), m.neurons("LIF", 4, 16, v_threshold=0.5), m.conv1d(4, 4, 4, padding="same"),
                  m.neurons("IF", 4, 16), flatten(4, 16), m.affine(64, 5), m.neurons("IF", 5))  # fmt: skip
    check_same_spikes(written(graph, tmp_path / "a.nir"), frames((3, 16)))
    graph = chain((12,), m.affine(12, 8), m.neurons("LIF", 8, v_threshold=0.5), m.affine(8, 4), m.neurons("IF", 4))
    check_same_spikes(written(graph, tmp_path / "b.nir"), frames((12,), rate=0.8))


def test_flatten_of_some_axes(tmp_path):
    m = Maker(2)
    some = nir.Flatten(input_type={"input": np.array([4, 6, 6])}, start_dim=1, end_dim=2)
    graph = chain((2, 6, 6), m.conv2d(2, 4), m.neurons("IF", 4, 6, 6), some, m.conv1d(4, 3), m.neurons("IF", 3, 36))
    check_same_spikes(written(graph, tmp_path / "net.nir"), frames((2, 6, 6)))


def test_branches_are_added_where_they_meet(tmp_path):
    m = Maker(1)
    nodes = {
        "input": nir.Input({"input": np.array([2, 6, 6])}), "conv": m.conv2d(2, 4), "lif": m.neurons("IF", 4, 6, 6),
        "left": m.conv2d(4, 4), "right": m.conv2d(4, 4, kernel=(1, 1), padding=0), "sum": m.neurons("IF", 4, 6, 6),
        "output": nir.Output({"output": np.array([4, 6, 6])}),
    }  # fmt: skip
    edges = [("input", "conv"), ("conv", "lif"), ("lif", "left"), ("lif", "right"), ("left", "sum"), ("right", "sum"),
             ("sum", "output"), ("lif", "output")]  # fmt: skip
    check_same_spikes(written(nir.NIRGraph(nodes, edges), tmp_path / "net.nir"), frames((2, 6, 6)))


def test_subgraphs_take_their_places(tmp_path):
    m = Maker(1)

    def block(n_in):
        inner = chain((n_in, 6, 6), m.conv2d(n_in, 4), m.neurons("LIF", 4, 6, 6, v_threshold=0.5), out=(4, 6, 6))
        return nir.NIRGraph(inner.nodes, inner.edges)

    nested = nir.NIRGraph(
        {"in": nir.Input({"input": np.array([4, 6, 6])}), "deep": block(4), "out": nir.Output(np.array([4, 6, 6]))},
        [("in", "deep"), ("deep", "out")],
    )
    graph = chain((2, 6, 6), block(2), nested, flatten(4, 6, 6), m.affine(144, 3), m.neurons("IF", 3))
    run = check_same_spikes(written(graph, tmp_path / "net.nir"), frames((2, 6, 6)))
    assert {"a.b", "b.deep.b", "e"} == {row.name for row in run.report.layers if row.neurons}


KINDS = st.sampled_from(["IF", "LIF", "CubaLIF"])


@given(st.lists(KINDS, min_size=1, max_size=3), st.integers(0, 2**20), st.sampled_from(["v_reset", "subtract"]),
       st.sampled_from(["one", "many"]), st.booleans())  # fmt: skip
def test_any_chain_of_layers(tmp_path_factory, kinds, seed, reset, spikes, by_channel):
    m = Maker(seed)
    nodes, shape = [], (2, 5, 5)
    for kind in kinds:
        n_out = int(m.random.integers(1, 5))
        stride = int(m.random.integers(1, 3)) if shape[1] > 2 else 1
        nodes.append(m.conv2d(shape[0], n_out, stride=stride))
        shape = (n_out, (shape[1] - 1) // stride + 1, (shape[2] - 1) // stride + 1)
        nodes.append(m.neurons(kind, *shape, v_threshold=0.5, by_channel=by_channel))
    n = int(np.prod(shape))
    nodes += [flatten(*shape), m.affine(n, 3)]
    path = written(chain((2, 5, 5), *nodes), tmp_path_factory.mktemp("nir") / "net.nir")
    quiet = [chr(ord("a") + i) for i in range(len(nodes))]
    check_same_spikes(path, frames((2, 5, 5), 6, seed, rate=0.5), reset, spikes, quiet)


def test_a_reset_that_the_file_does_not_name_is_zero(tmp_path):
    import h5py

    path = written(small(), tmp_path / "net.nir")
    with h5py.File(path, "r+") as file:
        for key in "beh":
            del file[f"node/nodes/{key}/v_reset"]
    check_same_spikes(path, frames((2, 6, 6)))


def test_any_number_of_steps_is_a_property_of_the_run(tmp_path):
    path = written(small("LIF", v_threshold=0.5), tmp_path / "net.nir")
    network = package.load(path, dt="1ms", steps=5)
    given_frames = frames((2, 6, 6), 12)
    assert network.run(given_frames).n_steps == 12
    whole = network.run(given_frames).logits_by_step
    np.testing.assert_array_equal(network.run(given_frames[:7]).logits_by_step, whole[:7])
    with pytest.raises(package.EvsimError, match="12 frames, but --steps asks for 9"):
        network.run(given_frames, steps=9)


def test_an_integrator_is_read_out_over_any_number_of_steps(tmp_path):
    m = Maker()
    graph = chain((8,), m.affine(8, 6), m.neurons("IF", 6), m.linear(6, 3), m.neurons("LI", 3))
    path = written(graph, tmp_path / "net.nir")
    for n_steps in (1, 4, 9):
        check_same_spikes(path, frames((8,), n_steps, rate=2.0))


@spikes_a_step
def test_verification_needs_spikes_from_elsewhere(evsim, tmp_path, spikes):
    """A NIR file has none; with those of the slow twin all three levels agree."""
    path, given_frames = written(small("LIF", v_threshold=0.5), tmp_path / "net.nir"), frames((2, 6, 6))
    assert evsim("import", path, "-o", tmp_path / "net.npz", "--dt", "1ms", "--spikes", spikes)[0] == 0
    code, _, err = evsim("verify", "-w", tmp_path / "net.npz")
    assert code == 2
    assert "its file holds no reference (a NIR graph brings none): say either --reference FILE" in err
    sent = naive_nir.run(nir.read(path), given_frames, 1e-3, spikes=spikes)
    entries = {"frames": given_frames[None], "logits_f32": sent["output"].mean(axis=0)[None].astype(np.float32)}
    entries |= {f"ispk/{name}": sent[name][:, None].astype(np.int32) for name in ("b", "e", "h")}
    np.savez(tmp_path / "reference.npz", **entries)
    told = ("verify", "-w", tmp_path / "net.npz", "--reference", tmp_path / "reference.npz", "--strict")
    code, out, err = evsim(*told)
    assert (code, err) == (0, "")
    assert out.rstrip().endswith("agrees")
    entries["ispk/b"][3, 0, 1, 2, 2] += 1
    np.savez(tmp_path / "reference.npz", **entries)
    assert evsim(*told)[0] == 1


def test_what_was_taken_is_printed_stored_and_shown(evsim, tmp_path):
    path = written(small("LIF"), tmp_path / "net.nir")
    told = ("--dt", "1ms", "--steps", "20", "--reset", "subtract", "--spikes", "many")
    code, out, _ = evsim("import", path, "-o", tmp_path / "net.npz", *told)
    assert code == 0
    shown = evsim("info", tmp_path / "net.npz")[1]
    for text in (out, shown):
        assert "input: dt 1ms, steps 20" in text
        assert "reset by subtraction of v_threshold (--reset subtract)" in text
        assert "spikes as many a neuron and step as thresholds fit below its charge (--spikes many)" in text
        assert "fires where the charge is above v_threshold (the standard)" in text
        assert "source: net.nir (NIR), SHA-256" in text
    code, out, _ = evsim("import", path, "-o", tmp_path / "net.npz", "--dt", "1ms")
    assert "reset to v_reset (the standard)" in out
    assert "note: no --steps: a run takes as many as its recording fills" in out
    code, out, _ = evsim("info", path)
    assert code == 0
    assert "nodes: 3 LIF, 2 Conv2d, 1 Input, 1 SumPool2d, 1 Flatten, 1 Affine, 1 Output" in out


def test_one_number_is_for_all_neurons(tmp_path):
    m = Maker(3)
    one = {"r": np.array([1.0]), "v_leak": np.array([0.0]), "v_threshold": np.array([0.5]), "v_reset": np.array([0.0])}
    graph = chain((2, 6, 6), m.conv2d(2, 4), nir.LIF(tau=np.array([4e-3]), **one), flatten(4, 6, 6), m.affine(144, 3))
    check_same_spikes(written(graph, tmp_path / "net.nir"), frames((2, 6, 6)))


def test_a_resistance_of_an_integrator_is_said(evsim, tmp_path):
    path = written(small("IF", r=2.0), tmp_path / "net.nir")
    out = evsim("import", path, "-o", tmp_path / "net.npz", "--dt", "1ms")[1]
    assert "note: r is not 1: a step adds r I to the membrane, whatever dt: 'b', 'e', 'h'" in out
    path = written(small("LIF", r=2.0), tmp_path / "lif.nir")
    assert "r is not 1" not in evsim("import", path, "-o", tmp_path / "net.npz", "--dt", "1ms")[1]


def test_what_a_network_says_of_its_steps(tmp_path):
    path = written(small(), tmp_path / "net.nir")
    assert "any number of steps" in repr(package.load(path, dt="1ms"))
    assert package.load(path, dt="1ms").n_steps is None
    assert "20 steps" in repr(package.load(path, dt="1ms", steps=20))
