"""Fixed point: the same bits whatever the order, the bits of the slow twin, no overflow, and one line for a refusal."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evsim.arithmetic import lanes, whole_lanes
from evsim.arithmetic.fixed_point import fix
from evsim.engine import pipeline
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.engine.twin import twin
from evsim.handlers.neurons import LIF, PLIF
from evsim.handlers.projections import conv
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.gather import Planes, gather_tiles
from evsim.handlers.projections.linear import Linear
from tests import naive_whole, twins
from tests.contract import JIT, dyadic, interpreted, needs_jit, random_spikes
from tests.nets import random_network, random_recording
from tests.small_families import FAMILIES, random_tensors, recording_for

PRECISIONS = st.sampled_from(["int16", "int8"])
BITS = {"int16": 16, "int8": 8}


def both(family, seed, precision):
    """The same random network in float32 and in fixed point."""
    module, hp = FAMILIES[family]
    tensors = random_tensors(np.random.default_rng(seed), module.tensor_shapes(hp)[0])
    return module.build(tensors, hp), fix(module.build(tensors, hp), precision)


def play(net, recording, **options):
    """Spikes, counts and logits, to be compared bit for bit."""
    recorder = twins.Recorder()
    result = simulate(net, recording, [recorder], **options)
    sent = {key: _listed(spikes) for key, spikes in recorder.sent.items() if len(spikes)}
    return sent, {(name, step): c for name, step, c in result.ledger.rows()}, result.logits_by_step.tolist()


def _listed(spikes):
    values = np.ones(len(spikes)) if spikes.payload is None else spikes.payload
    return list(zip(spikes.address.tolist(), values.tolist(), strict=True))


# --- the slow twin ----------------------------------------------------------------------------------------------------


@needs_jit
@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize("kind", ["binary", "integer", "image"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_equals_the_slow_twin(family, kind, precision):
    real, fixed = both(family, 5, precision)
    recording = recording_for(fixed, 6, kind)
    sent, _, logits = play(fixed, recording)
    expected, expected_logits = naive_whole.run(real, fixed, recording, BITS[precision])
    assert sent == {key: _listed(spikes) for key, spikes in expected.items() if len(spikes)}
    assert logits == expected_logits.tolist()
    fired = [p.name for p in fixed.populations() if any((p.name, step) in sent for step in range(3))]
    assert len(fired) > len(fixed.populations()) / 2, "the example is too quiet to mean anything"


@needs_jit
@given(st.integers(0, 2**20), PRECISIONS, st.sampled_from(["binary", "integer", "real"]))
def test_random_networks_equal_the_slow_twin(seed, precision, kind):
    real, fixed = (random_network(seed, kinds=("LIF", "PLIF")) for _ in range(2))
    fix(fixed, precision)
    recording = random_recording(seed, kind=kind)
    sent, _, logits = play(fixed, recording)
    expected, expected_logits = naive_whole.run(real, fixed, recording, BITS[precision])
    assert sent == {key: _listed(spikes) for key, spikes in expected.items() if len(spikes)}
    assert logits == expected_logits.tolist()


@given(st.integers(0, 2**20), st.sampled_from(["binary", "integer"]))
def test_weights_that_need_no_rounding_give_the_spikes_and_counts_of_float32(seed, kind):
    """Dyadic weights and biases, LIF, few steps: float32 and int16 both compute without a rounding."""
    real, fixed = (random_network(seed, kinds=("LIF",)) for _ in range(2))
    fix(fixed, "int16")
    # A bias of exactly the threshold takes a float there in the end, by rounding; a whole number stops one short.
    assume(
        all(
            np.array_equal(a.sleepless, b.sleepless)
            for a, b in zip(real.populations(), fixed.populations(), strict=True)
        )
    )
    recording = random_recording(seed, n_steps=3, kind=kind)
    (sent, counts, logits), (other, other_counts, other_logits) = (play(net, recording) for net in (real, fixed))
    assert sent == other
    assert counts == other_counts
    np.testing.assert_allclose(logits, other_logits, atol=1e-3)


@given(st.integers(0, 2**20), PRECISIONS)
def test_the_kernels_without_the_compiler_give_the_same_bits(seed, precision):
    net, recording = fix(random_network(seed, kinds=("LIF", "PLIF")), precision), random_recording(seed, n_steps=2)
    compiled = play(net, recording)
    with interpreted():
        assert play(net, recording) == compiled


# --- no order matters -------------------------------------------------------------------------------------------------


@needs_jit
@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_orders_threads_bands_and_twins_change_no_bit(family, precision, monkeypatch):
    _, net = both(family, 8, precision)
    recording = recording_for(net, 9, "integer")
    expected = play(net, recording)
    assert play(net, recording, order="stage") == expected
    assert play(twin(net), recording) == expected
    monkeypatch.setattr(pipeline, "_FEWEST_NEURONS", 0)
    assert play(net, recording, threads=3) == expected
    monkeypatch.setattr(conv, "_BAND_VALUES", 1)
    assert play(both(family, 8, precision)[1], recording) == expected
    monkeypatch.setattr(LIF.__globals__["Population"], "takes", lambda self, step: False)
    assert play(net, recording) == expected


@needs_jit
@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize("kind", ["integer", "image"])
@pytest.mark.parametrize("family", FAMILIES)
def test_payloads_added_by_their_bits_change_neither_bits_nor_counts(family, kind, precision, monkeypatch):
    _, net = both(family, 8, precision)
    recording = recording_for(net, 9, kind)
    if kind == "integer":
        recording = [Spikes(spikes.address, np.abs(spikes.payload)) for spikes in recording]
    monkeypatch.setattr(conv, "_WORTH_PLANES", 10**9)
    expected = play(net, recording)
    monkeypatch.setattr(conv, "_WORTH_PLANES", 1)
    assert play(net, recording) == expected


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 4))
def test_planes_hold_each_bit_of_a_payload_once(payload, n_cells):
    address = np.arange(0, 2 * len(payload), 2, dtype=np.int32)
    cell_size = max(1, -(-2 * len(payload) // n_cells))
    planes = Planes.of(address, np.array(payload, np.int32), n_cells, cell_size)
    total = dict.fromkeys(address.tolist(), 0)
    for bit, start in enumerate(planes.start):
        for cell in range(n_cells):
            for where in planes.address[start[cell] : start[cell + 1]].tolist():
                assert where // cell_size == cell
                total[where] += 2**bit
    assert list(total.values()) == payload


def layer(rng, n_out, n_in, kernel=3, side=4, precision="int16", groups=1):
    """A convolution in fixed point on its own, behind spikes so that its payload is 1."""
    net, before = Network("layer", (side, side, n_in), 1), Current(side * side, n_in)
    net.add(Conv2d("first", rng.normal(size=(n_in, n_in, 1, 1)), None, Window(side, side), before), INPUT)
    spikes = net.add(LIF("lif", before, (side, side, n_in), "row,col,channel"))
    current = Current(side * side, n_out)
    weight = rng.normal(size=(n_out, n_in // groups, kernel, kernel))
    window = Window(side, side, kernel, padding=kernel // 2)
    net.add(Conv2d("conv", weight, None, window, current, groups), spikes)
    net.add(LIF("out", current, (side, side, n_out), "row,col,channel"))
    fix(net, precision)
    return net.handlers[2]


@given(
    st.integers(0, 2**20), PRECISIONS, st.sampled_from([1, 5, 16, 40, 64, 128, 200]), st.sampled_from([4, 24]),
    st.booleans(),
)  # fmt: skip
def test_the_order_of_events_changes_no_bit(seed, precision, n_out, n_in, is_graded):
    rng = np.random.default_rng(seed)
    conv2d = layer(rng, n_out, n_in, precision=precision)
    spikes = random_spikes(rng, 16 * n_in, 0.5)
    payload = rng.integers(1, 4, len(spikes) if is_graded else 0).astype(np.int32)
    gathering = conv2d._gathering(spikes.address, payload, conv2d.blocks)
    blocks = conv2d.blocks.cut(len(spikes) / 16)
    shuffled, graded = gathering.address.copy(), payload.copy()
    for cell in range(gathering.start.size - 1):
        events = np.arange(gathering.start[cell], gathering.start[cell + 1])
        moved = rng.permutation(events)
        shuffled[events] = gathering.address[moved]
        if is_graded:
            graded[events] = payload[moved]
    first, second = (conv2d.current.new_rows(16) for _ in range(2))
    assert blocks.values is conv2d.blocks.values
    counts = gather_tiles(gathering, conv2d._all_tiles, first.value, first.touched)
    same = gather_tiles(
        gathering._replace(address=shuffled, payload=graded), conv2d._all_tiles, second.value, second.touched
    )
    np.testing.assert_array_equal(first.value, second.value)
    assert counts == same


# --- nothing overflows ------------------------------------------------------------------------------------------------


def in_steps(weight, current):
    """Weights [c_out, ...] in steps of the current that they are added to."""
    return np.round(naive_whole.gained(weight.T, current) * 2.0**current.exponent).T.astype(np.int64)


@needs_jit
@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize(("n_out", "n_in", "kernel"), [(64, 256, 1), (128, 64, 3), (16, 300, 3), (5, 512, 1)])
def test_the_worst_input_stays_in_range_and_is_exact(rng, precision, n_out, n_in, kernel):
    """All inputs that have a positive weight to one output active, and all that have a negative one."""
    conv2d = layer(rng, n_out, n_in, kernel, side=3, precision=precision)
    weight = in_steps(conv2d.weight, conv2d.current)
    assert abs(conv2d.blocks.weight()).max() < 2 ** (BITS[precision] - 1 if n_out >= 32 else 15)
    limit = 2**14 if conv2d.current.dtype == np.int16 else 2**30
    pad = kernel // 2
    for output in range(0, n_out, max(1, n_out // 5)):
        for sign in (1, -1):
            active = np.zeros((3, 3, n_in), bool)
            active[1 - pad : 2 + pad, 1 - pad : 2 + pad] = (sign * weight[output] > 0).transpose(1, 2, 0)
            spikes = Spikes(np.flatnonzero(active).astype(np.int32))
            rows = conv2d.current.new_rows(9)
            gather_tiles(
                conv2d._gathering(spikes.address, np.empty(0, np.int32), conv2d.blocks),
                conv2d._all_tiles, rows.value, rows.touched,
            )  # fmt: skip
            expected = sign * np.maximum(sign * weight[output], 0).sum()
            assert rows.value[4, output] == expected
            assert abs(expected) < limit


@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_one_block_of_weights_of_one_sign_fits_a_register(rng, precision):
    current, weight = Current(4, 64), np.abs(rng.normal(1, 0.1, (64, 256)))
    net = Network("block", (2, 2, 256), 1)
    net.add(Linear("linear", weight, None, 4, current), INPUT)
    net.add(LIF("lif", current, (4, 64), "token,channel"))
    fix(net, precision)
    linear, net.handlers[1].is_eager = net.handlers[0], False
    assert linear.blocks.largest_sum(linear.blocks.weight().astype(np.int64)) < 2**15
    linear.handle(0, {"spikes": Spikes(np.arange(1024, dtype=np.int32))})
    expected = in_steps(linear.weight, current)[:, :, 0, 0].sum(axis=1)
    np.testing.assert_array_equal(current.rows(0).value, np.tile(expected, (4, 1)))


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@given(seed=st.integers(0, 2**20), rate=st.sampled_from([(1, 1), (1, 0), (1, 3), (20000, 15), (32768, 15), (1, 15)]))
def test_neurons_by_vector_and_by_number_agree(dtype, seed, rate):
    """At the ends of the range that the proof allows, too."""
    rng, n, top = np.random.default_rng(seed), 77, 2**13 if dtype == np.int16 else 2**29
    value, bias, v = (rng.choice([-top, -1, 0, 1, top, 5], n).astype(dtype) for _ in range(3))
    bias, v = bias // 4, np.minimum(v, 99)
    value = value // 2
    threshold = rng.choice([100, 103, 1, top - 1], n).astype(dtype)
    fired, expected = np.full(n + lanes.LANES, -1, np.int32), []
    h = [int(v[j]) + ((int(value[j]) + int(bias[j]) - int(v[j])) * rate[0] >> rate[1]) for j in range(n)]
    expected = [5 + j for j in range(n) if h[j] >= threshold[j]]
    fire = _fire if JIT else whole_lanes.fire
    n_fired = fire(value, bias, threshold, v, (0, 0, *rate), True, 0, n, 5, fired, 0)
    assert fired[:n_fired].tolist() == expected
    assert v.tolist() == [0 if x >= threshold[j] else x for j, x in enumerate(h)]
    assert not value.any()


def _fire(*args):
    return whole_lanes._fire_whole(*args)


# --- silence, sleeping ------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**20), PRECISIONS)
def test_silence_costs_nothing(seed, precision):
    net = fix(random_network(seed, sleepy=True, kinds=("LIF", "PLIF")), precision)
    result = simulate(net, [Spikes.none()] * 4)
    assert result.ledger.total() == OpCounts()


@given(
    st.sampled_from(["LIF", "PLIF"]), st.floats(-1, 3, width=32), st.floats(-2, 0.5, width=32), st.floats(-3, 3)
)  # fmt: skip
def test_a_neuron_wakes_itself_if_and_only_if_it_would_fire_in_silence(kind, bias, v_reset, w):
    current = Current(1, 1)
    net = Network("alone", (1, 1, 1), 1)
    net.add(Linear("linear", np.ones((1, 1)), np.array([bias]), 1, current), INPUT)
    args = ("lif", current, (1, 1), "token,channel")
    net.add(LIF(*args, v_reset=v_reset) if kind == "LIF" else PLIF(*args, w=w, v_reset=v_reset))
    fix(net, "int8")
    neurons = net.handlers[1]
    threshold, (_, _, m, r) = int(neurons.thresholds[0]), neurons._constants
    v, has_fired = 0, False
    for _ in range(3000):
        h = v + ((int(neurons.bias[0]) - v) * m >> r)
        has_fired |= h >= threshold
        v = 0 if h >= threshold else h
    assert neurons.wakes_itself == has_fired


def test_the_weights_of_a_fixed_layer_are_those_it_adds():
    rng = np.random.default_rng(0)
    weight = dyadic(rng, 4, 2, 3, 3)
    net, current = Network("weights", (4, 4, 2), 1), Current(16, 4)
    net.add(Conv2d("conv", weight, None, Window(4, 4, 3, padding=1), current), INPUT)
    net.add(LIF("lif", current, (4, 4, 4), "row,col,channel"))
    fix(net, "int16")
    np.testing.assert_array_equal(net.handlers[0].weight, weight)
