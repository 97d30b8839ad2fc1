"""Networks recorded from the official code of others, run without PyTorch: every spike, and the counts once more."""

import json

import numpy as np
import pytest

from evsim.checkpoints.checkpoint import read_checkpoint
from evsim.checkpoints.weights import read_weights
from evsim.engine.ledger import OpCounts
from evsim.engine.simulator import simulate
from evsim.graph.check import parse_graph
from evsim.graph.evaluate import evaluate, steps_of_input
from evsim.graph.file import StoredReference, from_weights
from evsim.graph.lower.lower import lower
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.projections.linear import Linear
from evsim.loading.importing import load_network
from evsim.traces.stored import input_spikes, verify_recorded, verify_stored
from tests.recount import recount

WHOLE = {  # populations, neuron-steps, silent populations
    "qkformer": (35, 1_613_824, 0),
    "spikingformer": (18, 466_944, 0),
    "sdt_v2": (77, 425_600, 8),
    "snntorch_csnn": (3, 11_250, 0),
}
"""Kept with the tests: graph, weights, input, spikes."""

GRAPHS = {"sew_dvs": (15, 7_689_216, 0), "sj_dvsgesture": (7, 1_399_224, 0)}
"""Of these the graph alone; weights and spikes are in the shared folder."""


def fixture(name, data, request):
    """Graph and reference."""
    if name in WHOLE:
        return from_weights(read_weights(data / "recorded" / f"{name}.npz"))
    folder = request.getfixturevalue("shared") / "fixtures" / "any_network"
    tensors = dict(read_checkpoint(folder / f"{name}.pth").tensors)
    text = (data / "recorded" / f"{name}.json").read_bytes()
    named = {node["name"] for part in ("nodes", "readout") for node in json.loads(text)[part] if node["op"] == "tensor"}
    graph = parse_graph(text, {key: np.asarray(tensors[key], np.float32) for key in named})
    return graph, official(graph, np.load(folder / f"{name}.npz"))


def official(graph, file):
    """The reference as the fixture stores it."""
    sent = {}
    for path, place in graph.neurons().items():
        n = int(np.prod(graph.nodes[place].shape))
        if f"spk/{path}" in file:
            sent[path] = np.unpackbits(file[f"spk/{path}"], count=graph.n_steps * n).reshape(graph.n_steps, n)
        else:
            sent[path] = file[f"ispk/{path}"].reshape(graph.n_steps, n)
    return StoredReference(file["input"].astype(np.float32), sent, file["logits_f32"])


@pytest.mark.parametrize("name", [*WHOLE, *GRAPHS])
def test_every_spike_is_the_official_one(name, data, request):
    n_populations, n_neuron_steps, n_silent = (WHOLE | GRAPHS)[name]
    graph, reference = fixture(name, data, request)
    lowered = lower(graph, rates=reference.rates())
    found = verify_recorded(lowered.network, graph, reference)
    assert len(lowered.network.populations()) == n_populations
    assert found.free.compared == n_neuron_steps
    assert (found.exact.differing, found.local.differing, found.free.differing) == (0, 0, 0)
    assert len(found.silent) == n_silent
    assert found.logits_difference < 1e-5
    assert found.predictions_differing == 0
    assert not lowered.dense


@pytest.mark.parametrize("name", [*WHOLE, *GRAPHS])
def test_the_reference_is_the_fixture_s(name, data, shared, request):
    file = shared / "fixtures" / "any_network" / f"{name}.npz"
    if not file.is_file():
        pytest.skip("this fixture is not here")
    graph, reference = fixture(name, data, request)
    theirs = official(graph, np.load(file))
    assert reference.sent.keys() == theirs.sent.keys()
    assert all(np.array_equal(reference.sent[path], theirs.sent[path]) for path in theirs.sent)
    np.testing.assert_allclose(reference.logits(graph), theirs.logits(graph), atol=1e-5)


@pytest.mark.parametrize("name", ["sdt_v2"])
def test_layers_kept_as_written_give_the_same_spikes(name, data, request):
    graph, reference = fixture(name, data, request)
    lowered = lower(graph, rates=reference.rates(), as_written=True)
    found = verify_recorded(lowered.network, graph, reference)
    assert (found.exact.differing, found.local.differing, found.free.differing) == (0, 0, 0)


@pytest.mark.parametrize("name", [*WHOLE, *GRAPHS])
def test_additions_equal_an_independent_recount(name, data, request):
    graph, reference = fixture(name, data, request)
    network = lower(graph, rates=reference.rates(), as_written=True).network
    ledger = simulate(network, input_spikes(graph, reference.example)).ledger.by_handler()
    expected, checked = recount(graph, reference), 0
    for handler in network.handlers:
        if (
            type(handler) in (Conv2d, Linear) and handler.name in expected
        ):  # what reads spikes or the image, at each step
            counts = ledger.get(handler.name, OpCounts())  # a layer that no event reached was never called
            added, units, events = expected[handler.name]
            if counts.macs:  # of a still image, once
                n = graph.n_steps if graph.is_still else 1
                assert (counts.macs * n, counts.acs) == (added, 0), handler.name
            else:
                assert (counts.event_acs, counts.acs, counts.events_in) == (added, units, events), handler.name
            checked += 1
    assert checked >= len(expected) / 3


def test_the_graph_in_numpy_is_the_model_too(data, request):
    graph, reference = fixture("spikingformer", data, request)
    run = evaluate(graph, steps_of_input(graph, reference.example))
    for path, array in run.sent.items():
        assert np.array_equal(array.reshape(graph.n_steps, -1), reference.sent[path]), path


def test_a_kept_file_verifies_by_itself(data):
    network, weights = load_network(str(data / "recorded" / "qkformer.npz"))
    assert weights.header["family"] == "recorded"
    assert verify_stored(network).agrees
