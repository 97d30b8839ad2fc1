import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.errors import NetworkError
from evsim.handlers.neurons import IF, LIF, PLIF
from tests import naive
from tests.contract import check_handler, dyadic

BELOW_ONE, ABOVE_ONE = np.nextafter(np.float32(1), np.float32([0, 2]))
BIASES = st.one_of(
    st.sampled_from([0.0, 1.0, BELOW_ONE, ABOVE_ONE, -1.0, 0.5, 2.5]), st.floats(-4, 4, width=32, allow_subnormal=False)
)
KINDS = st.one_of(st.just(("LIF", 0.0)), st.just(("IF", 0.0)), st.tuples(st.just("PLIF"), st.floats(-4, 4)))


def population(kind, bias, n_places=1, w=0.0, **constants):
    bias = np.asarray(bias, np.float64)
    current = Current(n_places, bias.size)
    current.join_writer("writer", bias)
    args = ("neurons", current, (n_places, bias.size), "token,channel")
    return {"LIF": LIF, "IF": IF}[kind](*args, **constants) if kind != "PLIF" else PLIF(*args, w, **constants)


def twin(kind, bias, n_places=1, w=0.0, **constants):
    rate = {"LIF": 0.5, "IF": 1.0, "PLIF": naive.sigmoid(w)}[kind]
    return naive.Neurons(n_places, bias, rate=rate, leak=int(kind != "IF"), **constants)


def call(neurons, step, x=None, touched=None):
    """One call with the current `x` at the touched places; returns (spikes as a map, counts)."""
    if x is not None:
        rows = neurons.current.rows(step)
        rows.touched[:] = touched if touched is not None else 1
        rows.value[:] = np.asarray(x) * rows.touched[:, None]
    spikes, counts = neurons.handle(step, {})
    return spikes.to_dense(neurons.n_neurons).reshape(neurons.shape).astype(bool), counts


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_lif_halves_its_way_up_to_the_current():
    neurons = population("LIF", [0.0])
    fired = [bool(call(neurons, step, [[1.5]])[0]) for step in range(4)]
    # V: 0 -> 0.75 -> 1.125 fires, reset -> 0.75 -> 1.125 fires
    assert fired == [False, True, False, True]


def test_if_keeps_what_it_was_given():
    neurons = population("IF", [0.0])
    fired = [bool(call(neurons, step, [[0.375]])[0]) for step in range(6)]
    assert fired == [False, False, True] * 2  # 0.375, 0.75, 1.125


def test_plif_with_w_zero_is_lif_with_tau_two(rng):
    x = dyadic(rng, 6, 5, scale=2)
    lif, plif = population("LIF", np.zeros(5)), population("PLIF", np.zeros(5), w=0.0)
    for step in range(6):
        np.testing.assert_array_equal(call(lif, step, x[step])[0], call(plif, step, x[step])[0])


def test_plif_leaks_by_the_sigmoid_of_its_weight():
    w = math.log(3)  # sigmoid = 3 / 4
    assert population("PLIF", [0.0], w=w).rate == pytest.approx(0.75, rel=1e-6)
    assert [bool(call(population("PLIF", [0.0], w=w), 0, [[x]])[0]) for x in (1.25, 1.5)] == [False, True]


@pytest.mark.parametrize(
    ("w", "rate_in_torch"),
    [(-3.488, "0x1.e5e09ep-6"), (-0.474, "0x1.88e0c4p-2"), (-0.198, "0x1.cd7a18p-2"), (1.421, "0x1.9c69dap-1")],
)
def test_plif_rounds_its_rate_as_torch_does(w, rate_in_torch):
    assert float(population("PLIF", [0.0], w=w).rate).hex() == float.fromhex(rate_in_torch).hex()


@pytest.mark.parametrize(("kind", "x"), [("LIF", 2.0), ("IF", 1.0)])
def test_a_membrane_exactly_at_the_threshold_fires(kind, x):
    below = np.nextafter(np.float32(x), np.float32(0))
    assert call(population(kind, [0.0]), 0, [[x]])[0].tolist() == [[True]]
    assert call(population(kind, [0.0]), 0, [[below]])[0].tolist() == [[False]]


def test_the_membrane_restarts_from_v_reset():
    neurons = population("IF", [0.0], v_reset=-1.0)
    fired = [bool(call(neurons, step, [[1.0]])[0]) for step in range(4)]
    assert fired == [False, True, False, True]  # -1 -> 0 -> 1 fires -> -1 -> 0 -> 1 fires


def test_the_threshold_is_the_one_given():
    assert [bool(call(population("IF", [0.0], v_threshold=0.5), 0, [[x]])[0]) for x in (0.49, 0.5)] == [False, True]


def test_an_awake_place_costs_each_of_its_neurons_once():
    neurons = population("LIF", [0.0, 0.25, -0.5], n_places=4)
    _, counts = call(neurons, 0, np.ones((4, 3)), touched=[1, 0, 1, 0])
    awake = 2 * 3  # two of four places, three channels, two of them with a bias
    assert counts == OpCounts(
        updates=awake, comparisons=awake, bias_adds=2 * 2, state_reads=2 * awake, state_writes=awake
    )


def test_a_place_that_wakes_pays_for_the_steps_it_slept():
    neurons = population("LIF", [0.0, 0.25], n_places=2)
    call(neurons, 0, np.ones((2, 2)), touched=[1, 0])
    _, counts = call(neurons, 3, np.ones((2, 2)), touched=[1, 1])
    slept = 2 * 2 + 3 * 2  # place 0 missed steps 1, 2; place 1 missed 0, 1, 2; two channels each
    assert (counts.updates, counts.silent_updates) == (4 + slept, slept)
    assert counts.bias_adds == (4 + slept) // 2
    assert counts.comparisons == 4
    assert (counts.state_reads, counts.state_writes) == (2 * 4, 4), "a membrane is loaded once a wake-up"


def test_a_bias_at_the_threshold_fires_without_any_event():
    neurons = population("LIF", [0.0, 2.0, 0.5], n_places=2)
    assert neurons.wakes_itself
    fired, counts = call(neurons, 0)
    assert fired.tolist() == [[False, True, False]] * 2
    # two self-waking neurons: one membrane each, and no accumulator, since nobody wrote one
    expected = OpCounts(updates=2, silent_updates=2, comparisons=2, bias_adds=2, state_reads=2, state_writes=2)
    assert counts == expected


@pytest.mark.parametrize(
    ("kind", "bias", "expected"),
    [
        ("LIF", BELOW_ONE, False),
        ("LIF", 1.0, True),
        ("LIF", -3.0, False),
        ("PLIF", BELOW_ONE, False),
        ("PLIF", 1.0, True),
        ("IF", -1 / 64, False),
        ("IF", 0.0, False),
        ("IF", 1 / 64, True),
    ],
)
def test_only_a_bias_that_reaches_the_threshold_wakes_a_population(kind, bias, expected):
    assert population(kind, [bias]).wakes_itself == expected


def test_an_address_is_the_flat_index_of_the_shape():
    current = Current(6, 4)
    neurons = LIF("neurons", current, (2, 3, 4), "row,col,channel")
    x = np.zeros((2, 3, 4))
    x[1, 2, 3] = 9
    assert call(neurons, 0, x.reshape(6, 4))[0].nonzero() == (1, 2, 3)


# --- sleeping is bit-exact --------------------------------------------------------------------------------------------


@given(KINDS, hnp.arrays(np.float32, st.integers(1, 9), elements=BIASES), st.integers(0, 2**32), st.booleans())
def test_sleeping_neurons_fire_and_count_as_if_always_awake(kind_w, bias, seed, is_coarse):
    (kind, w), rng = kind_w, np.random.default_rng(seed)
    n_places, n_steps = 3, 24
    neurons, awake = population(kind, bias, n_places, w), twin(kind, bias, n_places, w)
    for step in range(n_steps):
        touched = rng.random(n_places) < 0.2
        x = np.float32(rng.normal(0, 2, (n_places, bias.size)) if not is_coarse else dyadic(rng, n_places, bias.size))
        expected, expected_counts = awake.step(x * touched[:, None], touched)
        if touched.any() or neurons.wakes_itself:
            fired, counts = call(neurons, step, x, touched)
            np.testing.assert_array_equal(fired, expected)
            assert counts == expected_counts
        else:
            assert not expected.any()


@given(KINDS, BIASES, st.floats(-3, 0.75, width=32))
def test_self_waking_neurons_are_those_that_fire_within_many_silent_steps(kind_w, bias, v_reset):
    kind, w = kind_w
    bias = np.round(np.float32([bias]) * 64) / 64  # coarse, so that two hundred steps decide
    v_reset = round(v_reset * 64) / 64
    silent = twin(kind, bias, w=max(w, -2.0), v_reset=v_reset)
    silent.fires_alone = lambda: np.array([True])
    nothing = np.zeros((1, 1), np.float32), np.zeros(1)
    has_fired = any(silent.step(*nothing)[0].any() for _ in range(300))
    assert population(kind, bias, w=max(w, -2.0), v_reset=v_reset).wakes_itself == has_fired


@pytest.mark.parametrize("kind", ["LIF", "PLIF", "IF"])
@pytest.mark.parametrize("top", [0.75, 1.0], ids=["sleeping", "self-waking"])
def test_obeys_the_contract(rng, kind, top):
    bias = np.array([top if kind != "IF" or top == 1 else 0.0, 0.0, -0.5, *[-0.25] * 7])
    inboxes = []
    for n_touched in (2, 0, 4, None, None, 1):
        touched = np.arange(4) < (n_touched or 0)
        x = dyadic(rng, 4, 10, scale=2) * touched[:, None]
        inboxes.append(None if n_touched is None else {"current": (x, touched)})
    given_out = check_handler(lambda: population(kind, bias, 4, w=0.3), inboxes)
    assert any(len(spikes) for spikes, _ in filter(None, given_out)), "the example is too quiet to mean anything"


def test_a_population_gives_back_the_current_it_was_last_to_read():
    neurons = population("LIF", [0.0])
    call(neurons, 0, [[1.0]])
    assert not neurons.current.rows(0).touched.any()


def test_a_shape_that_does_not_fit_its_current_is_refused():
    with pytest.raises(NetworkError, match=r"lif: shape \(2, 2\) does not fit a current of \(4, 3\)"):
        LIF("lif", Current(4, 3), (2, 2), "token,channel")
