"""lint names what is not spike-driven among the general handlers."""

import numpy as np

from evsim.auditing.layers import audit_run
from evsim.auditing.lint import check_claims, find_places
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.handlers.average_pool import AveragePool
from evsim.handlers.dense_node import DenseNode
from evsim.handlers.neuron_forms.forms import Leaky, Signed
from evsim.handlers.neuron_forms.population import population
from evsim.handlers.projections.linear import Linear
from evsim.handlers.projections.real_conv import RealConv
from evsim.handlers.readout_program import ReadoutProgram
from evsim.handlers.window import Window
from tests.contract import random_spikes


def network():
    net = Network("net", (4, 4, 2), 3)
    pooled, real, gated, last = Current(4, 2), Current(4, 2), Current(4, 2), Current(4, 2)
    net.add(AveragePool("average", Window(4, 4, 2, 2), 2, pooled), INPUT)
    net.add(RealConv("conv", np.eye(2), None, Window(1, 4), pooled, real))
    net.add(DenseNode("gate", lambda x: x / (1 + abs(x)), [(real, (4, 2))], gated, dense_macs=8, comparisons=2))
    signed = net.add(population("signed", gated, (4, 2), "token,channel", Signed(0.2, 0.2)))
    net.add(Linear("linear", np.eye(2), None, 4, last), signed)
    spikes = net.add(population("lif", last, (4, 2), "token,channel", Leaky(tau=2.0, v_reset=None)))
    net.add(ReadoutProgram("readout", lambda x: x.sum(axis=(0, 1)), [("spikes", (4, 2))], 2, by_step=True), spikes)
    return net


def test_each_place_is_named_with_its_operations(rng):
    run, result = audit_run(network(), [random_spikes(rng, 32, 0.6) for _ in range(3)])
    places = {place.layer: place for place in find_places(run)}
    assert places["average"].kind == "scaled values"
    assert places["conv"].kind == "soft values"
    assert (places["gate"].kind, places["gate"].operations) == ("dense operation", 3 * 10)
    assert places["conv"].operations == result.ledger.total("conv").macs > 0
    assert result.ledger.total().dense_macs == 24
    assert run.totals.macs == result.ledger.total("conv").macs, "dense products stay apart"
    assert "0 of 48 membrane updates had no event" in check_claims(run)[0].evidence


def test_a_layer_of_real_values_is_described_with_its_nonzero_operands(rng):
    run, _ = audit_run(network(), [random_spikes(rng, 32, 0.6) for _ in range(3)])
    layer = next(layer for layer in run.layers if layer.name == "conv")
    macs = [counts.macs for counts in layer.steps]
    np.testing.assert_array_equal(layer.operand.events, np.array(macs) // 2)
    sizes = {layer.name: layer.operand.size for layer in run.layers if "spikes" in layer.operands}
    assert sizes["linear"] == sizes["readout"] == 8
