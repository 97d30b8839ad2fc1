"""Without the barrier: the slow twin, what must hold for any schedule, and what must equal the synchronous mode."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evsim.arithmetic.fixed_point import fix
from evsim.asynchronous import Asynchrony, simulate_asynchronously
from evsim.asynchronous.options import AFTER_SPIKE, BIASES, COMMITS, SCHEDULES
from evsim.engine.network import INPUT
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.engine.twin import twin
from evsim.errors import EvsimError
from tests import naive_asynchronous
from tests.contract import JIT, needs_jit, random_spikes, same_spikes
from tests.nets import random_network, random_recording
from tests.small_families import FAMILIES, random_tensors, recording_for
from tests.twins import Recorder

SEEDS = st.integers(0, 2**20)
KINDS = st.sampled_from(["binary", "integer", "real"])
FEW = settings(max_examples=25 if JIT else 6)


@st.composite
def ways(draw, schedules=SCHEDULES):
    """Any way to run, of those that mean something."""
    schedule = draw(st.sampled_from(schedules))
    if schedule == "layer":
        return Asynchrony("layer")
    return Asynchrony(
        schedule,
        draw(st.sampled_from([1, 2, 7, None])),
        draw(st.sampled_from(COMMITS)),
        draw(st.sampled_from(BIASES)),
        draw(st.booleans()),
        draw(st.sampled_from(AFTER_SPIKE)),
        seed=draw(SEEDS) if schedule == "random" else 0,
    )


def whole_network(seed, **options):
    """In fixed point: every sum is exact, so that nothing but the order of decisions is left to differ."""
    return fix(random_network(seed, kinds=("LIF", "PLIF"), **options), "int8" if seed % 2 else "int16")


def small_family(name, seed, precision="int16"):
    module, hp = FAMILIES[name]
    tensors = random_tensors(np.random.default_rng(seed), module.tensor_shapes(hp)[0])
    return fix(module.build(tensors, hp), precision)


def network_for(seed, how):
    """In fixed point; but whole sums are proved for one spike a neuron, and dyadic weights are as exact in float32."""
    return random_network(seed) if how.refire else whole_network(seed)


def play(network, recording, how):
    recorder = Recorder()
    return simulate_asynchronously(network, recording, how, [recorder]), recorder.sent


def play_synchronously(network, recording):
    recorder = Recorder()
    return simulate(network, recording, [recorder]), recorder.sent


def assert_same_spikes(network, sent, expected, n_steps):
    for population in network.populations():
        for step in range(n_steps):
            ours, theirs = (s.get((population.name, step), Spikes.none()) for s in (sent, expected))
            assert same_spikes(ours, theirs), f"{population.name} at step {step}"


def assert_equals_twin(network, recording, how):
    result, sent = play(network, recording, how)
    done = naive_asynchronous.run(network, recording, how)
    assert_same_spikes(network, sent, done.sent, len(recording))
    for (name, step), order in done.order.items():
        assert result.order[name][step].tolist() == order, f"order of {name} at step {step}"
    np.testing.assert_array_equal(result.logits_by_step, np.stack(done.logits))
    assert (result.deliveries, result.withdrawn) == (done.deliveries, done.withdrawn)
    if how.schedule != "layer":  # behind the barrier a classifier waits for its stage, the twin's does not
        assert result.decision.delivery == done.last_change


# --- the slow twin ----------------------------------------------------------------------------------------------------


@FEW
@given(SEEDS, SEEDS, KINDS, ways())
def test_random_networks_equal_the_slow_twin(net_seed, seed, kind, how):
    network = network_for(net_seed, how)
    if how.refire:
        kind = "binary" if kind == "real" else kind
        n_tokens = network.handlers[-4].source.n_places
        assume(n_tokens & (n_tokens - 1) == 0)
    assert_equals_twin(network, random_recording(seed, n_steps=2, kind=kind), how)


@needs_jit
@pytest.mark.parametrize("family", [name for name in FAMILIES if "3x3" not in name])  # of these a twin is too slow
@settings(max_examples=2)
@given(how=ways(), kind=st.sampled_from(["binary", "integer", "image"]))
def test_every_family_equals_the_slow_twin(family, how, kind):
    how = how if how.schedule == "layer" else Asynchrony(**(how.as_dict() | {"group": 150, "refire": False}))
    network = small_family(family, 3, "int8" if how.seed % 2 else "int16")
    assert_equals_twin(network, recording_for(network, 4, kind)[:1], how)


# --- the barrier, and no barrier, that equal the synchronous mode -----------------------------------------------------

SAME = {"layer": Asynchrony("layer"), "depth": Asynchrony("depth")}
UNCHANGED = ("events_out", "acs", "updates", "bias_adds", "macs")


@FEW
@given(SEEDS, SEEDS, KINDS, st.sampled_from(list(SAME)))
def test_layer_and_depth_are_the_synchronous_mode(net_seed, seed, kind, how):
    network, recording = whole_network(net_seed), random_recording(seed, kind=kind)
    result, sent = play(network, recording, SAME[how])
    expected, theirs = play_synchronously(network, recording)
    assert_same_spikes(network, sent, theirs, len(recording))
    np.testing.assert_array_equal(result.logits_by_step, expected.logits_by_step)
    assert result.barriers == ()


@needs_jit
@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize("kind", ["binary", "integer", "image"])
@pytest.mark.parametrize("how", SAME)
@pytest.mark.parametrize("family", FAMILIES)
def test_layer_and_depth_are_the_synchronous_mode_in_every_family(family, how, kind, precision):
    network = small_family(family, 5, precision)
    recording = recording_for(network, 6, kind)
    result, sent = play(network, recording, SAME[how])
    expected, theirs = play_synchronously(network, recording)
    assert_same_spikes(network, sent, theirs, len(recording))
    np.testing.assert_array_equal(result.logits_by_step, expected.logits_by_step)
    assert sum(map(len, sent.values())) > 100


@FEW
@given(SEEDS, SEEDS, KINDS)
def test_with_the_barrier_the_counts_of_additions_are_those_of_the_synchronous_mode(net_seed, seed, kind):
    network, recording = whole_network(net_seed), random_recording(seed, kind=kind)
    ours = simulate_asynchronously(network, recording, Asynchrony("layer")).ledger.by_handler()
    theirs = simulate(network, recording).ledger.by_handler()
    for name, counts in theirs.items():
        for count in (*UNCHANGED, "event_acs", "graded_acs", "events_in"):
            found = getattr(ours[name], count) if name in ours else 0
            assert found == getattr(counts, count), f"{count} of {name}"
    assert sum(c.membrane_adds for c in theirs.values()) == 0


@FEW
@given(SEEDS, SEEDS, KINDS, st.sampled_from(list(SAME)))
def test_float32_equals_the_synchronous_mode_where_its_sums_are_exact(net_seed, seed, kind, how):
    """Dyadic weights, so that no order of additions rounds; only the mean over tokens may."""
    network, recording = random_network(net_seed), random_recording(seed, kind="binary" if kind == "real" else kind)
    _, sent = play(network, recording, SAME[how])
    _, theirs = play_synchronously(network, recording)
    for population in network.populations()[:-1]:
        for step in range(len(recording)):
            ours = sent[population.name, step]
            assert same_spikes(ours, theirs.get((population.name, step), Spikes.none())), population.name


# --- monotone networks ------------------------------------------------------------------------------------------------


def without_inhibition(network):
    """Every weight and every bias of a network made nonnegative, in place."""
    for handler in network.handlers:
        if hasattr(handler, "blocks"):
            np.abs(handler.blocks.values, out=handler.blocks.values)
        if getattr(handler, "is_population", False):
            handler.bias = np.abs(handler.bias)
            handler._take_constants(handler._can_fire_alone())
    return network


@FEW
@given(SEEDS, SEEDS, ways(("depth", "fifo", "random", "momentum")))
def test_without_inhibition_every_schedule_sends_the_synchronous_set_of_spikes(net_seed, seed, how):
    """Where no weight or event is negative, none fires twice and what follows a spike is lost, order cannot matter.

    Let A be the synchronous set of spikes of a step and B that of any schedule; V at its beginning is the same.

    B is within A. Take the spike of B that crossed first of those not in A. At that moment X was the sum over some
    spikes of B before it, all in A, so X was at most the X of the synchronous mode: no weight, AND, OR, gate, maximum
    or mean of nonnegative terms shrinks when a spike is added. H grows with X, so the neuron is in A.

    A is within B, stage by stage. When the queue is empty every spike of A at earlier stages has been delivered, so X
    is at least the synchronous one, and each addition was followed by a test: the neuron has crossed. Potentials never
    fall before a spike, so nothing is withdrawn, and a positive bias that acts late acts all the same.

    A neuron that fired is reset, one that did not has the synchronous X: V at the end of the step is the same, and so
    on.
    """
    how = Asynchrony(**(how.as_dict() | {"refire": False, "after_spike": "drop"}))
    network = without_inhibition(random_network(net_seed))
    recording = random_recording(seed, kind="binary")
    result, sent = play(network, recording, how)
    _, theirs = play_synchronously(network, recording)
    assert_same_spikes(network, sent, theirs, len(recording))
    assert result.withdrawn == 0


# --- each spike once --------------------------------------------------------------------------------------------------


@FEW
@given(SEEDS, SEEDS, st.sampled_from(["binary", "integer"]), ways())
def test_every_spike_is_delivered_exactly_once_and_nobody_waits_at_the_end(net_seed, seed, kind, how):
    network, recording = network_for(net_seed, how), random_recording(seed, kind=kind)
    result, sent = play(network, recording, how)
    n_spikes = 0
    for step, entered in enumerate(recording):
        order = [result.order[INPUT][step]]
        for population in network.populations():
            spikes = sent[population.name, step]
            times = np.ones(len(spikes), int) if spikes.payload is None else spikes.payload
            assert how.refire or (times == 1).all()
            n_spikes += times.sum()
            order.append(result.order[population.name][step])
        n_spikes += len(entered)
        places = np.concatenate(order)
        assert np.unique(places).size == places.size
        if not how.refire:
            assert sorted(places) == list(range(places.size))
    assert result.deliveries == n_spikes
    assert result.undone is None
    assert result.ledger.total().events_out >= n_spikes - sum(map(len, recording))
    assert 0 <= result.decision.delivery <= result.deliveries


@FEW
@given(SEEDS, SEEDS, ways(("fifo", "random", "momentum", "depth")))
def test_additions_are_those_of_the_spikes_that_were_sent(net_seed, seed, how):
    """A projection's additions do not depend on the order: fan-out times the events that reached it."""
    network, recording = network_for(net_seed, how), random_recording(seed)
    result, sent = play(network, recording, how)
    conv = network.handlers[0]
    ones = simulate(network, recording).ledger.total(conv.name)
    assert result.ledger.total(conv.name).event_acs == ones.event_acs
    for handler, ports in zip(network.handlers, network.sources, strict=True):
        if not hasattr(handler, "blocks") or handler.window.kernel != 1:
            continue
        source = ports["spikes"]
        if not any(p.name == source for p in network.populations()):
            continue
        events = [sent[source, step] for step in range(len(recording))]
        n = sum(len(s) if s.payload is None else int(s.payload.sum()) for s in events)
        counts = result.ledger.total(handler.name)
        assert counts.event_acs == n * handler.n_out
        readers = [p for p in network.populations() if handler.name in p.wakers]
        assert counts.weight_reads == counts.event_acs
        assert not readers or sum(result.ledger.total(p.name).membrane_adds for p in readers) >= counts.event_acs


# --- the same again ---------------------------------------------------------------------------------------------------


@FEW
@given(SEEDS, SEEDS, ways())
def test_the_same_seed_gives_the_same_run_on_any_state_of_the_network(net_seed, seed, how):
    network, recording = network_for(net_seed, how), random_recording(seed)
    first, a = play(network, recording, how)
    simulate(network, random_recording(seed + 1))
    second, b = play(network, recording, how)
    third, c = play(twin(network), recording, how)
    for other, sent in ((second, b), (third, c)):
        assert_same_spikes(network, sent, a, len(recording))
        assert other.deliveries == first.deliveries
        assert list(other.ledger.rows()) == list(first.ledger.rows())
        np.testing.assert_array_equal(other.logits, first.logits)


def test_another_seed_gives_another_order():
    network, recording = whole_network(1), [random_spikes(np.random.default_rng(0), 72, 0.5)] * 2
    orders = [play(network, recording, Asynchrony("random", seed=seed))[0].order[INPUT][0].tolist() for seed in (1, 2)]
    assert orders[0] != orders[1]


# --- silence ----------------------------------------------------------------------------------------------------------


@FEW
@given(SEEDS, ways())
def test_silence_in_a_network_that_sleeps_moves_nothing(net_seed, how):
    network = whole_network(net_seed, sleepy=True)
    result, sent = play(network, [Spikes.none()] * 3, how)
    assert result.deliveries == 0
    assert not any(map(len, sent.values()))
    total = result.ledger.total()
    assert (total.event_acs, total.membrane_adds, total.updates, total.queue_ops) == (0, 0, 0, 0)


@FEW
@given(SEEDS, ways(("depth", "fifo", "random", "momentum")))
def test_in_silence_the_first_spikes_are_those_of_biases(net_seed, how):
    network = whole_network(net_seed)
    result, sent = play(network, [Spikes.none()], how)
    alone = {p.name: set(p.sleepless.tolist()) for p in network.populations()}
    for population in network.populations():
        spikes, order = sent[population.name, 0], result.order[population.name][0]
        if (order == 0).any():
            [address] = spikes.address[order == 0]
            assert address % population.bias.size in alone[population.name]


def test_a_neuron_that_fires_more_often_than_whole_sums_are_proved_for_is_refused():
    how = Asynchrony(commit="crossing", refire=True)
    recording = [random_spikes(np.random.default_rng(0), 72, 0.5, "integer")] * 2
    with pytest.raises(EvsimError, match=r"--refire: a neuron fired \d+ times within a step"):
        simulate_asynchronously(whole_network(0), recording, how)
