"""The monitor of SpikingResformer, layer by layer, against its own output on the official model."""

from __future__ import annotations

import json
import os

import pytest

from evsim.auditing.conventions import conventions
from evsim.auditing.layers import audit_run, describe, log_for
from evsim.auditing.lint import check_claims, find_places
from evsim.auditing.replay import describe_trace
from evsim.engine.network import INPUT
from evsim.engine.simulator import simulate
from evsim.handlers.geometry import Attention
from evsim.loading.importing import build_network, import_checkpoint
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.trace import Probe, Trace

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")

FIXTURES = {"resf_cifar_style": None, "resf_static_imagenetstem": None, "resf_dvsg_style_plif": "on_off_sum"}


@pytest.fixture(scope="module", params=FIXTURES, name="official")
def _official(request, shared):
    """Weights, network, the steps of every sample, and what the official monitor printed."""
    folder, name = shared / "fixtures", request.param
    weights, _ = import_checkpoint(str(folder / f"{name}.pth"), {"img_size": "32", "n_steps": "4"})
    network = build_network(weights)
    fit = Preparation(fit=FIXTURES[name])
    samples = [
        fit_recording(network, weights, x, fit).spikes for x in read_reference(folder / f"{name}.npz").recordings()
    ]
    return weights, network, samples, json.loads((folder / f"{name}.json").read_text())["sops_per_image"]


def test_the_monitor_agrees_with_its_own_output(official):
    """Per image: the official numbers are a mean over the batch."""
    _, network, samples, printed = official
    tallies = [conventions()["spikingresformer-monitor"].count(audit_run(network, steps)[0]) for steps in samples]
    for name, sops in printed["per_layer"].items():
        assert sum(tally.charges[name].acs for tally in tallies) / len(tallies) == pytest.approx(sops, abs=1e-6), name
    assert sum(tally.acs for tally in tallies) / len(tallies) == pytest.approx(printed["total"], abs=1e-6)
    energy = sum(tally.energy_pj for tally in tallies) / len(tallies)
    assert energy / 1e9 == pytest.approx(printed["energy_mJ_official"], rel=1e-9)
    assert all(tally.macs == 0 for tally in tallies)


def test_heads_add_up_and_a_trace_says_the_same(official):
    weights, network, samples, _ = official
    log, probe = log_for(network), Probe([INPUT, *(p.name for p in network.populations())])
    result = simulate(network, samples[0], [log, probe])
    run = describe(network, log, result.ledger, result.n_steps)
    attentions = [layer for layer in run.layers if isinstance(layer.geometry, Attention)]
    assert attentions
    for layer in attentions:
        assert sum(head.acs for head in layer.heads) == layer.counts.acs
    provenance = {"network": weights.header["family"], "hyper_parameters": weights.header["hyper_parameters"]}
    again = describe_trace(Trace.collect(network, probe, result, provenance))
    for name, convention in conventions().items():
        ours, theirs = convention.count(run), convention.count(again)
        assert (ours.acs, ours.macs) == (theirs.acs, theirs.macs), name
        assert sum(part.acs for part in ours.by_cause().values()) == pytest.approx(ours.acs)


def test_lint_finds_the_scales_and_the_real_head(official):
    _, network, samples, _ = official
    run = audit_run(network, samples[0])[0]
    kinds = {place.kind for place in find_places(run)}
    assert {"scaled product", "average before the head", "real-valued head"} <= kinds
    assert not all(claim.holds for claim in check_claims(run))


def test_spikingjelly_counts_a_row_for_each_spike():
    """Real values times spikes: nnz * rows, as many as the kernel adds."""
    torch = pytest.importorskip("torch")
    from tests import peers

    spikes = (torch.rand(2, 3, 8, 20) < 0.2).float()
    synops, acs, macs = peers.spikingjelly_counts(lambda: torch.randn(2, 3, 5, 8) @ spikes)
    assert (synops, acs, macs) == (5 * int(spikes.sum()), 5 * int(spikes.sum()), 0)
