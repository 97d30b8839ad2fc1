"""The audit of dual spike self-attention: the official monitor's figures, heads that add up, a trace that tells all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace

import numpy as np
import pytest

from evsim.auditing.conventions import spikingresformer_monitor
from evsim.auditing.dense import dense_twin
from evsim.auditing.layers import audit_run, describe, log_for
from evsim.auditing.replay import describe_trace
from evsim.engine.network import INPUT
from evsim.engine.simulator import simulate
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks import spikingresformer
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.trace import Probe, Trace
from tests.random_resformer import published, random_image, random_tensors

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")


@pytest.mark.parametrize("name", ["resf_static_imagenetstem", "resf_cifar_style", "resf_dvsg_style_plif"])
def test_the_monitor_of_the_authors_says_the_same_of_every_layer(shared, name):
    official = json.loads((shared / f"fixtures/{name}.json").read_text())["sops_per_image"]
    weights, _ = import_checkpoint(str(shared / f"fixtures/{name}.pth"), {"img_size": "32", "n_steps": "4"})
    network, reference = build_network(weights), read_reference(shared / f"fixtures/{name}.npz")
    preparation = Preparation(fit="on_off_sum" if "dvs" in name else None)
    samples = [fit_recording(network, weights, sample, preparation).spikes for sample in reference.recordings()]
    tallies = [spikingresformer_monitor.count(audit_run(network, sample)[0]) for sample in samples]
    for layer, sops in official["per_layer"].items():
        assert np.mean([tally.charges[layer].acs for tally in tallies]) == sops
    assert np.mean([tally.acs for tally in tallies]) == official["total"]
    assert np.mean([tally.energy_pj for tally in tallies]) * 1e-9 == pytest.approx(official["energy_mJ_official"])


@pytest.fixture(scope="module")
def audited():
    """Trace and description of a small random network."""
    hp = replace(published("cifar", 5, 16), n_channels=(8, 12, 16), n_heads=(1, 3, 2), group_size=4)
    network, recording = spikingresformer.build(random_tensors(hp), hp), random_image(hp)
    log, probe = log_for(network), Probe([INPUT, *(p.name for p in network.populations())])
    result = simulate(network, recording, [log, probe])
    provenance = {"network": "spikingresformer", "hyper_parameters": json.loads(json.dumps(asdict(hp)))}
    trace = Trace.collect(network, probe, result, provenance)
    return trace, describe(network, log, result.ledger, hp.n_steps)


def test_heads_add_up_to_their_products(audited):
    products = [layer for layer in audited[1].layers if "matmul" in layer.name]
    assert len(products) == 2 * (1 + 2 + 3)
    for layer in products:
        assert layer.geometry.n_places == layer.operand.size
        assert len(layer.heads) == layer.geometry.n_heads
        assert sum(head.acs for head in layer.heads) == layer.counts.acs > 0


def test_the_dense_twin_multiplies_what_the_official_code_does(audited):
    dense = dense_twin(audited[1])
    n_tokens, n_patches, n_channels = 8 * 8, 4 * 4, 12
    for product in ("matmul1", "matmul2"):
        assert dense[f"layers.1.1.{product}"].macs == n_tokens * n_patches * n_channels


def test_a_trace_tells_the_same_as_the_run(audited):
    trace, run = audited
    replayed = describe_trace(trace)
    assert [layer.name for layer in replayed.layers] == [layer.name for layer in run.layers]
    for found, layer in zip(replayed.layers, run.layers, strict=True):
        assert (found.geometry, found.steps, found.heads) == (layer.geometry, layer.steps, layer.heads), layer.name
