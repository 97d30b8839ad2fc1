"""Neurons of every form: the slow twin, sleep that cannot be told from being awake, counts, refusals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.arithmetic.whole import Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.errors import NetworkError
from evsim.handlers.neuron_forms.forms import (
    FORMS,
    Decay,
    IntegerLeak,
    LateReset,
    Leaky,
    MultiSpike,
    Norse,
    Quantiser,
    Signed,
    read_form,
)  # fmt: skip
from evsim.handlers.neuron_forms.population import FormPopulation, population
from evsim.handlers.neurons import Population
from tests import naive_forms
from tests.contract import check_handler, dyadic

N_CHANNELS = 4
LEVELS = np.float32([0.5, 1.0, 0.75, 2.0])
RATES = np.float32([0.25, 0.5, 0.9, 1.0])
CASES = {
    "soft": Leaky(tau=2.0, v_reset=None),
    "strict": Leaky(tau=2.0, strict=True),
    "tau 3": Leaky(tau=3.0),
    "reset elsewhere": Leaky(tau=2.5, v_reset=-0.25, v_threshold=0.5),
    "input whole": Leaky(tau=2.0, input="whole"),
    "input whole, rate": Leaky(rate=0.3, input="whole", v_reset=0.125),
    "input whole, soft": Leaky(tau=4 / 3, input="whole", v_reset=None),
    "integrates, soft": Leaky(input="integrates", v_reset=None),
    "integrates, strict": Leaky(input="integrates", strict=True),
    "by channel": Leaky(rate=RATES, v_threshold=LEVELS),
    "decay": Decay(0.25, 0.5, strict=True),
    "decay, soft": Decay(RATES, LEVELS, v_reset=None),
    "no decay": Decay(1.0, v_reset=0.0),
    "late subtract": LateReset(0.9),
    "late zero": LateReset(0.5, 0.75, reset="zero"),
    "late none": LateReset(0.5, reset="none"),
    "late by channel": LateReset(RATES, LEVELS),
    "synaptic subtract": LateReset(0.75, alpha=0.5),
    "synaptic zero": LateReset(0.75, alpha=RATES, reset="zero"),
    "synaptic none": LateReset(0.5, alpha=0.25, reset="none"),
    "norse box": Norse(0.1, v_threshold=0.25),
    "norse synapse": Norse(0.5, v_threshold=0.25, synapse_rate=0.5),
    "norse leak": Norse(0.25, v_leak=0.125, v_threshold=0.5, v_reset=-0.125),
    "norse subtract": Norse(0.25, v_threshold=0.25, v_reset=None),
    "norse synapse subtract": Norse(0.5, v_leak=0.125, v_threshold=0.25, v_reset=None, synapse_rate=0.5),
    "many": MultiSpike(0.75),
    "many, reset": MultiSpike(0.5, v_reset=-0.25),
    "many by channel": MultiSpike(LEVELS, rate=RATES),
    "many, leak": MultiSpike(0.25, rate=0.5, v_leak=0.125),
    "many, synapse": MultiSpike(0.25, rate=0.5, v_leak=0.125, synapse_rate=0.25),
    "many, synapse, reset": MultiSpike(0.25, v_reset=0.0, rate=0.5, synapse_rate=0.25),
    "integer": IntegerLeak(0.25, 4),
    "integer, threshold": IntegerLeak(0.5, 8, v_threshold=0.5),
    "quantiser": Quantiser(0, 4),
    "signed quantiser": Quantiser(-2, 3),
    "quantiser, ties up": Quantiser(0, 4, "up"),
    "signed quantiser, ties up": Quantiser(-2, 3, "up"),
    "signed": Signed(),
    "signed, soft": Signed(1.0, 0.75, 0.125, v_reset=None),
    "ternary, soft": Signed(v_reset=None, symmetric=True),
    "ternary": Signed(v_reset=0.25, symmetric=True),
}
forms = pytest.mark.parametrize("form", CASES.values(), ids=CASES)
FORM = st.sampled_from(list(CASES.values()))


def make(form, bias, n_places=4, kind=FormPopulation):
    current = Current(n_places, N_CHANNELS)
    current.join_writer("writer", np.asarray(bias, np.float64))
    return kind("neurons", current, (n_places, N_CHANNELS), "token,channel", form)


def call(neurons, step, x, touched):
    rows = neurons.current.rows(step)
    rows.value[:], rows.touched[:] = x * touched[:, None], touched
    spikes, counts = neurons.handle(step, {})
    return spikes.to_dense(neurons.n_neurons).reshape(-1, N_CHANNELS), counts


@forms
def test_every_spike_of_a_busy_population_is_the_twins(rng, form):
    neurons, bias = make(form, np.zeros(N_CHANNELS), 64), np.zeros(N_CHANNELS)
    v, w = naive_forms.start(form, (64, N_CHANNELS))
    n_sent = 0
    for step in range(12):
        x = np.float32(rng.normal(0.2, 1.2, (64, N_CHANNELS)))
        expected, v, w = naive_forms.step(form, x + np.float32(bias), v, w)
        found, _ = call(neurons, step, x, np.ones(64, np.uint8))
        np.testing.assert_array_equal(found, expected)
        n_sent += np.count_nonzero(expected)
    assert n_sent > 20, "the example is too quiet to mean anything"


@forms
@pytest.mark.parametrize("by_place", [False, True])
@pytest.mark.parametrize("size", [0.0, 0.2, 2.0])
def test_obeys_the_contract(rng, form, by_place, size):
    bias = dyadic(rng, *(4, N_CHANNELS) if by_place else (N_CHANNELS,), scale=size) if size else np.zeros(N_CHANNELS)
    inboxes = []
    for n_touched in (2, 0, 4, None, None, 1, None, 3):
        touched = np.arange(4) < (n_touched or 0)
        x = dyadic(rng, 4, N_CHANNELS, scale=2) * touched[:, None]
        inboxes.append(None if n_touched is None else {"current": (x, touched)})
    check_handler(lambda: make(form, bias), inboxes)


@settings(max_examples=300)
@given(FORM, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 1.0, 30.0]), st.booleans(), st.booleans())
def test_sleep_cannot_be_told_from_being_awake(form, seed, scale, by_place, near):
    """Biases at and beside the threshold included: 40 steps, few of which bring anything."""
    rng = np.random.default_rng(seed)
    bias = np.float32(rng.normal(0, 1, (3, N_CHANNELS) if by_place else N_CHANNELS) * scale)
    if near and scale:
        level = np.broadcast_to(getattr(form, "v_threshold", 0.5), N_CHANNELS)
        bias = np.nextafter(
            np.float32(level * rng.choice([0.1, 0.5, 1.0], bias.shape)), np.float32(rng.choice([-9, 9]))
        )
    neurons = make(form, bias, 3)
    v, w = naive_forms.start(form, (3, N_CHANNELS))
    for step in range(40):
        touched = (rng.random(3) < 0.15).astype(np.uint8)
        x = np.float32(rng.normal(0, 2, (3, N_CHANNELS)))
        expected, v, w = naive_forms.step(form, np.float32(x * touched[:, None]) + np.float32(bias), v, w)
        if touched.any() or neurons.wakes_itself:
            found, _ = call(neurons, step, x, touched)
            np.testing.assert_array_equal(found, expected)
        else:
            assert not expected.any()


@forms
def test_a_population_that_rests_costs_nothing(form):
    neurons = make(form, np.zeros(N_CHANNELS))
    for step in range(3):
        found, counts = call(neurons, step, np.zeros((4, N_CHANNELS)), np.zeros(4, np.uint8))
        assert not found.any()
        assert counts == OpCounts()


def test_a_spike_that_leaves_the_membrane_above_threshold_is_followed_by_another():
    neurons = make(Leaky(input="integrates", v_reset=None), np.zeros(N_CHANNELS), 2)
    x = np.zeros((2, N_CHANNELS))
    x[0, 1] = 3.5
    counts = [call(neurons, 0, x, np.array([1, 0]))]
    counts += [call(neurons, step, 0 * x, np.zeros(2, np.uint8)) for step in range(1, 5)]
    assert [found[0, 1] for found, _ in counts] == [1, 1, 1, 0, 0]
    # its place stays awake until nothing is left above the threshold, the other one sleeps throughout
    assert [given.updates for _, given in counts] == [4, 4, 4, 0, 0]
    assert counts[1][1] == OpCounts(updates=4, silent_updates=4, comparisons=4, state_reads=4, state_writes=4)


def test_a_synaptic_current_is_a_second_word_of_state_and_two_thresholds_are_two_comparisons():
    x = np.ones((4, N_CHANNELS))
    _, synaptic = call(make(LateReset(0.5, alpha=0.5), np.zeros(N_CHANNELS)), 0, x, np.ones(4, np.uint8))
    assert synaptic == OpCounts(updates=16, comparisons=16, state_reads=48, state_writes=32)
    _, signed = call(make(Signed(), np.zeros(N_CHANNELS)), 0, x, np.ones(4, np.uint8))
    assert signed == OpCounts(updates=16, comparisons=32, state_reads=32, state_writes=16)
    _, quantiser = call(make(Quantiser(), np.ones(N_CHANNELS)), 0, x, np.ones(4, np.uint8))
    assert quantiser == OpCounts(comparisons=16, bias_adds=16, state_reads=16)


# --- which population -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [Leaky(tau=2.0), Leaky(tau=4.0, v_threshold=0.5, v_reset=0.25), Leaky(rate=0.3), Leaky(input="integrates")],
    ids=str,
)
def test_the_plain_population_is_chosen_where_it_computes_the_same(rng, form):
    bias = dyadic(rng, N_CHANNELS, scale=0.3)
    plain, general = make(form, bias, 16, population), make(form, bias, 16)
    assert type(plain) is Population
    for step in range(20):
        touched = (rng.random(16) < 0.5).astype(np.uint8)
        x = np.float32(rng.normal(0, 1.5, (16, N_CHANNELS)))
        np.testing.assert_array_equal(call(plain, step, x, touched)[0], call(general, step, x, touched)[0])


@pytest.mark.parametrize(
    "form",
    [Leaky(tau=3.0), Leaky(tau=2.0, v_reset=None), Leaky(tau=2.0, strict=True), Leaky(rate=RATES), Decay(0.5),
     Leaky(tau=2.0, input="whole")],
    ids=str,
)  # fmt: skip
def test_the_general_population_is_chosen_elsewhere(form):
    assert type(make(form, np.zeros(N_CHANNELS), kind=population)) is FormPopulation


def test_a_bias_by_place_needs_the_general_population():
    by_place = np.zeros((4, N_CHANNELS))
    assert type(make(Leaky(tau=2.0), by_place, kind=population)) is FormPopulation
    current = Current(4, N_CHANNELS)
    current.add_bias(by_place)
    with pytest.raises(NetworkError, match="neurons: its current has a bias for each place"):
        Population("neurons", current, (4, N_CHANNELS), "token,channel")


# --- verification -----------------------------------------------------------------------------------------------------


@forms
def test_a_snapshot_tells_the_charge_of_any_neuron(rng, form):
    neurons = make(form, dyadic(rng, N_CHANNELS, scale=0.2))
    for step in range(6):
        touched = (rng.random(4) < 0.5).astype(np.uint8)
        rows = neurons.current.rows(step)
        rows.value[:], rows.touched[:] = dyadic(rng, 4, N_CHANNELS) * touched[:, None], touched
        charge_of = neurons.snapshot(step)
        told = [charge_of(address)[0] for address in range(neurons.n_neurons)]
        x = rows.value.copy()
        spikes, _ = neurons.handle(step, {})
        sent = spikes.to_dense(neurons.n_neurons)
        for address, h in enumerate(told):
            is_above = neurons.margin(address, h) > 0
            if form.sends == "B" and neurons.margin(address, h) != 0:
                assert is_above == bool(sent[address]), (address, h, x)


@pytest.mark.parametrize("form", [LateReset(0.5), Leaky(tau=2.0, v_reset=None), IntegerLeak(0.5), Signed()], ids=str)
def test_an_overruled_neuron_goes_on_as_if_it_had_sent_that(form):
    neurons = make(form, np.zeros(N_CHANNELS), 1)
    call(neurons, 0, np.full((1, N_CHANNELS), 0.9), np.ones(1, np.uint8))
    neurons.overrule(2, 0.9, 1)
    expected = {
        "LateReset": np.nextafter(np.float32(1), np.float32(2)),
        "Leaky": -0.1,
        "IntegerLeak": -0.1,
        "Signed": 0,
    }
    assert neurons._v[0, 2] == pytest.approx(expected[type(form).__name__], abs=1e-6)


def test_margins_of_graded_neurons_are_those_to_the_next_level():
    integer = make(IntegerLeak(0.25, 4), np.zeros(N_CHANNELS))
    assert integer.margin(0, 1.4) == pytest.approx(-0.1)
    assert integer.margin(0, 0.6) == pytest.approx(0.1)
    assert integer.margin(0, 9.0) == pytest.approx(5.5)
    assert integer.margin(0, -3.0) == pytest.approx(-3.5)
    assert make(Signed(1.0, 2.0), np.zeros(N_CHANNELS)).margin(0, -2.5) == pytest.approx(0.5)


# --- forms as values --------------------------------------------------------------------------------------------------


@forms
def test_a_form_goes_through_a_file(form):
    stored = json.loads(json.dumps(form.to_dict()))
    again = read_form(stored)
    assert type(again) is type(form)
    assert again.to_dict() == form.to_dict()


@pytest.mark.parametrize(
    ("make_form", "words"),
    [
        (lambda: Leaky(), "Leaky: expected a tau or a rate"),
        (lambda: Leaky(tau=2.0, rate=0.5), "expected a tau or a rate"),
        (lambda: Leaky(tau=0.5), "tau = 0.5, expected 1 or more"),
        (lambda: Leaky(rate=1.5), "rate = 1.5, expected 0 to 1"),
        (lambda: Leaky(tau=2.0, input="wild"), "input = 'wild'"),
        (lambda: Leaky(tau=float("nan")), "tau = nan, expected finite numbers"),
        (lambda: Decay(-0.1), "decay = .*, expected 0 to 1"),
        (lambda: LateReset(0.5, reset="soon"), "reset = 'soon'"),
        (lambda: IntegerLeak(0.5, 0), "high = .*, expected 1 to"),
        (lambda: IntegerLeak(0.5, 2**21), "high = .*, expected 1 to"),
        (lambda: Quantiser(1, 4), "low = .*, expected"),
        (lambda: Quantiser(0, 4, "down"), "ties = 'down', expected even or up"),
        (lambda: read_form({"form": "Quantiser", "ties": 1}), "Quantiser: ties = 1"),
        (lambda: Signed(-2.0, 1.0), "the negative threshold is above the positive one"),
        (lambda: read_form({"form": "Lapicque"}), "neurons of the form 'Lapicque', expected one of Leaky"),
        (lambda: read_form({"form": ["x"]}), r"neurons of the form \['x'\]"),
        (lambda: read_form({"form": "Decay", "decay": 0.5, "wings": 2}), "Decay: has no wings"),
        (lambda: read_form({"form": "Decay"}), "Decay: .*decay"),
        (lambda: read_form({"form": "Decay", "decay": "much"}), "Decay: decay = 'much'"),
        (lambda: read_form({"form": "Decay", "decay": [[1]]}), r"Decay: decay = \[\[1\]\]"),
        (lambda: read_form({"form": "Decay", "decay": None}), "Decay: "),
        (lambda: read_form({"form": "Leaky", "tau": 2.0, "strict": 1}), "strict = 1"),
        (lambda: make(Leaky(rate=np.ones(3)), np.zeros(N_CHANNELS)), "3 constants by channel, its current has 4"),
    ],
)
def test_forms_that_make_no_neuron_are_refused(make_form, words):
    with pytest.raises(NetworkError, match=words):
        make_form()


def test_every_form_is_tried():
    assert {type(form) for form in CASES.values()} == set(FORMS.values())


def test_fixed_point_is_refused_with_a_reason():
    with pytest.raises(
        NetworkError, match="neurons of the form Decay cannot run in whole numbers \\(these need a hard"
    ):
        make(Decay(0.5), np.zeros(N_CHANNELS)).fix(Fixing)
