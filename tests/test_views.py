"""Address maps: any NumPy view of a spike stream is one table; Route and Concatenate send spikes through it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.views.route import Concatenate, Route
from tests.contract import check_handler, check_spikes, random_spikes

SHAPE = (3, 4, 2)
VIEWS = {
    "as it is": lambda a: a,
    "transposed": lambda a: a.transpose(1, 2, 0),
    "reshaped": lambda a: a.reshape(6, 4),
    "sliced": lambda a: a[1:, ::2],
    "one index": lambda a: a[:, 1],
    "expanded": lambda a: np.broadcast_to(a[None], (2, *a.shape)),
    "upsampled": lambda a: a.repeat(2, axis=0).repeat(2, axis=1),
    "padded": lambda a: np.pad(a, ((1, 0), (0, 2), (0, 0)), constant_values=-1),
    "flipped": lambda a: a[::-1],
    "empty": lambda a: a[:0],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("kind", ["binary", "integer", "real"])
@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_moved_spikes_are_those_of_the_viewed_array(rng, view, kind, density):
    spikes = random_spikes(rng, 24, density, kind)
    map = AddressMap.of_view(view, SHAPE)
    x = spikes.to_dense(24)
    viewed = view(np.concatenate([np.arange(24)]).reshape(SHAPE)).reshape(-1)
    expected = np.where(viewed >= 0, np.append(x, 0)[viewed], 0)
    moved = map.move(spikes)
    check_spikes(moved, max(1, map.n_targets))
    np.testing.assert_array_equal(moved.to_dense(map.n_targets), expected)


@pytest.mark.parametrize("n_events", [1, 3, 400])
@pytest.mark.parametrize("kind", ["binary", "integer", "real"])
def test_rare_events_are_sorted_and_many_are_marked(rng, n_events, kind):
    map = AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (20, 30, 10))
    address = np.sort(rng.choice(6000, n_events, replace=False)).astype(np.int32)
    payload = {"binary": None, "integer": np.int32([5] * n_events), "real": np.float32([0.5] * n_events)}[kind]
    moved = map.move(Spikes(address, payload))
    check_spikes(moved, 6000)
    expected = Spikes(address, payload).to_dense(6000).reshape(20, 30, 10).transpose(1, 0, 2).reshape(-1)
    np.testing.assert_array_equal(moved.to_dense(6000), expected)


@given(st.permutations(list(VIEWS.values())[:6]), st.integers(0, 2**32))
def test_composed_maps_are_one_map(views, seed):
    spikes = random_spikes(np.random.default_rng(seed), 24, 0.5, "integer")
    first = AddressMap.of_view(views[0], SHAPE)
    second = AddressMap.of_view(lambda a: a[::-1], (first.n_targets,))
    a, b = first.then(second).move(spikes), second.move(first.move(spikes))
    np.testing.assert_array_equal(a.address, b.address)
    np.testing.assert_array_equal(a.payload, b.payload)


def test_what_a_map_says_of_itself():
    assert AddressMap.identity(5).is_identity
    assert not AddressMap.of_view(VIEWS["sliced"], SHAPE).is_identity
    assert AddressMap.of_view(VIEWS["upsampled"], SHAPE).fan_out == 4
    assert AddressMap.of_view(VIEWS["padded"], SHAPE).is_monotone
    assert not AddressMap.of_view(VIEWS["transposed"], SHAPE).is_monotone


def test_the_identity_costs_nothing_not_even_a_copy():
    spikes = Spikes(np.array([1, 3], np.int32))
    assert AddressMap.identity(5).move(spikes) is spikes


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AddressMap(np.array([0, 5]), 5), "the places 0 to 5, its source has 5"),
        (lambda: AddressMap(np.array([-2]), 5), "the places -2 to -2, its source has 5"),
        (lambda: AddressMap(np.empty(0, np.int32), 10**10), "expected 268435456 at most"),
        (lambda: AddressMap.of_view(lambda a: a, (10**5, 10**5)), "expected 268435456 at most"),
        (lambda: AddressMap.identity(3).then(AddressMap.identity(4)), "4 places of a view that has 3"),
        (
            lambda: Concatenate("cat", {"a": AddressMap.identity(3), "b": AddressMap.identity(4)}),
            r"onto \[3, 4\] places",
        ),
        (lambda: Concatenate("cat", {p: AddressMap.identity(3) for p in "ab"}), "3 places come from two ports"),
    ],
)
def test_maps_that_cannot_be_are_refused(make, words):
    with pytest.raises(NetworkError, match=words):
        make()


@pytest.mark.parametrize("view", list(VIEWS.values())[:9], ids=list(VIEWS)[:9])
def test_route_obeys_the_contract(rng, view):
    streams = [{"spikes": random_spikes(rng, 24, 0.4, kind)} for kind in ("binary", "integer")]
    check_handler(lambda: Route("route", AddressMap.of_view(view, SHAPE)), [*streams, None, {"spikes": Spikes.none()}])


def test_concatenate_obeys_the_contract(rng):
    channels = np.arange(12).reshape(3, 4)
    maps = {"a": channels[:, :1], "b": channels[:, 1:]}  # three places of one channel and of three

    def make():
        tables = {port: np.full(12, -1) for port in maps}
        for port, places in maps.items():
            tables[port][places.reshape(-1)] = np.arange(places.size)
        return Concatenate("cat", {port: AddressMap(table, maps[port].size) for port, table in tables.items()})

    kinds = [("binary", "binary"), ("binary", "integer"), ("integer", "integer")]
    inboxes = [{"a": random_spikes(rng, 3, 0.7, a), "b": random_spikes(rng, 9, 0.5, b)} for a, b in kinds]
    given_out = check_handler(make, [*inboxes, None, {"b": inboxes[0]["b"]}])
    assert given_out[0][0].payload is None
    assert given_out[1][0].payload is not None
    assert make().payload_bound({"a": 1, "b": 7}) == 7
