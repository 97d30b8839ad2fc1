"""The audit of spiking self-attention, of integer streams and of a head that reads a mean."""

from __future__ import annotations

import os
from dataclasses import asdict

import numpy as np
import pytest

from evsim.auditing.conventions import conventions
from evsim.auditing.layers import describe, log_for
from evsim.auditing.lint import check_claims, find_places
from evsim.auditing.replay import describe_trace
from evsim.engine.network import INPUT
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.geometry import Attention
from evsim.networks import spikformer
from evsim.traces.trace import Probe, Trace
from tests import audit_runs, twins
from tests.random_spikformer import random_tensors, tune

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")

N_STEPS, SIDE, N_CHANNELS, N_CLASSES = 3, 32, 32, 10


@pytest.fixture(scope="module", params=spikformer.VARIANTS, name="audited")
def _audited(request):
    """Hyper-parameters, network, recorder, trace and description of a small random Spikformer."""
    constants = spikformer.VARIANTS[request.param]
    hp = spikformer.HyperParameters(
        variant=request.param, depth=2, n_channels=N_CHANNELS, n_heads=4, mlp_ratio=4, in_channels=2,
        n_classes=N_CLASSES, n_steps=N_STEPS, height=SIDE, width=SIDE, attn_scale=constants.attn_scale,
        pooling_stat=constants.pooling_stat,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    tensors = random_tensors(spikformer.tensor_shapes(hp)[0], rng)
    steps = [Spikes.from_dense(rng.poisson(0.3, (SIDE, SIDE, 2))) for _ in range(N_STEPS)]
    tune(spikformer, hp, tensors, steps)
    network = spikformer.build(tensors, hp)
    recorder, log = twins.Recorder(), log_for(network)
    probe = Probe([INPUT, *(p.name for p in network.populations())])
    result = simulate(network, steps, [recorder, log, probe])
    provenance = {"network": "spikformer", "hyper_parameters": asdict(hp)}
    trace = Trace.collect(network, probe, result, provenance)
    return hp, recorder, trace, describe(network, log, result.ledger, N_STEPS)


def _attentions(run):
    return [layer for layer in run.layers if isinstance(layer.geometry, Attention)]


def test_heads_add_up(audited):
    for layer in _attentions(audited[3]):
        assert layer.counts.acs > 0
        assert sum(head.acs for head in layer.heads) == layer.counts.acs
        assert sum(head.masks for head in layer.heads) == layer.counts.masks


def test_a_trace_says_the_same_as_the_run(audited):
    _, _, trace, run = audited
    again = describe_trace(trace)
    for name, convention in conventions().items():
        ours, theirs = convention.count(run), convention.count(again)
        assert (ours.acs, ours.macs) == (theirs.acs, theirs.macs), name
    assert [layer.heads for layer in again.layers] == [layer.heads for layer in run.layers]


@pytest.mark.parametrize("name", conventions())
def test_a_convention_is_the_literal_count_plus_its_causes(audited, name):
    tally = conventions()[name].count(audited[3])
    assert sum(part.acs for part in tally.by_cause().values()) == pytest.approx(tally.acs)
    assert min(charge.acs for charge in tally.charges.values()) > -1e-6
    assert np.isfinite(tally.acs + tally.macs + tally.energy_pj)


def test_spikingjelly_counts_the_products_of_the_official_order(audited):
    torch = pytest.importorskip("torch")
    from tests import peers

    hp, recorder, _, run = audited
    charges = conventions()["spikingjelly"].count(run).charges
    for layer in _attentions(run):
        q, k, v = (
            torch.from_numpy(_by_head(recorder, layer.operands[port].source, layer.geometry)).float() for port in "qkv"
        )
        if hp.variant == "imagenet":
            counted = peers.spikingjelly_counts(lambda q=q, k=k, v=v: q @ (k.transpose(-2, -1) @ v))
        else:
            counted = peers.spikingjelly_counts(lambda q=q, k=k, v=v: ((q @ k.transpose(-2, -1)) * 0.125) @ v)
        synops, acs, macs = counted
        assert (charges[layer.name].acs, charges[layer.name].macs) == (synops, macs) == (acs, 0)


def _by_head(recorder, source, geometry):
    """float [n_steps, heads, tokens, channels] of what a source sent."""
    sent = [recorder.sent.get((source, step), Spikes.none()) for step in range(N_STEPS)]
    flat = np.stack([spikes.to_dense(geometry.n_places) for spikes in sent])
    shape = (N_STEPS, geometry.n_tokens, geometry.n_heads, geometry.head_channels)
    return np.ascontiguousarray(flat.reshape(shape).transpose(0, 2, 1, 3))


def test_the_tool_misses_linear_layers_and_runs_the_head_once(audited):
    hp, _, _, run = audited
    tally = conventions()["spikingformer-tool"].count(run)
    assert tally.charges["head"].macs == N_CHANNELS * N_CLASSES + N_CLASSES
    busy = [layer for layer in run.synapses if layer.operand.events.any()]
    missed = [x.name for x in busy if tally.charges[x.name].acs + tally.charges[x.name].macs == 0]
    assert [name for name in missed if "_linear" not in name] == []
    assert len(missed) > 8 or hp.variant != "cifar10"
    assert any("missed" in remark for remark in tally.remarks) == bool(missed)


def test_integer_streams_are_products_for_most(audited):
    run = audited[3]
    layer = audit_runs.layer(run, "block.1.mlp.fc1_" + ("linear" if audited[0].variant == "cifar10" else "conv"))
    assert not layer.operand.is_binary
    dense = layer.geometry.dense_macs * N_STEPS
    for name in ("syops", "spikingjelly"):
        charge = conventions()[name].count(run).charges[layer.name]
        assert (charge.macs >= dense) == (charge.acs < dense)
    assert conventions()["neurobench"].count(run).charges[layer.name].macs == layer.counts.event_acs
    assert conventions()["literal"].count(run).charges[layer.name].acs == layer.counts.acs > layer.counts.event_acs


def test_lint_finds_sums_scales_and_the_head(audited):
    run = audited[3]
    kinds = {place.kind for place in find_places(run)}
    assert {
        "sum of spikes (SEW)",
        "integer spikes",
        "average before the head",
        "real-valued head",
    } <= kinds
    assert "scaled product" not in kinds  # a scale that is a power of two is a shift
    assert [claim.holds for claim in check_claims(run)][1:] == [False, False, True]
