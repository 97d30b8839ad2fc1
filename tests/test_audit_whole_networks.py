"""Each convention against the counter it re-implements, on whole networks: the bundled ones on their recordings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evsim.auditing.conventions import neurobench, spikingjelly, syops
from evsim.auditing.layers import audit_run
from evsim.engine.spikes import Spikes
from evsim.handlers.geometry import Neurons
from evsim.loading.importing import build_network, import_checkpoint
from tests.spikformer_checks import needs_jit, train_statistics, write_checkpoint

torch = pytest.importorskip("torch")

from tests import peer_networks, peers  # noqa: E402
from tests.test_spikingjelly_layouts import sdt_model, spikformer_model  # noqa: E402
from tools.train.models import spikformer  # noqa: E402
from tools.train.models.neurons import LIF  # noqa: E402

pytestmark = needs_jit
PAGE = Path(__file__).parents[1] / "docs" / "counting.md"


@pytest.fixture(params=peer_networks.NETWORKS, name="name")
def _name(request):
    return request.param


def _queries_and_keys_first(q, k, v, scale):
    """The official file for CIFAR, which both bundled Spikformers are of."""
    return ((q @ k.transpose(-1, -2)) * scale) @ v


def _without_neurons(tally):
    """(ACs, MACs) of everything but membranes."""
    parts = tally.by_cause().values()
    return tuple(sum(getattr(part, key) for part in parts if part.cause != "neurons") for key in ("acs", "macs"))


def _synops(run):
    return sum(spikingjelly.synaptic(layer).acs for layer in run.layers)


def _printed(name, title):
    """The numbers of a line of the page: a network's, by one counter."""
    line = next(x for x in PAGE.read_text(encoding="utf-8").splitlines() if x.startswith(f"| {name} | {title} |"))
    return [float(cell.replace(",", "")) for cell in line.strip("|").split("|")[2:] if re.search(r"\d", cell)]


def test_spikingjelly(name, monkeypatch):
    """Every operator of the network; the neurons do not count here, see the next test."""
    monkeypatch.setattr(spikformer, "spiking_attention", _queries_and_keys_first)
    run, x = peer_networks.audited(name)
    model = peer_networks.with_contiguous_tokens(peer_networks.model(name, LIF))
    synops, acs, macs = peers.spikingjelly_counts(lambda: model(x))
    assert _without_neurons(spikingjelly.count(run)) == (acs, macs)
    assert _synops(run) == synops
    assert _printed(name, "SpikingJelly 2") == [synops, acs, macs]


def test_spikingjelly_counts_its_own_neurons(name):
    """Six additions an update, less where all values of a step are zeros and ones: only gates are ever so."""
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron", exc_type=ImportError)
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter", exc_type=ImportError)

    def node(v_threshold):
        return neuron.LIFNode(tau=2.0, v_threshold=v_threshold, v_reset=0.0, detach_reset=True, step_mode="m")

    run, x = peer_networks.audited(name)
    model, counted = peer_networks.model(name, node), counter.ACCounter()
    with torch.no_grad(), counter.DispatchCounterMode([counted]):
        model(x)
    family = type(model).__name__
    charges = spikingjelly.count(run).charges
    for layer in run.layers:
        if isinstance(layer.geometry, Neurons):
            found = sum(counted.records[f"{family}.{_module(model, layer.name)}"].values())
            ours, gate = charges[layer.name].acs, layer.geometry.n_neurons
            assert found == ours or (found < ours and _is_gate(run, layer)), (layer.name, gate)


def _is_gate(run, layer):
    """Its current is whole numbers: it stands behind a product of spikes."""
    before = run.layers[[x.name for x in run.layers].index(layer.name) - 1]
    return before.geometry.__class__.__name__ == "Attention" and before.geometry.mechanism != "dssa"


def _module(model, name):
    """Our names are the checkpoint's, and so are the model's."""
    assert name in dict(model.named_modules())
    return name


def test_neurobench(name):
    run, x = peer_networks.audited(name)
    tally = neurobench.count(run)
    acs, macs = peers.neurobench_network_counts(peer_networks.model(name, LIF), x)
    assert (tally.acs, tally.macs) == (acs, macs)
    assert _printed(name, "NeuroBench 2.3") == [acs, macs]


def test_syops(name):
    run, x = peer_networks.audited(name)
    model = peer_networks.with_plain_convolutions(peer_networks.model(name, lambda v: peers.Spiking(LIF(v))))
    tally = syops.count(run)
    acs, macs = peers.syops_counts(model, x[0])
    assert tally.acs == pytest.approx(acs, rel=1e-7)  # it takes the rate in float32
    assert tally.macs == macs
    assert _printed(name, "syops 0.0.5") == pytest.approx([acs, macs], abs=0.6)


LAYOUTS = {
    "spikformer": (spikformer_model, 4, {"n_heads": "2", "pooling_stat": "0011"}),
    "sdt": (lambda _, __: sdt_model("0011"), 4, {"pooling_stat": "0011"}),
}


@pytest.fixture(params=LAYOUTS, name="layout")
def _layout(request, tmp_path):
    """A network that SpikingJelly 2 built, with neurons that count nothing, and our description of its run."""
    pytest.importorskip("spikingjelly.activation_based.op_counter", exc_type=ImportError)
    base = pytest.importorskip("spikingjelly.activation_based.neuron").BaseNode
    make, patch, options = LAYOUTS[request.param]
    torch.manual_seed(7)
    images = torch.randn(1, 3, 32, 32)
    model = train_statistics(make(patch, 32), images)
    pytest.importorskip("spikingjelly.activation_based.functional").reset_net(model)
    state = {key: tensor.numpy() for key, tensor in model.state_dict().items() if tensor.ndim}
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, state), options | {"img_size": "32", "n_steps": "4"})
    peer_networks.replace_neurons(model, LIF, base)
    steps = [Spikes.from_dense(images[0].numpy().transpose(1, 2, 0))] * 4
    run, result = audit_run(build_network(weights), steps)
    with torch.no_grad():
        logits = model(images)
    np.testing.assert_allclose(result.logits, logits.reshape(-1, 10).mean(axis=0), atol=1e-4)
    return request.param, run, model, images


def test_spikingjelly_in_its_own_layout(layout):
    name, run, model, images = layout
    synops, acs, macs = peers.spikingjelly_counts(lambda: model(images))
    assert _without_neurons(spikingjelly.count(run)) == (acs, macs)
    assert _synops(run) == synops
    head = spikingjelly.count(run).charges["head"]
    assert head.macs == {"spikformer": 4 * 32 * 10, "sdt": 32 * 10}[name]  # every step; a mean over the steps


def test_neurobench_in_the_layout_of_spikingjelly(layout):
    """It hooks what the layout runs, once or at every step."""
    _, run, model, images = layout
    tally = neurobench.count(run)
    acs, macs = peers.neurobench_network_counts(model, images)
    assert (tally.acs, tally.macs) == (acs, macs)
