"""Sums along axes, identity writers, average pools, fixed linear maps, payload max-pools."""

import numpy as np
import pytest

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.average_pool import AveragePool
from evsim.handlers.elementwise.axis_sum import AxisSum, Identity
from evsim.handlers.payload_max_pool import PayloadMaxPool
from evsim.handlers.projections.fixed_map import LinearMap
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.window import Window
from tests.contract import check_handler, dyadic, random_spikes, same_spikes

KINDS = ("binary", "integer")
WINDOWS = [
    Window(4, 6, 2, 2),
    Window(5, 4, 3, 1, 1),
    Window(5, 6, (3, 2), (2, 1), (1, 0)),
    Window(7, 7, 3, 2, 0, ceil=True),
    Window(1, 9, (1, 3), (1, 2), (0, 1)),
    Window(6, 6, 2, 2, 0, dilation=2),
]


def streams(rng, n, density=0.4):
    return [*({"spikes": random_spikes(rng, n, density, kind)} for kind in KINDS), None, {"spikes": Spikes.none()}]


# --- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sends", [False, True])
def test_a_sum_along_any_axis_obeys_the_contract(rng, axis, sends):
    places = np.arange(24).reshape(3, 4, 2)
    shape = [n for i, n in enumerate(places.shape) if i != axis]
    target_of = np.broadcast_to(np.arange(np.prod(shape)).reshape(shape)[(slice(None),) * axis + (None,)], (3, 4, 2))

    def make():
        current = None if sends else Current(shape[0], shape[1])
        return AxisSum("sum", target_of, current, n_outputs=int(np.prod(shape)) if sends else None)

    check_handler(make, streams(rng, 24, 0.6))


def test_a_sum_is_exact_in_any_order():
    assert AxisSum("sum", np.arange(24) % 4, Current(1, 4)).current.is_whole


def test_events_that_cancel_leave_no_event_and_come_once():
    sum_ = AxisSum("sum", np.zeros(4, int), None, n_outputs=2)
    spikes = Spikes(np.arange(4, dtype=np.int32), np.array([1, -1, 2, 3], np.int32))
    out, counts = sum_.handle(0, {"spikes": spikes})
    assert (out.address.tolist(), out.payload.tolist()) == ([0], [5])
    assert counts == OpCounts(event_acs=4, acs=7, graded_acs=3, state_reads=4, state_writes=4)
    out, _ = sum_.handle(1, {"spikes": Spikes(spikes.address[:2], spikes.payload[:2])})
    assert len(out) == 0


def test_a_place_can_be_dropped():
    sum_ = AxisSum("sum", np.array([0, -1, 1]), Current(1, 2))
    counts = sum_.handle(0, {"spikes": Spikes(np.arange(3, dtype=np.int32))})[1]
    assert sum_.current.rows(0).value.tolist() == [[1, 1]]
    assert counts.event_acs == 2


@pytest.mark.parametrize("unit", [1.0, 0.25, 1 / 3])
def test_identity_obeys_the_contract(rng, unit):
    map = AddressMap.of_view(lambda a: a.transpose(1, 0), (4, 6))
    check_handler(lambda: Identity("add", Current(6, 4), unit, map), streams(rng, 24))
    identity = Identity("add", Current(6, 4), unit)
    assert identity.current.is_whole == (unit != 1 / 3)


def test_sums_that_cannot_be_are_refused():
    for make, words in [
        (lambda: AxisSum("sum", np.array([0, 8]), Current(2, 4)), "the places 0 to 8, expected 0 to 7"),
        (lambda: AxisSum("sum", np.array([0]), None), "need n_outputs"),
        (lambda: AxisSum("sum", np.array([0]), None, 1, unit=0.5), "take no unit"),
        (lambda: Identity("add", Current(2, 2), map=AddressMap(np.array([0, 0, 1, 2]), 3)), "2 of one event"),
        (lambda: Identity("add", Current(2, 2), map=AddressMap.identity(3)), "its current has 4"),
    ]:
        with pytest.raises(NetworkError, match=words):
            make()


# --- average pools ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("count_padding", [False, True])
def test_average_pool_obeys_the_contract(rng, window, count_padding):
    def make():
        return AveragePool("pool", window, 3, Current(window.out_height * window.out_width, 3), count_padding)

    check_handler(make, streams(rng, window.height * window.width * 3, 0.5))


def test_average_pool_that_sends_spikes_obeys_the_contract(rng):
    check_handler(lambda: AveragePool("pool", Window(4, 4, 2, 2), 3, None), streams(rng, 48, 0.5))
    assert AveragePool("pool", Window(4, 4, 2, 2), 3, None).unit == 0.25


@pytest.mark.parametrize(("shape", "out"), [((7, 5), (3, 2)), ((4, 4), (1, 1)), ((3, 3), (6, 5)), ((6, 6), (3, 3))])
def test_adaptive_pool_obeys_the_contract(rng, shape, out):
    def make():
        return AveragePool.adaptive("pool", shape, out, 2, Current(out[0] * out[1], 2))

    check_handler(make, streams(rng, shape[0] * shape[1] * 2, 0.5))


def test_an_average_counts_one_addition_an_event_and_one_scaling_a_value():
    pool = AveragePool("pool", Window(2, 4, 2, 2), 1, Current(2, 1))
    counts = pool.handle(0, {"spikes": Spikes(np.array([0, 1, 4], np.int32))})[1]
    assert pool.current.rows(0).value.tolist() == [[0.75], [0]]
    assert pool.current.rows(0).touched.tolist() == [1, 0]
    assert counts == OpCounts(event_acs=3, acs=3, state_reads=3, state_writes=3, scalings=1)


def test_averages_are_those_of_torch(rng):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for window in WINDOWS[:4]:
        x = random_spikes(rng, window.height * window.width * 3, 0.5, "integer")
        maps = x.to_dense(x.address.max() + 1)
        maps = np.resize(
            np.append(maps, np.zeros(window.height * window.width * 3 - maps.size)), (window.height, window.width, 3)
        )
        tensor = torch.tensor(maps.transpose(2, 0, 1)[None], dtype=torch.float32)
        for count_padding in (False, True):
            expected = functional.avg_pool2d(
                tensor, window.kernels, window.strides, window.paddings, window.ceil, count_padding
            )
            pool = AveragePool("pool", window, 3, Current(window.out_height * window.out_width, 3), count_padding)
            pool.handle(0, {"spikes": x})
            found = pool.current.rows(0).value.reshape(window.out_height, window.out_width, 3)
            np.testing.assert_array_equal(found, expected[0].numpy().transpose(1, 2, 0))
    tensor = torch.tensor(rng.integers(0, 3, (1, 2, 7, 5)), dtype=torch.float32)
    pool = AveragePool.adaptive("pool", (7, 5), (3, 2), 2, Current(6, 2))
    pool.handle(0, {"spikes": Spikes.from_dense(tensor[0].numpy().transpose(1, 2, 0))})
    expected = functional.adaptive_avg_pool2d(tensor, (3, 2))[0].numpy().transpose(1, 2, 0)
    # PyTorch divides by rows and then by columns: two roundings where evsim has one
    np.testing.assert_allclose(pool.current.rows(0).value.reshape(3, 2, 2), expected, rtol=2e-7)


# --- fixed linear maps ------------------------------------------------------------------------------------------------

HAAR = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0], [0, 0, 1, -1]]) / 2


@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize("sends", [False, True])
def test_haar_obeys_the_contract(rng, inner, sends):
    check_handler(
        lambda: LinearMap("haar", HAAR, 2, inner, None if sends else Current(8, inner)), streams(rng, 8 * inner)
    )


def test_a_map_of_many_weights_obeys_the_contract(rng):
    weight = dyadic(rng, 5, 4) * (rng.random((5, 4)) < 0.7)
    check_handler(lambda: LinearMap("mix", weight, 2, 3, Current(10, 3)), streams(rng, 24))


def test_weights_of_one_size_are_counted_as_units_others_as_weights():
    spikes = Spikes(np.array([0], np.int32))
    haar = LinearMap("haar", HAAR, 1, 1, Current(4, 1)).handle(0, {"spikes": spikes})[1]
    assert haar == OpCounts(event_acs=2, acs=2, state_reads=2, state_writes=2, scalings=2)
    mixed = LinearMap("mix", HAAR * [[1], [1], [3], [1]], 1, 1, Current(4, 1)).handle(0, {"spikes": spikes})[1]
    assert mixed == OpCounts(event_acs=2, acs=2, state_reads=2, state_writes=2, weight_reads=2)


def test_maps_that_cannot_be_are_refused():
    for make, words in [
        (lambda: LinearMap("mix", np.array([[1.0, 2.0]]), 1, 1, None), "weights of several sizes"),
        (lambda: AveragePool("pool", Window(5, 4, 3, 1, 1), 1, None, count_padding=False), "several sizes"),
        (lambda: LinearMap("haar", HAAR, 1, 1, Current(3, 1)), r"writes \(4, 1\) \(places, channels\) into \(3, 1\)"),
    ]:
        with pytest.raises(NetworkError, match=words):
            make()


# --- payload max-pool -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_payload_max_pool_obeys_the_contract(rng, window):
    n = window.height * window.width * 3
    inboxes = [*streams(rng, n, 0.5), {"spikes": random_spikes(rng, n, 1.0, "integer")}]
    check_handler(lambda: PayloadMaxPool("pool", window, 3), inboxes)


def test_a_window_full_of_negative_events_has_a_negative_maximum():
    pool = PayloadMaxPool("pool", Window(1, 4, (1, 2), (1, 2)), 1)
    spikes = Spikes(np.array([0, 1, 2], np.int32), np.array([-3, -2, -5], np.int32))
    out, counts = pool.handle(0, {"spikes": spikes})
    assert same_spikes(out, Spikes(np.array([0], np.int32), np.array([-2], np.int32)))
    assert counts == OpCounts(comparisons=3)
