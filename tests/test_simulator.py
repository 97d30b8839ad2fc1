import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import RecordingError
from evsim.handlers.neurons import LIF
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout, TokenMean
from evsim.loading.importing import load_network
from evsim.loading.zoo import find_weights
from tests import twins
from tests.contract import JIT, check_spikes, same_spikes
from tests.nets import N_IN, SIDE, random_network, random_recording

SEEDS = st.integers(0, 2**20)
KINDS = st.sampled_from(["binary", "integer", "real"])
WHOLE_NETWORKS = settings(max_examples=25 if JIT else 8)
SILENCE = [Spikes.none()] * 4


def play(net, recording, order="step"):
    recorder = twins.Recorder()
    return simulate(net, recording, [recorder], order), recorder


def ledger_of(result):
    return {(name, step): counts for name, step, counts in result.ledger.rows()}


# --- any network ------------------------------------------------------------------------------------------------------


@WHOLE_NETWORKS
@given(SEEDS, SEEDS, KINDS, st.sampled_from(["step", "stage"]))
def test_every_spike_and_count_equals_a_dense_run(net_seed, seed, kind, order):
    net, recording = random_network(net_seed), random_recording(seed, kind=kind)
    result, recorder = play(net, recording, order)
    twins.assert_same_run(net, result, recorder, twins.run(net, recording))


@WHOLE_NETWORKS
@given(SEEDS, SEEDS, KINDS)
def test_the_ledger_equals_a_recount_from_the_recorded_spikes(net_seed, seed, kind):
    net, recording = random_network(net_seed), random_recording(seed, kind=kind)
    result, recorder = play(net, recording)
    assert ledger_of(result) == twins.recount(net, recorder.sent, len(recording)).rows


@WHOLE_NETWORKS
@given(SEEDS, SEEDS, KINDS)
def test_both_orders_give_the_same_spikes_counts_and_logits(net_seed, seed, kind):
    net, recording = random_network(net_seed), random_recording(seed, kind=kind)
    (by_step, a), (by_stage, b) = play(net, recording, "step"), play(net, recording, "stage")
    assert a.sent.keys() == b.sent.keys()
    assert all(same_spikes(a.sent[key], b.sent[key]) for key in a.sent)
    assert ledger_of(by_step) == ledger_of(by_stage)
    np.testing.assert_array_equal(by_step.logits_by_step, by_stage.logits_by_step)


@WHOLE_NETWORKS
@given(SEEDS, SEEDS, SEEDS)
def test_a_run_does_not_depend_on_the_one_before(net_seed, seed, other_seed):
    net, recording = random_network(net_seed), random_recording(seed)
    first, a = play(net, recording)
    simulate(net, random_recording(other_seed, n_steps=7, kind="real"))
    second, b = play(net, recording)
    assert all(same_spikes(a.sent[key], b.sent[key]) for key in a.sent.keys() | b.sent.keys())
    assert ledger_of(first) == ledger_of(second)
    assert first.logits_by_step.tobytes() == second.logits_by_step.tobytes()


@WHOLE_NETWORKS
@given(SEEDS, SEEDS)
def test_a_longer_recording_begins_like_a_shorter_one(net_seed, seed):
    net, recording = random_network(net_seed), random_recording(seed, n_steps=6)
    (whole, a), (beginning, b) = play(net, recording), play(net, recording[:3])
    assert all(same_spikes(a.sent[key], spikes) for key, spikes in b.sent.items())
    np.testing.assert_array_equal(whole.logits_by_step[:3], beginning.logits_by_step)


@WHOLE_NETWORKS
@given(SEEDS, SEEDS, KINDS)
def test_what_is_sent_is_sorted_unique_and_in_range(net_seed, seed, kind):
    net = random_network(net_seed)
    sizes = {population.name: population.n_neurons for population in net.populations()}
    for (name, _), spikes in play(net, random_recording(seed, kind=kind))[1].sent.items():
        check_spikes(spikes, sizes.get(name, SIDE * SIDE * max(N_IN, 8)))


@WHOLE_NETWORKS
@given(SEEDS, SEEDS)
def test_events_sent_are_events_delivered_once_along_each_edge(net_seed, seed):
    net = random_network(net_seed)
    result, recorder = play(net, random_recording(seed))
    sent = {name: 0 for name in (INPUT, *(handler.name for handler in net.handlers))}
    for (name, _), spikes in recorder.sent.items():
        sent[name] += len(spikes)
    for handler, ports in zip(net.handlers, net.sources, strict=True):
        woken = getattr(handler, "wakers", ())
        assert result.ledger.total(handler.name).events_in == sum(sent[s] for s in (*ports.values(), *woken))
        assert result.ledger.total(handler.name).events_out == sent[handler.name]


# --- silence ----------------------------------------------------------------------------------------------------------


@WHOLE_NETWORKS
@given(SEEDS, st.sampled_from(["step", "stage"]))
def test_silence_calls_nobody_and_costs_nothing(net_seed, order):
    result, recorder = play(random_network(net_seed, sleepy=True), SILENCE, order)
    assert ledger_of(result) == {}
    assert result.ledger.total() == OpCounts()
    assert {name for name, _ in recorder.sent} == {INPUT}


@WHOLE_NETWORKS
@given(SEEDS)
def test_in_silence_only_self_waking_neurons_and_what_they_reach_run(net_seed):
    net = random_network(net_seed)
    result, recorder = play(net, SILENCE)
    self_waking = {population.name for population in net.populations() if population.wakes_itself}
    spiking = {name for (name, _), spikes in recorder.sent.items() if len(spikes)}
    called = {name for name, _ in ledger_of(result)}
    assert self_waking <= called
    for handler, ports in zip(net.handlers, net.sources, strict=True):
        reached = spiking & set(ports.values()) or called & set(getattr(handler, "wakers", ()))
        assert (handler.name in called) == bool(reached or handler.name in self_waking)


def one_neuron(bias):
    net, x, out = Network("one", (1, 1, 1), 4), Current(1, 1), Current(1, 1)
    net.add(Linear("fc", np.ones((1, 1)), np.array([bias]), 1, x), INPUT)
    net.add(LIF("lif", x, (1,), "channel"))
    net.add(Linear("head", np.ones((1, 1)), None, 1, out), "lif")
    net.add(Readout("readout", out))
    return net


@pytest.mark.parametrize(("bias", "steps_called"), [(0.984375, []), (1.0, [0, 1, 2, 3]), (2.0, [0, 1, 2, 3])])
def test_only_a_bias_at_or_above_the_threshold_is_visited_in_silence(bias, steps_called):
    result, _ = play(one_neuron(bias), SILENCE)
    assert [step for name, step in ledger_of(result) if name == "lif"] == steps_called
    assert result.ledger.total("lif").updates == len(steps_called)


def test_a_self_waking_neuron_spikes_at_the_steps_its_bias_says():
    result, recorder = play(one_neuron(1.5), SILENCE)  # V: 0.75, then 0.75 + (1.5 - 0.75) / 2 = 1.125 fires
    assert [len(recorder.sent["lif", step]) for step in range(4)] == [0, 1, 0, 1]
    assert result.logits.tolist() == [0.5]


def test_a_neuron_that_slept_wakes_with_the_charge_its_bias_gave_it():
    recording = [*SILENCE[:3], Spikes(np.array([0], np.int32))]
    result, recorder = play(one_neuron(0.5), recording)
    # asleep: V = 0.25, 0.375, 0.4375; then H = 0.4375 + (1.5 - 0.4375) / 2 = 0.96875 stays below
    assert len(recorder.sent["lif", 3]) == 0
    assert ledger_of(result)["lif", 3].updates == 4
    result, recorder = play(one_neuron(0.75), recording)
    # asleep: V = 0.375, 0.5625, 0.65625; then H = 0.65625 + (1.75 - 0.65625) / 2 = 1.203125 fires
    assert len(recorder.sent["lif", 3]) == 1


# --- fewer events, fewer operations -----------------------------------------------------------------------------------


@WHOLE_NETWORKS
@given(SEEDS, SEEDS)
def test_the_additions_of_two_halves_of_the_events_add_up(net_seed, seed):
    net, recording = random_network(net_seed), random_recording(seed)
    even = [Spikes(spikes.address[::2]) for spikes in recording]
    odd = [Spikes(spikes.address[1::2]) for spikes in recording]
    whole, first, second = (simulate(net, events).ledger.total("stem") for events in (recording, even, odd))
    assert whole.acs == first.acs + second.acs
    assert whole.events_in == first.events_in + second.events_in


def test_halving_the_events_lowers_the_additions_of_the_whole_network():
    net, rng = random_network(3, sleepy=True), np.random.default_rng(0)
    recording = [Spikes.from_dense(rng.random((SIDE, SIDE, N_IN)) < 0.4) for _ in range(4)]
    totals = [simulate(net, recording).ledger.total()]
    for _ in range(4):
        recording = [Spikes(spikes.address[::2]) for spikes in recording]
        totals.append(simulate(net, recording).ledger.total())
    acs = [total.acs for total in totals]
    assert acs == sorted(acs, reverse=True)
    assert acs[1] < 0.75 * acs[0]
    assert acs[-1] < 0.2 * acs[0]


# --- a current with two writers ---------------------------------------------------------------------------------------


def two_branches():
    """Channel 0 drives the branch "a", channel 1 the branch "b"; both write the current of "late"."""
    net, u, out = Network("two branches", (1, 2, 2), 4), Current(2, 1), Current(1, 1)
    for channel, branch in enumerate("ab"):
        x = Current(2, 1)
        weight = np.zeros((1, 2, 1, 1))
        weight[0, channel] = 2
        net.add(Conv2d(f"{branch}_in", weight, None, Window(1, 2), x), INPUT)
        net.add(LIF(branch, x, (1, 2, 1), "row,col,channel"))
    for branch in "ab":
        net.add(Linear(f"{branch}_out", np.array([[2.0]]), None, 2, u), branch)
    net.add(LIF("late", u, (1, 2, 1), "row,col,channel"))
    net.add(TokenMean("mean", u, out))
    net.add(Readout("readout", out))
    return net


@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize(("channels", "writers"), [([0], "a"), ([1], "b"), ([0, 1], "ab"), ([], "")])
def test_each_writer_of_a_shared_current_wakes_its_readers_once(channels, writers, order):
    result, recorder = play(two_branches(), [Spikes.none(), Spikes(np.array(channels, np.int32))], order)
    called = {name for name, step in ledger_of(result) if step == 1}
    assert {f"{writer}_out" for writer in writers} == called & {"a_out", "b_out"}
    for reader in ("late", "mean", "readout"):
        assert (reader in called) == bool(writers)
    assert recorder.sent.get(("late", 1), Spikes.none()).address.tolist() == ([0] if writers else [])
    assert result.logits_by_step[1].tolist() == [2 * len(writers) / 2]  # mean over two tokens


# --- still images -----------------------------------------------------------------------------------------------------


def test_a_still_image_is_multiplied_at_the_first_step_only():
    net, [image] = random_network(1), random_recording(2, n_steps=1, kind="real")
    assert len(image) > 0
    result, recorder = play(net, [image] * 4)
    macs = [ledger_of(result)["stem", step].macs for step in range(4)]
    assert macs[0] > 0
    assert macs[1:] == [0, 0, 0]
    copies = [Spikes(image.address.copy(), image.payload.copy()) for _ in range(4)]
    again, other = play(net, copies)
    assert [ledger_of(again)["stem", step].macs for step in range(4)] == macs[:1] * 4
    assert all(same_spikes(recorder.sent[key], other.sent[key]) for key in recorder.sent)


def test_the_prediction_is_the_largest_logit():
    net = random_network(5)
    result = simulate(net, random_recording(5))
    assert result.logits.shape == (3,)
    assert result.prediction == int(np.argmax(result.logits))
    np.testing.assert_allclose(result.logits, result.logits_by_step.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("address", [[-1, 2], [0, 10**6]])
def test_input_outside_the_network_is_refused(address):
    with pytest.raises(RecordingError, match="input addresses"):
        simulate(random_network(0), [Spikes(np.array(address, np.int32))])


@pytest.mark.parametrize(
    "address",
    [[0, -1_000_000_000, 5], [0, 2**31 - 1, 5], [5, 3], [3, 3], [-1], [10**6], [[0, 1]], [0.0, 1.0]],
)
def test_every_address_of_the_input_is_checked_not_the_ends_alone(address):
    network, _ = load_network(find_weights("sdt-nmnist"))
    steps = [
        Spikes(np.array([1, 2], np.int32)),
        Spikes(np.array(address, np.int64 if type(address[0]) is int else None)),
    ]
    with pytest.raises(RecordingError, match="step 1: "):
        simulate(network, steps)


def test_payloads_go_with_addresses():
    network, _ = load_network(find_weights("sdt-nmnist"))
    with pytest.raises(RecordingError, match="1 payloads for 2 events"):
        simulate(network, [Spikes(np.array([1, 2], np.int32), np.array([1], np.int32))])


def test_maps_that_addresses_of_32_bits_cannot_reach_are_refused():
    with pytest.raises(RecordingError, match="more than the 2,147,483,648"):
        Spikes.from_dense(np.broadcast_to(np.int8(0), 2**31 + 1))
