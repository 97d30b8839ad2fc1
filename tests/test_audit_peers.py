"""Each convention against the counter it re-implements, also where that counter is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from evsim.auditing.conventions import neurobench, spikingjelly, syops
from tests import audit_runs, peers

torch = pytest.importorskip("torch")
nn = torch.nn


def _values(kind, shape, rng):
    """Inputs of one kind, float32."""
    spikes = rng.random(shape) < 0.2
    if kind == "corner":
        spikes = np.zeros(shape, bool)
        spikes[:, ::15, ::15, :4] = True
    scale = {"threes": 3, "halves": 0.5}.get(kind, 1)
    if kind == "integers":
        return rng.choice([0, 1, 2], shape, p=[0.7, 0.2, 0.1]).astype(np.float32)
    if kind == "ternary":
        return rng.choice([-1, 0], shape, p=[0.2, 0.8]).astype(np.float32)
    if kind == "image":
        return rng.standard_normal(shape).astype(np.float32)
    return (scale * spikes).astype(np.float32)


CASES = {
    "same": {},
    "corner": {"kind": "corner"},
    "groups": {"groups": 4},
    "stride": {"stride": 2},
    "valid": {"padding": 0},
    "bias": {"bias": True},
    "threes": {"kind": "threes"},
    "halves": {"kind": "halves"},
    "integers": {"kind": "integers"},
    "ternary": {"kind": "ternary"},
    "image": {"kind": "image"},
}


@pytest.fixture(params=CASES, name="case")
def _case(request):
    """A convolution 8 -> 16 of 16x16 over 3 steps: our description of its run, the torch layer, its input."""
    options = dict(CASES[request.param])
    x = _values(options.pop("kind", "spikes"), (3, 16, 16, 8), np.random.default_rng(7))
    run = audit_runs.conv_run(x, 16, **options)
    has_bias = options.pop("bias", False)
    conv = nn.Conv2d(8, 16, 3, bias=has_bias, **{"padding": 1, **options})
    return run, conv, torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


def test_syops_conv(case):
    run, conv, x = case
    charge = syops.count(run).charges["conv"]
    acs, macs = peers.syops_counts(_Flat(conv), x)
    assert charge.acs == pytest.approx(acs, rel=1e-6)
    assert charge.macs == pytest.approx(macs, rel=1e-6)


def test_neurobench_conv(case):
    run, conv, x = case
    charge = neurobench.count(run).charges["conv"]
    assert (charge.acs, charge.macs) == peers.neurobench_counts(conv, x)


def test_spikingjelly_conv(case):
    run, conv, x = case
    charge = spikingjelly.count(run).charges["conv"]
    synops, acs, macs = peers.spikingjelly_counts(lambda: conv(x))
    assert synops == acs
    assert (charge.acs, charge.macs) == (acs, macs)


@pytest.mark.parametrize("bias", [False, True])
def test_linear(bias):
    x = _values("spikes", (4, 10, 12), np.random.default_rng(3))
    run = audit_runs.linear_run(x, 32, bias)
    linear, tensor = nn.Linear(12, 32, bias=bias), torch.from_numpy(x)
    charge = syops.count(run).charges["linear"]
    assert charge.acs == pytest.approx(peers.syops_counts(_Flat(linear), tensor)[0])
    assert neurobench.count(run).charges["linear"].acs == peers.neurobench_counts(linear, tensor)[0]
    assert spikingjelly.count(run).charges["linear"].acs == peers.spikingjelly_counts(lambda: linear(tensor))[1]


def test_syops_counts_neurons_norms_and_pools():
    rng = np.random.default_rng(5)
    x = _values("spikes", (3, 16, 16, 8), rng)
    run = audit_runs.conv_run(x, 16, norm="bn")
    conv, norm = nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
    tensor = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    charge = syops.count(run).charges["conv"]
    model = _Flat(nn.Sequential(conv, norm))
    assert (charge.acs, charge.macs) == pytest.approx(peers.syops_counts(model, tensor))
    neurons = syops.count(run).charges["lif"]
    alone = peers.syops_counts(_Flat(peers.Spiking()), torch.randn(3, 16, 16, 16))
    assert (neurons.acs, neurons.macs) == alone


def test_spikingjelly_counts_batch_norm():
    x = _values("spikes", (3, 16, 16, 8), np.random.default_rng(5))
    run = audit_runs.conv_run(x, 16, norm="bn")
    conv, norm = nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16).eval()
    tensor = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    assert spikingjelly.count(run).charges["conv"].acs == peers.spikingjelly_counts(lambda: norm(conv(tensor)))[1]


def test_spikingjelly_counts_its_own_neuron_as_six_additions():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron", exc_type=ImportError)
    lif = neuron.LIFNode(tau=2.0, step_mode="m", detach_reset=True).eval()
    x = torch.rand(4, 16)
    lif(x)
    lif.reset()
    _, acs, macs = peers.spikingjelly_counts(lambda: lif(x))
    assert macs == 0
    assert acs == spikingjelly.ACS_AN_UPDATE * x.numel()


def test_spike_driven_attention():
    """The column sum: 43 of 640 in the note; SpikingJelly counts the places, syops and NeuroBench nothing."""
    x = _values("spikes", (2, 10, 3 * 64), np.random.default_rng(1)).astype(bool)
    run = audit_runs.sdsa_run(x, n_heads=4)
    q, k, v = (torch.from_numpy(part).float() for part in np.split(x, 3, axis=-1))
    literal = audit_runs.layer(run, "kv_sum").counts.acs
    assert literal == int((k * v).sum())

    def attend():
        return q * ((k * v).sum(dim=-2, keepdim=True) >= 1)

    _, acs, macs = peers.spikingjelly_counts(attend)
    assert (acs, macs) == (2 * (640 - 64), 0)
    ours = spikingjelly.count(run)
    assert sum(ours.charges[name].acs for name in ("kv", "kv_sum", "qkv")) == acs
    for convention in (syops, neurobench):
        charges = convention.count(run).charges
        assert sum(charges[name].acs + charges[name].macs for name in ("kv", "kv_sum", "qkv")) == 0


class _Flat(nn.Module):
    """A model that takes [batch, time, ...] and folds time into the batch, as the official models do."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.anchor = nn.Parameter(torch.zeros(1))  # syops looks for the device of a parameter

    def forward(self, x):
        return self.layer(x.flatten(0, 1))
