"""Real currents between neurons: affine maps and copies, convolutions, dense operations, a readout that mixes steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.engine.twin import twin
from evsim.errors import NetworkError
from evsim.handlers.average_pool import CurrentAveragePool
from evsim.handlers.dense_node import DenseNode
from evsim.handlers.elementwise.affine import Affine, Copy
from evsim.handlers.elementwise.axis_sum import Identity
from evsim.handlers.neuron_forms.forms import Leaky
from evsim.handlers.neuron_forms.population import population
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.projections.fixed_map import Links
from evsim.handlers.projections.real_conv import RealConv
from evsim.handlers.projections.real_map import RealMap
from evsim.handlers.readout import TokenMean
from evsim.handlers.readout_program import ReadoutProgram
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.window import Window
from tests import naive, twins
from tests.contract import check_handler, dyadic, random_spikes


def current(n_places, n_channels, bias=None):
    made = Current(n_places, n_channels)
    made.join_writer("writer", bias)
    return made


def contents(rng, n_places, n_channels, numbers=(2, 0, 1, None, 3)):
    """What earlier writers left at each step, at so many places."""
    for n_touched in numbers:
        touched = np.arange(n_places) < (n_touched or 0)
        value = dyadic(rng, n_places, n_channels) * touched[:, None]
        yield None if n_touched is None else {"current": (value, touched)}


# --- constant parts --------------------------------------------------------------------------------------------------


def test_a_bias_by_place_is_kept_by_place():
    x = current(3, 2, np.array([1.0, 2.0]))
    x.add_bias(np.arange(6.0).reshape(3, 2))
    assert x.join_reader("neurons", by_place=True)[0].tolist() == [[1, 3], [3, 5], [5, 7]]


def test_of_one_place_it_is_a_bias_by_channel():
    x = current(1, 2, np.array([[1.0, 2.0]]))
    assert x.join_reader("neurons")[0].tolist() == [1, 2]


def test_a_bias_of_another_shape_is_refused():
    for shape in [(3,), (2, 3), (1, 3, 2), ()]:
        with pytest.raises(NetworkError, match=r"a bias of shape .* for a current of \(2,\) or \(3, 2\)"):
            Current(3, 2).add_bias(np.zeros(shape))


def test_who_cannot_do_with_a_bias_by_place_refuses_it():
    x = current(4, 2, np.zeros((4, 2)))
    with pytest.raises(
        NetworkError, match="pool: its current has a bias for each place, expected one for each channel"
    ):
        CurrentMaxPool("pool", x, Current(1, 2), Window(2, 2, 2))


def test_a_mean_over_tokens_averages_a_bias_by_place():
    mean = Current(1, 2)
    TokenMean("mean", current(3, 2, np.arange(6.0).reshape(3, 2)), mean)
    assert mean.bias.tolist() == [2, 3]


# --- affine -----------------------------------------------------------------------------------------------------------

VIEWS = {
    "as it is": None,
    "transposed": AddressMap.of_view(lambda a: a.T, (2, 3)).then(AddressMap.identity(6)),
    "upsampled": AddressMap.of_view(lambda a: a.repeat(2, axis=0), (3, 2)),
    "padded": AddressMap.of_view(lambda a: np.pad(a, ((1, 1), (0, 0)), constant_values=-1), (3, 2)),
    "sliced": AddressMap.of_view(lambda a: a[1:], (3, 2)),
}
PLACES = {"as it is": 3, "transposed": 3, "upsampled": 6, "padded": 5, "sliced": 2}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scale", [None, "number", "channel", "place"])
@pytest.mark.parametrize("is_second", [False, True])
def test_affine_obeys_the_contract(view, scale, is_second):
    rng = np.random.default_rng(2)
    n = PLACES[view]
    scale = {None: None, "number": 0.5, "channel": dyadic(rng, 2), "place": dyadic(rng, n, 2)}[scale]

    def make():
        target = current(n, 2) if is_second else Current(n, 2)
        source = current(3, 2, np.array([0.5, -1.0]))
        return Affine("affine", source, target, scale, shift=0.25, map=VIEWS[view])

    check_handler(make, list(contents(rng, 3, 2)))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("by_place", [False, True])
def test_the_constant_part_goes_through_the_view_and_is_scaled(rng, view, by_place):
    n, map = PLACES[view], VIEWS[view] or AddressMap.identity(6)
    bias = dyadic(rng, 3, 2) if by_place else dyadic(rng, 2)
    scale, shift, target = dyadic(rng, n, 2), dyadic(rng, 2), Current(n, 2)
    Affine("affine", current(3, 2, bias), target, scale, shift, VIEWS[view])
    everywhere = np.append(np.broadcast_to(bias, (3, 2)), 0)[map.source_of].reshape(n, 2)
    np.testing.assert_array_equal(np.broadcast_to(target.bias, (n, 2)), everywhere * scale + shift)


def test_a_copy_of_equal_channels_keeps_a_bias_by_channel():
    target = Current(3, 2)
    Copy("copy", current(3, 2, np.array([1.0, 2.0])), target)
    assert target.bias.tolist() == [1, 2]


def test_counts_of_a_copy_and_of_a_scale_by_hand():
    for make, expected in [
        (lambda s, t: Copy("x", s, t), OpCounts(state_reads=4, state_writes=4)),
        (lambda s, t: Affine("x", s, t, 2.0), OpCounts(scalings=4, state_reads=4, state_writes=4)),
    ]:
        source, target = current(3, 2), Current(3, 2)
        handler = make(source, target)
        rows = source.rows(0)
        rows.value[:2], rows.touched[:2] = 1, 1
        assert handler.handle(0, {})[1] == expected
    target.join_writer("earlier")
    second = Copy("second", current(3, 2), current(3, 2))
    rows = second.source.rows(0)
    rows.value[:2], rows.touched[:2] = 1, 1
    assert second.handle(0, {})[1] == OpCounts(residual_adds=4, state_reads=8, state_writes=4)


def test_two_consumers_of_one_current_see_it_before_and_after_a_shortcut():
    x, kept = current(2, 2), Current(2, 2)
    copy = Copy("copy", x, kept)
    early = population("early", x, (2, 2), "token,channel", Leaky(tau=2.0))
    assert (copy.wakers, early.wakers) == (("writer",), ("writer",))
    rows = x.rows(0)
    rows.value[:], rows.touched[:] = 3, 1
    copy.handle(0, {})
    spikes, _ = early.handle(0, {})
    assert len(spikes) == 4
    assert not x.rows(0).touched.any()
    assert kept.rows(0).value.tolist() == [[3, 3], [3, 3]]


def test_affine_of_the_wrong_size_is_refused():
    with pytest.raises(NetworkError, match=r"affine: a map of \(6, 6\) between currents of \(4, 6\) values"):
        Affine("affine", current(2, 2), Current(3, 2))
    with pytest.raises(NetworkError, match=r"affine: values of shape \(3,\) for a current of \(1, 2\)"):
        Affine("affine", current(3, 2), Current(3, 2), scale=np.ones(3))


# --- convolutions of real currents -----------------------------------------------------------------------------------

WINDOWS = [Window(4, 5, 3, 1, 1), Window(5, 5, 3, 2), Window(1, 6), Window(6, 4, (3, 1), 1, (2, 0), (2, 1))]


def real_conv(window, weight, bias, source_bias, groups=1):
    source = current(window.height * window.width, weight.shape[1] * groups, source_bias)
    return RealConv(
        "conv", weight, bias, window, source, Current(window.out_height * window.out_width, len(weight)), groups
    )


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_real_conv_obeys_the_contract(window, groups):
    rng = np.random.default_rng(4)
    weight, n = dyadic(rng, 4, 3, *window.kernels), window.height * window.width
    check_handler(
        lambda: real_conv(window, weight, np.ones(4), np.ones(3 * groups), groups),
        list(contents(rng, n, 3 * groups, (2, 0, n, None, 1))),
    )


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("by_place", [False, True])
def test_the_constant_part_goes_through_the_layer_once(rng, window, groups, by_place):
    n, n_in = window.height * window.width, 3 * groups
    weight, bias = dyadic(rng, 4, 3, *window.kernels), dyadic(rng, 4)
    source_bias = dyadic(rng, *(n, n_in) if by_place else (n_in,))
    layer = real_conv(window, weight, bias, source_bias, groups)
    x = np.broadcast_to(source_bias, (n, n_in)).reshape(window.height, window.width, n_in)
    expected = naive.conv2d(x, weight, window.stride, window.padding, groups, window.dilation) + bias
    found = np.broadcast_to(layer.current.bias, (layer.current.n_places, 4)).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert layer.has_bias


def test_without_a_border_the_constant_part_stays_one_by_channel(rng):
    layer = real_conv(Window(5, 5, 3), dyadic(rng, 4, 3, 3, 3), None, np.ones(3))
    assert layer.current.bias.shape == (4,)
    assert layer.geometry.is_linear is False
    linear = RealConv("fc", dyadic(rng, 4, 3), None, Window(1, 6), current(6, 3), Current(6, 4))
    assert linear.geometry.is_linear


def test_a_nonzero_value_costs_one_mac_for_each_weight_it_meets():
    layer = real_conv(Window(3, 3, 3, 1, 1), np.ones((4, 1, 3, 3)), None, np.zeros(1))
    rows = layer.source.rows(0)
    rows.value[0], rows.touched[0] = 0.5, 1  # a corner meets four output pixels
    rows.touched[4] = 1  # touched, and came to zero
    counts = layer.handle(0, {})[1]
    assert counts == OpCounts(macs=16, weight_reads=16, state_reads=16, state_writes=16)


# --- means and fixed maps of real currents ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "window", [Window(4, 6, 2, 2), Window(5, 4, 3, 1, 1), Window(7, 5, (3, 2), 2, ceil=True)], ids=str
)
@pytest.mark.parametrize("count_padding", [False, True])
def test_current_average_pool_obeys_the_contract(window, count_padding):
    rng = np.random.default_rng(6)
    n = window.height * window.width

    def make():
        target = Current(window.out_height * window.out_width, 3)
        return CurrentAveragePool("pool", window, current(n, 3, np.ones(3)), target, count_padding)

    check_handler(make, list(contents(rng, n, 3, (2, 0, n, None, 1))))


def test_a_mean_passes_a_bias_and_padding_thins_it():
    whole, padded = Current(4, 1), Current(4, 1)
    CurrentAveragePool("pool", Window(4, 4, 2, 2), current(16, 1, np.array([3.0])), whole)
    CurrentAveragePool("pool", Window(2, 2, 2, 2, 1), current(4, 1, np.array([3.0])), padded)
    assert whole.bias.tolist() == [3]
    assert padded.bias.tolist() == [0.75]


@pytest.mark.parametrize("weights", ["one size", "several"])
def test_a_map_between_single_values_obeys_the_contract(weights):
    """A mean over the channels of each token: [3, 4] -> [3, 1]; and a mixture of them."""
    rng = np.random.default_rng(8)
    source, target = np.arange(12), np.arange(12) // 4
    weight = np.full(12, 0.25) if weights == "one size" else dyadic(rng, 12)
    links = Links.of(source, target, weight, 12, 3)
    check_handler(
        lambda: RealMap("mean", links, 1, current(3, 4, np.arange(4.0)), Current(3, 1)), list(contents(rng, 3, 4))
    )


def test_a_mean_costs_an_add_a_value_and_a_scaling_a_sum():
    pool = CurrentAveragePool("pool", Window(2, 4, 2, 2), current(8, 1), Current(2, 1))
    rows = pool.source.rows(0)
    rows.value[:3], rows.touched[:3] = 1, 1  # two places of the first window, one of the second
    counts = pool.handle(0, {})[1]
    assert pool.target.rows(0).value.tolist() == [[0.5], [0.25]]
    assert counts == OpCounts(residual_adds=3, scalings=2, state_reads=5, state_writes=2)


def test_adaptive_means_of_currents_are_those_of_torch(rng):
    functional = pytest.importorskip("torch").nn.functional
    torch = pytest.importorskip("torch")
    x = dyadic(rng, 35, 2)
    pool = CurrentAveragePool.adaptive("pool", (7, 5), (3, 2), current(35, 2), Current(6, 2))
    rows = pool.source.rows(0)
    rows.value[:], rows.touched[:] = x, 1
    pool.handle(0, {})
    expected = functional.adaptive_avg_pool2d(torch.tensor(x.reshape(7, 5, 2).transpose(2, 0, 1))[None], (3, 2))
    found = pool.target.rows(0).value.reshape(3, 2, 2)
    np.testing.assert_allclose(found, expected[0].numpy().transpose(1, 2, 0), rtol=1e-6)


def test_maps_of_the_wrong_size_are_refused():
    with pytest.raises(NetworkError, match=r"pool: maps between currents of \(16, 3\) values, expected \(16, 4\)"):
        CurrentAveragePool("pool", Window(4, 4, 2, 2), current(16, 1), Current(3, 1))
    with pytest.raises(NetworkError, match=r"pool: means of \(0, 4\) places"):
        CurrentAveragePool.adaptive("pool", (0, 4), (1, 1), current(4, 1), Current(1, 1))


# --- dense operations ------------------------------------------------------------------------------------------------


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_dense_node_obeys_the_contract(rng):
    def make():
        sources = [("spikes", (3, 2)), (current(3, 2, np.ones((3, 2))), (3, 2))]
        return DenseNode("gate", lambda a, b: softmax(a) * b, sources, current(3, 2), dense_macs=7, comparisons=3)

    inboxes = [{"spikes": random_spikes(rng, 6, 0.5, "integer"), **(inbox or {})} for inbox in contents(rng, 3, 2)]
    check_handler(make, inboxes)
    assert make().handle(0, {})[1] == OpCounts(dense_macs=7, comparisons=3, state_reads=12, state_writes=6)


def test_dense_node_that_sends_whole_numbers_obeys_the_contract(rng):
    def make():
        return DenseNode("sort", lambda a: np.sort(a), [("spikes", (2, 3))], 6)

    check_handler(make, [{"spikes": random_spikes(rng, 6, 0.7, kind)} for kind in ("binary", "integer")])


def test_results_that_cannot_be_are_refused():
    for function, target, words in [
        (lambda a: a[:1], 6, "gate: a result of 3 values, expected 6"),
        (lambda a: a / 0, current(3, 2), "gate: a result that is not finite at step 0"),
        (lambda a: a + 0.5, 6, "expected whole numbers"),
    ]:
        with pytest.raises(NetworkError, match=words), np.errstate(all="ignore"):
            DenseNode("gate", function, [("spikes", (2, 3))], target).handle(0, {})
    with pytest.raises(NetworkError, match=r"gate: reads \(5,\) from a current of \(3, 2\)"):
        DenseNode("gate", softmax, [(current(3, 2), (5,))], 6)
    with pytest.raises(NetworkError, match="gate: reads nothing"):
        DenseNode("gate", softmax, [], 6)


# --- the readout -----------------------------------------------------------------------------------------------------

WEIGHT = np.arange(8.0).reshape(2, 4) - 3


def mean_then_classify(x):
    return WEIGHT @ x.mean(axis=0)


@pytest.mark.parametrize("reads", ["spikes", "current"])
def test_readout_obeys_the_contract(rng, reads):
    def make():
        source = "spikes" if reads == "spikes" else current(2, 2, np.array([1.0, 0.0]))
        return ReadoutProgram("readout", mean_then_classify, [(source, (4,))], 2, by_step=True, cost=OpCounts(macs=8))

    streams = [{"spikes": random_spikes(rng, 4, 0.6, kind)} for kind in ("binary", "integer")]
    check_handler(make, [*streams, None, {}] if reads == "spikes" else list(contents(rng, 2, 2, (2, 0, 1, None))))


def network(by_step, program):
    net = Network("net", (1, 2, 4), 4)
    x = Current(2, 4)
    net.add(Identity("stem", x, 1.5), INPUT)
    x.add_bias(np.array([0.1, 0.0, 0.0, -0.5]))
    lif = net.add(population("lif", x, (2, 4), "token,channel", Leaky(tau=2.0, v_reset=None)))
    net.add(ReadoutProgram("readout", program, [("spikes", (2, 4))], 2, by_step, OpCounts(macs=8)), lif)
    return net


@given(st.integers(0, 2**32), st.booleans())
def test_a_whole_network_equals_its_twins(seed, by_step):
    def program(x):
        return WEIGHT @ x.mean(axis=(0, 1)) if by_step else WEIGHT @ np.cumsum(x, axis=0)[:, 0].max(axis=0)

    net = network(by_step, program)
    rng = np.random.default_rng(seed)
    recording = [random_spikes(rng, 8, density, "integer") for density in (0.5, 0.0, 0.9, 0.1)]
    recorder = twins.Recorder()
    result = simulate(net, recording, [recorder])
    expected = twins.run(net, recording)
    rows = {(name, step): counts for name, step, counts in result.ledger.rows()}
    assert rows == expected.rows
    kept = [operands[0] for operands in expected.memory["readout"]["kept"]]
    np.testing.assert_allclose(result.logits, program(np.stack(kept)), rtol=1e-6)
    if by_step:
        np.testing.assert_allclose(result.logits_by_step.mean(axis=0), result.logits, rtol=1e-4, atol=1e-5)
    else:
        assert result.logits_by_step.shape == (0, 2)
    assert result.ledger.total("readout").macs == 8


def test_a_twin_of_the_network_runs_alike(rng):
    net = network(True, lambda x: WEIGHT @ x.mean(axis=(0, 1)))
    recording = [random_spikes(rng, 8, 0.5) for _ in range(4)]
    first = simulate(net, recording).logits
    np.testing.assert_array_equal(simulate(twin(net), recording, threads=2).logits, first)
    np.testing.assert_array_equal(simulate(net, recording, order="step").logits, first)


def test_silence_is_a_reading_of_zeros_and_biases():
    x = current(2, 2, np.array([1.0, 2.0]))
    readout = ReadoutProgram("readout", mean_then_classify, [(x, (4,))], 2)
    np.testing.assert_array_equal(readout.logits(3), WEIGHT @ [1, 2, 1, 2])


def test_a_program_of_another_size_is_refused():
    readout = ReadoutProgram("readout", lambda x: x, [("spikes", (4,))], 2)
    readout.handle(0, {"spikes": Spikes(np.array([1], np.int32))})
    with pytest.raises(NetworkError, match="readout: the program makes 4 logits, expected 2"):
        readout.logits(1)
