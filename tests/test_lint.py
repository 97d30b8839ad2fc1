"""lint: its numbers are counts of the run, the same from a run, a trace and the report page."""

from __future__ import annotations

import numpy as np
import pytest

import evsim
from evsim.auditing.lint import check_claims, find_places, operations
from evsim.auditing.replay import describe_trace
from evsim.engine.ledger import OpCounts
from evsim.handlers.geometry import Neurons
from evsim.loading.zoo import bundled
from evsim.traces.trace import read_trace, write_trace
from tests import audit_runs
from tests.spikformer_checks import needs_jit


def run_of(name):
    return evsim.load(name).run()


@needs_jit
@pytest.mark.parametrize("name", bundled())
def test_a_trace_says_what_the_run_says(name, tmp_path):
    """Which neurons a bias keeps awake follows from weights, which a trace does not have: it keeps the numbers."""
    net = evsim.load(name)
    run = net.run()
    write_trace(tmp_path / "run.h5", run.trace)
    traced = describe_trace(read_trace(tmp_path / "run.h5"))
    assert check_claims(traced) == check_claims(run.audited)
    assert find_places(traced) == find_places(run.audited)
    sleepless = sum(x.geometry.n_sleepless for x in traced.layers if isinstance(x.geometry, Neurons))
    assert 0 < sleepless == sum(p.geometry.n_sleepless for p in net.network.populations())


@needs_jit
@pytest.mark.parametrize(
    ("name", "each"), [("spikingresformer-mnist", 1.49), ("spikingresformer-nmnist", 7.46), ("sdt-nmnist", 0.126)]
)
def test_the_attention_by_token_channel_and_step(name, each):
    """By hand: additions and masks over the tokens and channels of the streams that attend, not of heads or patches."""
    audited = run_of(name).audited
    assert f"{each} for each token, channel and step" in check_claims(audited)[2].evidence
    streams = {
        x.name.rpartition(".")[0]: x.geometry.n_neurons
        for x in audited.layers
        if x.name.endswith(("activation_in", "shortcut_lif"))
    }
    done = sum(x.counts.acs + x.counts.masks for x in audited.layers if hasattr(x.geometry, "mechanism"))
    assert done / (sum(streams.values()) * audited.n_steps) == pytest.approx(each, rel=0.005)


@needs_jit
def test_a_scale_that_is_a_power_of_two_is_a_shift():
    audited = run_of("spikformer-nmnist").audited
    claim = check_claims(audited)[3]
    assert claim.holds
    assert "0 products and 13,184 shifts" in claim.evidence
    assert "scaled product" not in {place.kind for place in find_places(audited)}
    assert "scaled product" in {place.kind for place in find_places(run_of("spikingresformer-mnist").audited)}


@needs_jit
def test_what_is_computed_on_zero_is_a_count_and_a_share():
    audited = run_of("spikformer-nmnist").audited
    claim, totals = check_claims(audited)[0], audited.totals
    assert (totals.macs, totals.zero_macs) == (2_560 - 140, 0)  # 140 products with a mean of 0 are not computed
    assert 0 < totals.silent_updates < totals.updates
    assert claim.share == totals.silent_updates / operations(totals)
    assert "none of 2,420 products had an operand of exactly 0" in claim.evidence
    head = next(place for place in find_places(audited) if place.layer == "head")
    assert head.words.startswith("2,420 MACs on ")
    assert "exactly 0" not in head.words


def test_a_network_that_computes_nothing_on_zero():
    """Every place is reached at every step, nothing has a bias: no update without an event."""
    run = audit_runs.linear_run(np.ones((3, 4, 5), np.float32), 6)
    claim = check_claims(run)[0]
    assert (claim.holds, claim.share) == (True, 0.0)


def test_a_silent_step_is_made_up_for():
    x = np.ones((3, 4, 5), np.float32)
    x[1] = 0
    run = audit_runs.linear_run(x, 6)
    assert run.totals.silent_updates == 4 * 6  # each neuron of lif, once
    assert not check_claims(run)[0].holds


def test_what_the_choice_of_an_order_costs_is_no_operation_of_the_network():
    assert operations(OpCounts(order_ands=7, acs=3, event_acs=2, zero_macs=1, silent_updates=1)) == 3
