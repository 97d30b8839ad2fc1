"""int8 with a scale for each channel: small networks, in which every layer is told to be wide enough for bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.arithmetic.fixed_point import _Settling, fix
from evsim.arithmetic.whole import divided, gains_of, moved, rounded
from evsim.asynchronous.options import Asynchrony
from evsim.asynchronous.simulate import simulate_asynchronously
from evsim.engine import pipeline
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.neurons import LIF, PLIF
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.projections import conv, whole_weights
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout, RealLinear, TokenMean
from tests import naive_whole
from tests.contract import interpreted, needs_jit, random_spikes
from tests.nets import random_network, random_recording
from tests.small_families import FAMILIES, random_tensors, recording_for
from tests.test_asynchronous import assert_equals_twin, ways
from tests.test_fixed_point import _listed, in_steps, play


@pytest.fixture(autouse=True)
def every_layer_is_wide(monkeypatch):
    monkeypatch.setattr(whole_weights, "FEWEST_CHANNELS", 1)


def uneven(rng, weight):
    """Channels as BatchNorms leave them: of any size, some so small that they say nothing, some dead."""
    sizes = np.exp2(rng.uniform(-3, 2, len(weight)))
    odd = rng.random(len(weight))
    sizes[odd < 0.2] *= 1e-6
    sizes[odd < 0.1] = 0
    return weight * sizes.reshape(-1, *[1] * (weight.ndim - 1))


def both(family, seed):
    """The same network of uneven channels in float32 and in int8."""
    module, hp = FAMILIES[family]
    rng = np.random.default_rng(seed)
    tensors = random_tensors(rng, module.tensor_shapes(hp)[0])
    tensors = {n: np.float32(uneven(rng, t) if t.ndim > 1 and len(t) > 5 else t) for n, t in tensors.items()}
    return module.build(tensors, hp), fix(module.build(tensors, hp), "int8")


def small(seed, v_reset=0.0):
    """A network in which each kind of handler that knows scales by channel stands, and streams of several writers."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return uneven(rng, rng.normal(0, 2 / np.sqrt(np.prod(shape[1:])), shape))

    net = Network("by channel", (6, 6, 2), 3)
    x, pooled, u, mean, logits = Current(36, 8), Current(9, 8), Current(9, 8), Current(1, 8), Current(1, 3)
    told = {"v_reset": v_reset}
    first = Current(36, 8)
    net.add(Conv2d("stem", weight(8, 2, 3, 3), rng.normal(0, 0.3, 8), Window(6, 6, 3, 1, 1), first), INPUT)
    net.add(LIF("a", first, (6, 6, 8), "row,col,channel", **told), "stem")
    net.add(Conv2d("conv", weight(8, 8, 3, 3), rng.normal(0, 0.3, 8), Window(6, 6, 3, 1, 1), x), "a")
    net.add(CurrentMaxPool("pool", x, pooled, Window(6, 6, 3, 2, 1)))
    net.add(PLIF("b", pooled, (3, 3, 8), "row,col,channel", w=-0.3, **told))
    net.add(Conv2d("around", weight(8, 4, 3, 3), rng.normal(0, 0.3, 8), Window(3, 3, 3, 1, 1), pooled, groups=2), "b")
    net.add(LIF("c", pooled, (3, 3, 8), "row,col,channel", 0.7, **told))
    net.add(Linear("one", weight(8, 8), None, 9, u), "c")
    net.add(Linear("other", weight(8, 8) / 50, rng.normal(0, 0.3, 8), 9, u), "b")
    net.add(LIF("d", u, (9, 8), "token,channel", **told))
    net.add(Linear("last", weight(8, 8), None, 9, u), "d")
    net.add(TokenMean("mean", u, mean))
    net.add(RealLinear("head", rng.normal(size=(3, 8)), rng.normal(size=3), mean, logits))
    net.add(Readout("readout", logits))
    return net


def expect(real, fixed, recording):
    sent, _, logits = play(fixed, recording)
    expected, expected_logits = naive_whole.run(real, fixed, recording, 8)
    assert sent == {key: _listed(spikes) for key, spikes in expected.items() if len(spikes)}
    assert logits == expected_logits.tolist()
    return sent


@needs_jit
@pytest.mark.parametrize("kind", ["binary", "integer", "image"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_equals_the_slow_twin(family, kind):
    real, fixed = both(family, 5)
    sent = expect(real, fixed, recording_for(fixed, 6, kind))
    assert sum(map(len, sent.values())) > 100
    currents = {id(c): c for handler in fixed.handlers for c in fixed.currents_of(handler)}.values()
    assert any(current.gains is not None for current in currents)


@needs_jit
@given(st.integers(0, 2**20), st.sampled_from([0.0, -0.4, 0.3]), st.sampled_from(["binary", "integer", "real"]))
def test_streams_pools_means_and_classifiers_equal_the_slow_twin(seed, v_reset, kind):
    fixed = fix(small(seed, v_reset), "int8")
    assert [h.current.gains is None for h in fixed.handlers if hasattr(h, "blocks")] == [True] + 5 * [False]
    expect(small(seed, v_reset), fixed, random_recording(seed, kind=kind))


@given(st.integers(0, 2**20), st.sampled_from(["binary", "integer"]))
def test_the_kernels_without_the_compiler_give_the_same_bits(seed, kind):
    net, recording = fix(small(seed, -0.2), "int8"), random_recording(seed, n_steps=2, kind=kind)
    compiled = play(net, recording)
    with interpreted():
        assert play(net, recording) == compiled


@needs_jit
@pytest.mark.parametrize("seed", range(3))
def test_orders_threads_and_bands_change_no_bit(seed, monkeypatch):
    net, recording = fix(small(seed), "int8"), random_recording(seed, kind="integer")
    expected = play(net, recording)
    assert play(net, recording, order="stage") == expected
    monkeypatch.setattr(pipeline, "_FEWEST_NEURONS", 0)
    assert play(net, recording, threads=3) == expected
    monkeypatch.setattr(conv, "_WORTH_PLANES", 1)
    assert play(net, recording) == expected
    monkeypatch.setattr(conv, "_BAND_VALUES", 1)
    assert play(fix(small(seed), "int8"), recording) == expected
    monkeypatch.setattr(LIF.__globals__["Population"], "takes", lambda self, step: False)
    assert play(net, recording) == expected


# --- without barriers -------------------------------------------------------------------------------------------------


@needs_jit
@given(st.integers(0, 2**20), st.sampled_from([0.0, -0.4]), st.sampled_from(["layer", "depth"]))
def test_layer_and_depth_are_the_synchronous_mode(seed, v_reset, schedule):
    net, recording = fix(small(seed, v_reset), "int8"), random_recording(seed, kind="integer")
    expected = simulate(net, recording)
    result = simulate_asynchronously(net, recording, Asynchrony(schedule))
    np.testing.assert_array_equal(result.logits_by_step, expected.logits_by_step)


@needs_jit
@settings(max_examples=15)
@given(st.integers(0, 2**20), ways(), st.sampled_from([0.0, -0.4]))
def test_asynchronous_runs_equal_the_slow_twin(seed, how, v_reset):
    how = how if not how.refire else Asynchrony(**(how.as_dict() | {"refire": False}))
    assert_equals_twin(fix(small(seed, v_reset), "int8"), random_recording(seed, n_steps=2), how)


# --- scales -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**20))
def test_the_largest_weight_of_a_channel_all_but_fills_its_bits(seed):
    rng = np.random.default_rng(seed)
    net = fix(small(seed), "int8")
    layer = next(handler for handler in net.handlers if handler.name == "conv")
    largest = np.abs(layer.blocks.weight()).reshape(8, -1).max(axis=1)
    is_fine = layer.current.gains * 2.0**layer.current.exponent >= 2**10
    assert (is_fine | (largest >= 124)).all()
    weight = uneven(rng, rng.normal(size=(9, 4, 1, 1)))
    gains = gains_of(weight, 8)
    assert ((gains >= 1) & (gains < 2)).all()
    np.testing.assert_array_equal(gains * 64, np.round(gains * 64))


@needs_jit
@pytest.mark.parametrize("n_in", [9, 256, 600])
def test_the_worst_input_of_each_channel_is_exact(rng, n_in):
    """All inputs active that have a positive weight to one channel, or a negative one; of two writers at once."""
    current, net = Current(1, 40), Network("worst", (1, 1, 3), 1)
    x = Current(1, n_in)
    net.add(Linear("in", np.ones((n_in, 3)), None, 1, x), INPUT)
    net.add(LIF("spikes", x, (1, n_in), "token,channel"), "in")
    for name in ("first", "second"):
        net.add(Linear(name, uneven(rng, rng.normal(size=(40, n_in))), rng.normal(size=40), 1, current), "spikes")
    net.add(LIF("out", current, (1, 40), "token,channel", v_reset=-0.5))
    fix(net, "int8")
    writers = net.handlers[2:4]
    assert all(handler.blocks.values.dtype == np.int8 for handler in writers)
    weights = [in_steps(handler.weight, current)[:, :, 0, 0] for handler in writers]
    limit = 2**14 if current.dtype == np.int16 else 2**30
    for channel in range(40):
        for sign in (1, -1):
            expected = np.zeros(40, np.int64)
            for handler, weight in zip(writers, weights, strict=True):
                active = np.flatnonzero(sign * weight[channel] > 0)
                handler.handle(0, {"spikes": Spikes(active.astype(np.int32))})
                expected += weight[:, active].sum(axis=1)
            np.testing.assert_array_equal(current.rows(0).value[0], expected)
            assert abs(expected[channel]) < limit
            current.reset()


def test_a_current_that_somebody_reads_as_one_has_one_scale():
    """The mean's own current goes to a handler that knows no channels: then neither the mean's source has them."""
    net = small(3)
    settling = _Settling(net, 8)
    by_name = {handler.name: handler for handler in net.handlers}
    assert id(by_name["mean"].source) not in settling.uniform
    assert id(by_name["head"].target) in settling.uniform
    type_of_head = type(by_name["head"])
    by_name["head"].by_channel = lambda fixing: ()
    assert type_of_head.by_channel is not by_name["head"].by_channel
    settling = _Settling(net, 8)
    assert {id(by_name["mean"].source), id(by_name["mean"].target)} <= settling.uniform
    assert id(by_name["pool"].source) not in settling.uniform


def test_int16_has_one_scale_for_all_channels():
    net = fix(small(3), "int16")
    assert all(np.ndim(c.exponent) == 0 and c.gains is None for h in net.handlers for c in net.currents_of(h))


def test_a_dead_channel_is_silent_and_its_bias_is_kept():
    net, current = Network("dead", (1, 1, 2), 1), Current(1, 3)
    x = Current(1, 4)
    net.add(Linear("in", np.ones((4, 2)), None, 1, x), INPUT)
    net.add(LIF("spikes", x, (1, 4), "token,channel"), "in")
    weight = np.array([[1.0] * 4, [0.0] * 4, [1e-9] * 4])
    net.add(Linear("linear", weight, np.array([0.0, 1.5, 0.9]), 1, current), "spikes")
    net.add(LIF("out", current, (1, 3), "token,channel"))
    fix(net, "int8")
    out = net.handlers[3]
    assert out.sleepless.tolist() == [1]
    assert (out.thresholds > 0).all()
    np.testing.assert_allclose(out.bias * out.steps, [0.0, 1.5, 0.9], atol=2.0**-9)


@given(st.lists(st.tuples(st.integers(-(2**30), 2**30), st.integers(-10, 10)), min_size=1, max_size=9))
def test_numbers_by_channel_are_moved_and_divided_as_one_is(pairs):
    values, by = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    np.testing.assert_array_equal(moved(values, by), [moved(v, int(b)) for v, b in pairs])
    np.testing.assert_array_equal(divided(values, 7, by), [divided(np.int64(v), 7, int(b)) for v, b in pairs])
    real = values / 1000
    np.testing.assert_array_equal(rounded(real, by), [rounded(r, int(b)) for r, b in zip(real, by, strict=True)])


@needs_jit
@pytest.mark.parametrize("kind", ["binary", "integer"])
def test_many_channels_and_wide_panels_equal_the_slow_twin(kind, monkeypatch):
    """As a user has it: layers of 48 and 200 channels in bytes, one of 20 in words, in one network."""
    monkeypatch.undo()
    rng = np.random.default_rng(4)

    def build():
        net = Network("wide", (4, 4, 2), 2)
        draw, spikes, n_in = np.random.default_rng(7), INPUT, 2
        for n_out in (40, 48, 20, 200):
            current = Current(16, n_out)
            weight = uneven(draw, draw.normal(0, 2 / np.sqrt(n_in), (n_out, n_in, 3, 3)))
            net.add(Conv2d(f"conv{n_out}", weight, draw.normal(0, 0.3, n_out), Window(4, 4, 3, 1, 1), current), spikes)
            spikes, n_in = net.add(LIF(f"lif{n_out}", current, (4, 4, n_out), "row,col,channel")), n_out
        logits = Current(1, 3)
        net.add(Linear("head", draw.normal(size=(3, 16 * 200)), None, 1, logits), spikes)
        net.add(Readout("readout", logits))
        return net

    fixed = fix(build(), "int8")
    kinds = [handler.blocks.values.dtype.name for handler in fixed.handlers if hasattr(handler, "blocks")]
    assert kinds == ["int16", "int8", "int16", "int8", "int16"]
    expect(build(), fixed, [random_spikes(rng, 32, 0.4, kind) for _ in range(3)])


def test_random_networks_still_run(monkeypatch):
    """Attention, splits and gates beside currents with scales by channel."""
    for seed in range(12):
        real, fixed = (random_network(seed, kinds=("LIF", "PLIF")) for _ in range(2))
        expect(real, fix(fixed, "int8"), random_recording(seed, n_steps=2))


def test_a_fixed_layer_tells_the_weights_that_it_adds():
    net = fix(small(2), "int8")
    for ours, theirs in zip(small(2).handlers, net.handlers, strict=True):
        if hasattr(theirs, "blocks"):
            steps = 1 if theirs.current.gains is None else 1 / theirs.current.gains
            error = np.abs(ours.weight - theirs.weight).reshape(theirs.n_out, -1).max(axis=1)
            coarsest = steps * 2.0 ** -np.minimum(theirs._exponent, theirs.current.exponent)
            assert (error <= 0.5001 * coarsest).all()


def one_layer(sizes, bias=None, v_reset=0.0):
    net, x, current = Network("one", (1, 1, 2), 1), Current(1, 4), Current(1, 6)
    net.add(Linear("in", np.ones((4, 2)), None, 1, x), INPUT)
    net.add(LIF("spikes", x, (1, 4), "token,channel"), "in")
    weight = np.random.default_rng(1).normal(size=(6, 4)) * np.reshape(sizes, (-1, 1))
    net.add(Linear("linear", weight, bias, 1, current), "spikes")
    net.add(LIF("out", current, (1, 6), "token,channel", v_reset=v_reset))
    return net


def test_a_reset_far_away_leaves_the_weights_their_bits():
    layer = fix(one_layer(1.0, v_reset=-1e5), "int8").handlers[2]
    assert layer.current.dtype == np.int32
    assert (np.abs(layer.blocks.weight()).reshape(6, -1).max(axis=1) >= 124).all()


@pytest.mark.parametrize("sizes", [1e12, [1, 1, 1, 1e-9, 1, 1e12]])
def test_a_channel_that_no_scale_holds_is_refused_with_what_it_reaches(sizes):
    with pytest.raises(NetworkError, match=r"^linear: sums reach \d\.\d+e\+12, at no scale below 2\^30$"):
        fix(one_layer(sizes), "int8")


@pytest.mark.parametrize("sizes", [0.0, 1e-30, [1e4, 1, 1e-4, 1e-8, 1e-12, 0]])
def test_channels_of_very_different_sizes_keep_what_a_neuron_can_tell(sizes):
    real, net = one_layer(sizes), fix(one_layer(sizes), "int8")
    ours, theirs = real.handlers[2].weight, net.handlers[2].weight
    largest = np.abs(ours).reshape(6, -1).max(axis=1)[:, None, None, None]
    assert (np.abs(ours - theirs) <= np.maximum(largest / 240, 2.0**-12)).all()


def test_a_threshold_below_half_a_step_does_not_fire_at_rest():
    net = fix(one_layer([1e4, 1, 1, 1, 1, 1]), "int8")
    out = net.handlers[3]
    assert out.thresholds[0] == 1
    out.is_eager = False
    net.handlers[2].handle(0, {"spikes": Spikes(np.array([0], np.int32))})
    out.current.rows(0).value[0, 0] = 0
    assert 0 not in out.handle(0, {})[0].address
