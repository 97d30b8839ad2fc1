"""Handlers that do not say how they act without a barrier keep it, are listed, and change nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.arithmetic.fixed_point import fix
from evsim.asynchronous import Asynchrony, simulate_asynchronously
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import EvsimError, RecordingError
from evsim.handlers.acts import Kind
from evsim.handlers.neurons import IF, LIF
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout
from tests.contract import JIT, same_spikes
from tests.nets import random_network, random_recording
from tests.twins import Recorder

SEEDS = st.integers(0, 2**20)
FEW = settings(max_examples=25 if JIT else 6)


def silenced(network, names):
    """The handlers called so no longer say how they act."""
    for handler in network.handlers:
        if handler.name in names:
            handler.asynchronous = lambda: None
    return network


def spikes_of(network, run, recording, *told):
    recorder = Recorder()
    result = run(network, recording, *told, [recorder])
    return result, {key: s for key, s in recorder.sent.items() if len(s)}


@FEW
@given(SEEDS, SEEDS, st.data())
def test_barriers_anywhere_leave_the_layer_schedule_the_synchronous_mode(net_seed, seed, data):
    network = fix(random_network(net_seed, kinds=("LIF", "PLIF")), "int16")
    names = [handler.name for handler in network.handlers[:-1]]
    silent = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    recording = random_recording(seed, kind="integer")
    theirs, expected = spikes_of(network, simulate, recording)
    ours, sent = spikes_of(silenced(network, silent), simulate_asynchronously, recording, Asynchrony("layer"))
    assert ours.barriers == tuple(name for name in names if name in silent)
    populations = {p.name for p in network.populations()}
    for key in {*sent, *expected}:
        if key[0] in populations:
            assert same_spikes(sent.get(key, Spikes.none()), expected.get(key, Spikes.none())), key
    np.testing.assert_array_equal(ours.logits_by_step, theirs.logits_by_step)


@FEW
@given(SEEDS, SEEDS)
def test_a_barrier_before_every_population_is_the_synchronous_mode_under_any_schedule(net_seed, seed):
    network = fix(random_network(net_seed, kinds=("LIF", "PLIF")), "int16")
    recording = random_recording(seed)
    theirs, _ = spikes_of(network, simulate, recording)
    silenced(network, {p.name for p in network.populations()})
    ours, _ = spikes_of(network, simulate_asynchronously, recording, Asynchrony("random", seed=3))
    np.testing.assert_array_equal(ours.logits_by_step, theirs.logits_by_step)
    assert len(ours.barriers) == len(network.populations())


class Doubler:
    """Sends every event twice as large: a handler that the loop has never heard of."""

    def __init__(self, n_inputs):
        self.name, self.n_inputs = "doubler", n_inputs

    def handle(self, step, inbox):
        spikes = inbox["spikes"]
        return Spikes(spikes.address, np.full(len(spikes), 2, np.int32)), OpCounts()

    def reset(self):
        pass


def simple(*between):
    """One token of two channels: input, a layer of two neurons, what stands between, a classifier."""
    net, x, logits = Network("simple", (1, 1, 2), 2), Current(1, 2), Current(1, 2)
    net.add(Linear("fc", 2 * np.eye(2), None, 1, x), INPUT)
    source = net.add(LIF("lif", x, (2,), "channel"))
    for handler in between:
        source = net.add(handler, source)
    net.add(Linear("head", np.array([[1.0, 0.0], [0.0, 3.0]]), None, 1, logits), source)
    net.add(Readout("readout", logits))
    return net


BOTH = [Spikes(np.array([0, 1], np.int32))] * 2


def test_an_unknown_handler_is_told_everything_at_once_and_listed():
    net = simple(Doubler(2))
    result = simulate_asynchronously(net, BOTH)
    assert result.barriers == ("doubler",)
    assert result.logits.tolist() == simulate(net, BOTH).logits.tolist() == [2, 6]
    assert result.order["doubler"][0].tolist() == [4, 5]  # behind two input events and two spikes
    assert simulate_asynchronously(simple(), BOTH).barriers == ()


def test_every_handler_of_the_engine_says_how_it_acts():
    for seed in range(30):
        for handler in random_network(seed).handlers:
            assert isinstance(handler.asynchronous().kind, Kind)


def test_input_outside_the_network_is_refused():
    with pytest.raises(RecordingError, match="input addresses"):
        simulate_asynchronously(simple(), [Spikes(np.array([7], np.int32))])


def test_an_event_larger_than_whole_numbers_are_proved_for_is_refused():
    with pytest.raises(EvsimError, match="an event of value 5000"):
        simulate_asynchronously(fix(simple(), "int16"), [Spikes(np.array([0], np.int32), np.array([5000], np.int32))])


# --- hand-counted -----------------------------------------------------------------------------------------------------


def tug_of_war(weights):
    """Two input events: the first excites a neuron, the second inhibits it."""
    net, x, logits = Network("tug", (1, 1, 2), 1), Current(1, 1), Current(1, 1)
    net.add(Linear("fc", np.array([weights]), None, 1, x), INPUT)
    net.add(LIF("lif", x, (1,), "channel"))
    net.add(Linear("head", np.ones((1, 1)), None, 1, logits), "lif")
    net.add(Readout("readout", logits))
    return net


ONCE = BOTH[:1]


def test_an_early_spike_is_what_a_barrier_prevents():
    net = tug_of_war([2.0, -2.0])
    assert simulate(net, ONCE).logits.tolist() == [0]
    assert simulate_asynchronously(net, ONCE, Asynchrony("layer")).logits.tolist() == [0]
    # fifo: the first event, then the second, then the spike that waited: withdrawn if it is tested again
    found = simulate_asynchronously(net, ONCE, Asynchrony("fifo", commit="delivery"))
    assert (found.logits.tolist(), found.withdrawn, found.deliveries) == ([0], 1, 2)
    found = simulate_asynchronously(net, ONCE, Asynchrony("fifo", commit="crossing"))
    assert (found.logits.tolist(), found.withdrawn, found.deliveries) == ([1], 0, 3)
    assert found.order["lif"][0].tolist() == [2]
    total = found.ledger.total()
    assert (total.event_acs, total.membrane_adds, total.events_out) == (3, 2, 1)
    assert simulate_asynchronously(net, ONCE, Asynchrony("fifo", None, "crossing")).logits.tolist() == [0]


def test_entry_says_which_event_comes_first():
    net = tug_of_war([2.0, -2.0])
    told = {"how": Asynchrony(commit="crossing"), "entry": [np.array([1, 0])]}
    found = simulate_asynchronously(net, ONCE, **told)
    assert found.logits.tolist() == [0]
    assert found.order[INPUT][0].tolist() == [1, 0]


def test_what_comes_after_a_spike_is_dropped_kept_or_fires_again():
    net = tug_of_war([2.0, 2.0])
    one_more = [*ONCE, Spikes.none()]
    for refire, after_spike, spikes in ((False, "drop", 1), (False, "keep", 1), (True, "drop", 2), (True, "keep", 2)):
        how = Asynchrony(commit="crossing", refire=refire, after_spike=after_spike)
        for recording in (ONCE, one_more):  # what was kept, V = 2 / 2, has halved when the next step begins
            assert simulate_asynchronously(net, recording, how).ledger.total("lif").events_out == spikes, how
    # tested again at its delivery, a neuron resets after both events: nothing is left to fire again with
    found = simulate_asynchronously(net, ONCE, Asynchrony(commit="delivery", refire=True))
    assert found.ledger.total("lif").events_out == 1


def test_a_kept_charge_above_the_threshold_is_ready_when_the_next_step_begins():
    net = tug_of_war([2.0, 5.0])
    recording = [*ONCE, Spikes.none()]  # V = 5 / 2 after the first step, and half of that in the second
    how = Asynchrony(after_spike="keep", commit="crossing")
    assert simulate_asynchronously(net, recording, how).ledger.total("lif").events_out == 2
    assert simulate_asynchronously(net, recording, Asynchrony(commit="crossing")).ledger.total("lif").events_out == 1


def test_late_biases_wait_for_inhibition():
    net, x, logits = Network("biased", (1, 1, 1), 1), Current(1, 1), Current(1, 1)
    net.add(Linear("fc", np.array([[-3.0]]), np.array([2.5]), 1, x), INPUT)
    net.add(LIF("lif", x, (1,), "channel"))
    net.add(Linear("head", np.ones((1, 1)), None, 1, logits), "lif")
    net.add(Readout("readout", logits))
    one = [Spikes(np.array([0], np.int32))]
    assert simulate(net, one).logits.tolist() == [0]
    assert simulate_asynchronously(net, one, Asynchrony()).logits.tolist() == [1]  # before the event comes
    assert simulate_asynchronously(net, one, Asynchrony(bias="late")).logits.tolist() == [0]
    assert simulate_asynchronously(net, [Spikes.none()], Asynchrony(bias="late")).logits.tolist() == [1]


def test_integrate_and_fire_needs_no_leak():
    net, x, logits = Network("if", (1, 1, 1), 3), Current(1, 1), Current(1, 1)
    net.add(Linear("fc", np.array([[0.5]]), None, 1, x), INPUT)
    net.add(IF("if", x, (1,), "channel"))
    net.add(Linear("head", np.ones((1, 1)), None, 1, logits), "if")
    net.add(Readout("readout", logits))
    recording = [Spikes(np.array([0], np.int32))] * 3
    assert simulate_asynchronously(net, recording).logits_by_step.tolist() == [[0], [1], [0]]


def test_the_queue_is_never_longer_than_what_waits():
    net = tug_of_war([2.0, -2.0])
    many = [Spikes(np.array([0, 1], np.int32), np.array([4000, 4000], np.int32))] * 1000  # eight million events
    result = simulate_asynchronously(net, many, Asynchrony(commit="crossing"))
    assert result.most_waiting == 2
    assert result.deliveries == 3000
