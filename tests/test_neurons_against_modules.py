"""Every form against the module it stands for: 6 steps of 4096 random currents, no spike may differ."""

import numpy as np
import pytest

from evsim.engine.current import Current
from evsim.handlers.neuron_forms.forms import Decay, IntegerLeak, LateReset, Leaky, Norse, Quantiser, Signed
from evsim.handlers.neuron_forms.population import FormPopulation, population
from tests.contract import needs_jit

torch = pytest.importorskip("torch")
pytestmark = needs_jit

N_STEPS, N_NEURONS, N_CHANNELS = 6, 4096, 64
PRIMES = np.float32(1 / np.array([2, 3, 5, 7, 11, 13, 17, 19] * 8))  # no two channels alike


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def spikes_of(form, currents, kind=population):
    """What our population sends, [n_steps, n_neurons]."""
    current = Current(N_NEURONS // N_CHANNELS, N_CHANNELS)
    current.join_writer("writer")
    neurons = kind("neurons", current, (current.n_places, N_CHANNELS), "token,channel", form)
    sent = []
    for step, x in enumerate(currents):
        rows = current.rows(step)
        rows.value[:], rows.touched[:] = x.reshape(-1, N_CHANNELS), 1
        sent.append(neurons.handle(step, {})[0].to_dense(N_NEURONS))
    return np.stack(sent)


def assert_same(form, module, unit=1.0, scale=1.5, kind=population):
    """`module(x)` of one step returns its spikes, in multiples of `unit`."""
    rng = np.random.default_rng(7)
    currents = np.float32(rng.normal(0.3, scale, (N_STEPS, N_NEURONS)))
    expected = np.stack([module(torch.tensor(x.reshape(-1, N_CHANNELS))).numpy().reshape(-1) for x in currents])
    found = spikes_of(form, currents, kind)
    assert np.count_nonzero(expected) > 500
    assert np.count_nonzero(found * np.float32(unit) != expected) == 0


# --- SpikingJelly -----------------------------------------------------------------------------------------------------


def sj(name, **options):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    return getattr(neuron, name)(step_mode="s", **options)


@pytest.mark.parametrize("tau", [2.0, 4.0, 3.0, 1.37])
@pytest.mark.parametrize("v_reset", [0.0, -0.3, 0.2, None])
@pytest.mark.parametrize("decays", [True, False])
def test_lif_of_spikingjelly(tau, v_reset, decays):
    form = Leaky(0.7, v_reset, tau=tau, input="decays" if decays else "whole")
    assert_same(form, sj("LIFNode", tau=tau, v_threshold=0.7, v_reset=v_reset, decay_input=decays))


@pytest.mark.parametrize("v_reset", [0.0, -0.3, None])
@pytest.mark.parametrize("decays", [True, False])
def test_plif_of_spikingjelly(v_reset, decays):
    module = sj("ParametricLIFNode", init_tau=2.7, v_threshold=0.7, v_reset=v_reset, decay_input=decays)
    rate = module.w.sigmoid().item()
    assert_same(Leaky(0.7, v_reset, rate=rate, input="decays" if decays else "whole"), module)


@pytest.mark.parametrize("v_reset", [0.0, -0.3, None])
def test_if_of_spikingjelly(v_reset):
    assert_same(Leaky(0.7, v_reset, input="integrates"), sj("IFNode", v_threshold=0.7, v_reset=v_reset))


@pytest.mark.parametrize("v_reset", [0.0, 0.2, None])
def test_ternary_if_of_spikingjelly(v_reset):
    module = sj("TernaryIFNode", v_threshold=0.8, v_reset=v_reset)
    assert_same(Signed(0.8, 0.8, v_reset=v_reset, symmetric=True), module)


def test_integer_lif_of_spikingjelly():
    module = sj("ILIFNode", v_threshold=0.9)
    high = module.surrogate_function.max_spike_count
    assert_same(IntegerLeak(np.float32(1) - np.float32(1 / module.tau), high, 0.9), module)


# --- snnTorch ---------------------------------------------------------------------------------------------------------


def stateful(module):
    """A module that returns (spikes, *states), as a function of the current alone."""
    states = []

    def run(x):
        spikes, *states[:] = module(x, *states)
        return spikes

    return run


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("by_channel", [False, True])
def test_leaky_of_snntorch(reset, by_channel):
    snn = pytest.importorskip("snntorch")
    beta, threshold = (torch.tensor(1 - PRIMES), torch.tensor(0.5 + PRIMES)) if by_channel else (0.85, 0.9)
    module = snn.Leaky(beta=beta, threshold=threshold, reset_mechanism=reset)
    form = LateReset(module.beta.clamp(0, 1).numpy(), module.threshold.numpy(), reset)
    assert_same(form, stateful(module))


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_synaptic_of_snntorch(reset):
    snn = pytest.importorskip("snntorch")
    module = snn.Synaptic(alpha=0.7, beta=0.85, threshold=0.9, reset_mechanism=reset)
    form = LateReset(module.beta.numpy(), module.threshold.numpy(), reset, alpha=module.alpha.numpy())
    assert_same(form, stateful(module))


def test_graded_spikes_of_snntorch_are_worth_their_factor():
    snn = pytest.importorskip("snntorch")
    module = snn.Leaky(beta=0.85, threshold=0.9, graded_spikes_factor=0.3)
    assert_same(LateReset(module.beta.numpy(), 0.9), stateful(module), unit=0.3)


# --- norse ------------------------------------------------------------------------------------------------------------


def norse_cell(module):
    states = [None]

    def run(x):
        spikes, states[0] = module(x, states[0])
        return spikes

    return run


def test_lif_box_of_norse():
    norse = pytest.importorskip("norse.torch")
    module = norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.as_tensor(0.4), v_reset=torch.as_tensor(-0.1)))
    rate = (module.dt * module.p.tau_mem_inv).item()
    assert_same(Norse(rate, 0.0, 0.4, -0.1), norse_cell(module), scale=4)


def test_lif_of_norse():
    norse = pytest.importorskip("norse.torch")
    module = norse.LIFCell(norse.LIFParameters(v_th=torch.as_tensor(0.4), v_leak=torch.as_tensor(0.05)))
    rates = [(module.dt * tau).item() for tau in (module.p.tau_mem_inv, module.p.tau_syn_inv)]
    assert_same(Norse(rates[0], 0.05, 0.4, 0.0, rates[1]), norse_cell(module), scale=4)


# --- classes that come with a model, not with a package ---------------------------------------------------------------


def mem_update(x, state, decay, threshold):
    """As the official MS-ResNet computes it: V = decay * V * (1 - S) + X, S = V > threshold."""
    v = x if not state else decay * state[0] * (1 - state[1]) + x
    state[:] = [v, (v > threshold).float()]
    return state[1]


def test_membrane_update_of_ms_resnet():
    state = []
    assert_same(Decay(0.25, 0.5, strict=True), lambda x: mem_update(x, state, 0.25, 0.5))


def test_integer_membrane_update_of_spike_yolo():
    state = []

    def update(x):
        v = x if not state else (state[0] - state[1]) * 0.25 + x
        state[:] = [v, torch.round(torch.clamp(v, 0, 4))]
        return state[1]

    assert_same(IntegerLeak(0.25, 4), update, scale=3)


@pytest.mark.parametrize(("low", "high", "norm"), [(0, 4, 4), (0, 8, 1), (-2, 3, 2)])
def test_stateless_quantiser(low, high, norm):
    assert_same(Quantiser(low, high), lambda x: torch.round(torch.clamp(x, low, high)) / norm, unit=1 / norm, scale=3)


def test_ties_are_rounded_to_even_as_torch_does():
    x = np.arange(-10, 54, dtype=np.float32) / 4
    currents = np.tile(x, (1, N_NEURONS // N_CHANNELS))
    expected = torch.round(torch.clamp(torch.tensor(x), 0, 8)).numpy()
    np.testing.assert_array_equal(spikes_of(Quantiser(0, 8), currents)[0][:N_CHANNELS], expected)


def test_ties_are_rounded_up_where_the_code_adds_one_half():
    edges = np.nextafter(np.float32(0.5), np.float32([0, 1]))  # the sum of the lower one and 0.5 is rounded to 1
    x = np.concatenate([np.arange(-10, 52, dtype=np.float32) / 4, edges])
    currents = np.tile(x, (1, N_NEURONS // N_CHANNELS))
    expected = torch.floor(torch.clamp(torch.tensor(x), 0, 8) + 0.5).numpy()
    np.testing.assert_array_equal(spikes_of(Quantiser(0, 8, "up"), currents)[0][:N_CHANNELS], expected)
    assert (expected != torch.round(torch.clamp(torch.tensor(x), 0, 8)).numpy()).sum() > 3


@pytest.mark.parametrize("soft", [False, True])
def test_negative_spikes_of_swformer(soft):
    state = []

    def update(x):
        h = (state[0] if state else torch.zeros_like(x)) + x
        spikes = (h - 1.0 >= 0).float() - (-(h + 0.75 + 0.125) >= 0).float()
        after = h - ((spikes > 0) * 1.0 + (spikes < 0) * 0.75) if soft else (1 - spikes.abs()) * h
        state[:] = [after]
        return spikes

    assert_same(Signed(1.0, 0.75, 0.125, None if soft else 0.0), update, kind=FormPopulation)
