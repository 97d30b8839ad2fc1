"""Recorded networks without layer barriers: what has no form without one keeps it, and nothing changes behind it."""

from pathlib import Path

import numpy as np
import pytest

import evsim
from evsim.asynchronous.simulate import simulate_asynchronously
from evsim.checkpoints.weights import read_weights
from evsim.engine.simulator import simulate
from evsim.errors import EvsimError
from evsim.graph.file import from_weights
from evsim.traces.stored import input_spikes

DATA = Path(__file__).parent / "data" / "recorded"
SAME = ("events_out", "acs", "event_acs", "macs", "bias_adds")


def loaded(name):
    network = evsim.load(DATA / name).network
    graph, reference = from_weights(read_weights(network.recorded.file))
    return network, input_spikes(graph, reference.example)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        *((name, "layer") for name in ("qkformer.npz", "sdt_v2.npz", "spikingformer.npz")),
        ("spikingformer.npz", "depth"),
    ],
)
def test_the_barrier_and_an_order_by_depth_equal_the_synchronous_run(name, schedule):
    """SDT-V2 multiplies real values between its neurons: those layers wait, and see what they see with the barrier.

    Where a handler keeps a barrier in the middle of others that do not, even `depth` is another order.
    """
    network, steps = loaded(name)
    expected = simulate(network, steps)
    found = simulate_asynchronously(network, steps, evsim.Asynchrony(schedule))
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-6)
    for population in network.populations():
        step = [ledger.total(population.name).events_out for ledger in (expected.ledger, found.ledger)]
        assert step[0] == step[1], population.name


@pytest.mark.parametrize("name", ["qkformer.npz", "sdt_v2.npz"])
def test_what_waits_at_a_barrier_is_delivered_once(name):
    network, steps = loaded(name)
    expected = simulate(network, steps)
    found = simulate_asynchronously(network, steps, evsim.Asynchrony("layer"))
    assert found.barriers
    for waiting in found.barriers:
        one, other = expected.ledger.total(waiting), found.ledger.total(waiting)
        assert other.events_in == one.events_in, waiting
        assert [getattr(other, key) for key in SAME] == [getattr(one, key) for key in SAME], waiting


def test_an_output_that_needs_all_steps_is_refused():
    network, steps = loaded("snntorch_csnn.npz")
    with pytest.raises(EvsimError, match="--mode asynchronous: this network's output is no sum over its steps"):
        simulate_asynchronously(network, steps, evsim.Asynchrony("layer"))
