"""A tiny Spike-driven Transformer with random dyadic weights, against the model written out densely in float64."""

import numpy as np
import pytest

from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.networks import sdt
from tests import twins
from tests.contract import dyadic, needs_jit, same_spikes
from tests.dense_sdt import DenseSdt

pytestmark = needs_jit

HP = {"depth": 1, "n_channels": 16, "n_heads": 4, "mlp_ratio": 2, "in_channels": 2, "n_classes": 5, "n_steps": 4}
STEM = {"height": 16, "width": 16, "pooling_stat": "0111"}
VARIANTS = {
    "plain": {"spike_mode": "lif", "dvs_mode": False},
    "plif": {"spike_mode": "plif", "dvs_mode": False},
    "event camera": {"spike_mode": "lif", "dvs_mode": True, "pooling_stat": "0011"},
    "two blocks, 32 channels": {
        "spike_mode": "plif",
        "dvs_mode": True,
        "depth": 2,
        "n_channels": 32,
        "pooling_stat": "0011",
    },
    "last stage unpooled": {"spike_mode": "lif", "dvs_mode": False, "pooling_stat": "0110", "width": 8},
    "other neurons": {
        "spike_mode": "lif",
        "dvs_mode": False,
        "tau": 4.0,
        "v_threshold": 0.125,
        "v_reset": -0.0625,
        "attn_v_threshold": 0.375,
    },
    "PLIF of another threshold": {"spike_mode": "plif", "dvs_mode": False, "v_threshold": 0.75, "v_reset": 0.125},
    "mlp ratio 1": {"spike_mode": "lif", "dvs_mode": False, "mlp_ratio": 1},
}
INPUTS = ["events", "counts", "still image"]


def random_tensors(rng, hp):
    """Weights of which float32 sums are exact in any order, scaled so that some neurons fire everywhere."""
    tensors = {}
    for name, shape in sdt.tensor_shapes(hp)[0].items():
        if name.endswith("running_var"):
            tensors[name] = np.full(shape, 1 - 1e-5)  # + eps = 1
        elif name.endswith("_bn.weight") or ("_bn" in name and name.endswith(".weight")):
            tensors[name] = rng.choice([1.0, 1.5, 2.0], shape)
        elif "_bn" in name:
            tensors[name] = dyadic(rng, *shape, scale=0.25, unit=16)
        elif name.endswith(".w"):
            tensors[name] = np.float64(rng.normal())
        else:
            tensors[name] = dyadic(rng, *shape, scale=2.5 / np.sqrt(np.prod(shape[1:]) or 1), unit=64)
    return tensors


def random_frames(rng, hp, kind):
    shape = (hp.n_steps, hp.height, hp.width, hp.in_channels)
    if kind == "still image":
        return np.repeat(dyadic(rng, 1, *shape[1:]), hp.n_steps, axis=0)
    frames = rng.random(shape) < 0.2
    return frames if kind == "events" else frames * rng.integers(1, 5, shape)


def recording_of(frames, kind):
    if kind == "still image":
        return [Spikes.from_dense(frames[0])] * len(frames)
    return [Spikes.from_dense(frame) for frame in frames]


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def tiny(request):
    """(hyper-parameters, tensors, network) of one variant."""
    hp = sdt.HyperParameters(**{**HP, **STEM, **VARIANTS[request.param]})
    tensors = random_tensors(np.random.default_rng(7), hp)
    return hp, tensors, sdt.build(tensors, hp)


@pytest.fixture(scope="module", params=INPUTS)
def scene(request, tiny):
    """(frames, recording) of one kind of input."""
    frames = random_frames(np.random.default_rng(11), tiny[0], request.param)
    return frames, recording_of(frames, request.param)


@pytest.mark.parametrize("order", ["step", "stage"])
def test_every_spike_and_logit_equals_the_model_written_out(tiny, scene, order):
    hp, tensors, net = tiny
    frames, recording = scene
    dense, recorder = DenseSdt(tensors, hp), twins.Recorder()
    logits = dense.run(frames)
    result = simulate(net, recording, [recorder], order)
    assert {p.name for p in net.populations()} == dense.spikes.keys()
    for population in net.populations():
        expected = np.stack(dense.spikes[population.name])
        for step in range(hp.n_steps):
            sent = recorder.sent.get((population.name, step), Spikes.none())
            found = sent.to_dense(population.n_neurons)
            np.testing.assert_array_equal(found, expected[step].reshape(-1), err_msg=f"{population.name} {step}")
        assert expected.any(), f"{population.name} is too quiet to mean anything"
    np.testing.assert_allclose(result.logits_by_step, logits, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(result.logits, logits.mean(axis=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("order", ["step", "stage"])
def test_the_ledger_equals_the_recount(tiny, scene, order):
    _, _, net = tiny
    recorder = twins.Recorder()
    result = simulate(net, scene[1], [recorder], order)
    recount = twins.recount(net, recorder.sent, len(scene[1]))
    assert {(name, step): counts for name, step, counts in result.ledger.rows()} == recount.rows
    assert result.ledger.total() == sum(recount.rows.values(), start=type(result.ledger.total())())
    for (name, step), spikes in recorder.sent.items():
        if name != "input":
            assert same_spikes(spikes, recount.sent[name, step]), f"{name} at step {step}"


def test_in_silence_only_populations_that_wake_themselves_start_anything(tiny):
    hp, _, net = tiny
    result = simulate(net, [Spikes.none()] * hp.n_steps)
    first = next(iter(result.ledger.rows()), None)
    self_waking = [population.name for population in net.populations() if population.wakes_itself]
    assert (first is None) == (not self_waking)
    assert first is None or first[0] == self_waking[0]
    assert result.ledger.total("patch_embed.proj_conv") == type(result.ledger.total())()
