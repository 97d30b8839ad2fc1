"""The description of a run: parts add up, heads and steps add up, a trace says the same as a run."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evsim.auditing.audit import Audit
from evsim.auditing.audit_sheets import audit_sheets
from evsim.auditing.conventions import choose_conventions, conventions
from evsim.auditing.dense import dense_twin, matched_bits
from evsim.auditing.energy_model import bundled_models, find_model
from evsim.auditing.formats import format_names, write_report
from evsim.auditing.layers import audit_run
from evsim.auditing.lint import check_claims, find_places
from evsim.auditing.panel import density, energy_panel
from evsim.auditing.replay import describe_trace
from evsim.auditing.sheet import Report
from evsim.auditing.tally import CAUSES
from evsim.auditing.vanilla import TransformerSize, vanilla_transformer_macs
from evsim.engine.network import INPUT
from evsim.engine.simulator import simulate
from evsim.errors import EvsimError
from evsim.handlers.geometry import Synapses
from evsim.handlers.projections.conv import Window
from evsim.loading.importing import build_network, import_checkpoint
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.trace import Probe, Trace, read_trace, write_trace
from tests import audit_runs

BARE = {"n_steps": "4", "pooling_stat": "0011", "dvs_mode": "false", "img_size": "32"}
BUNDLED = {
    "sdt_mlp1": ("sdt_mlp1.legacy_zip_false.pth", BARE),
    "sdt_cifar10dvs_erode_tet": ("sdt_cifar10dvs_erode_tet.model_best.pth.tar", {}),
}


@pytest.fixture(scope="module", params=BUNDLED, name="official")
def _official(request, data):
    """Network, recording and run of an official checkpoint."""
    checkpoint, options = BUNDLED[request.param]
    weights, _ = import_checkpoint(str(data / checkpoint), options)
    network = build_network(weights)
    recording = next(iter(read_reference(data / f"{request.param}.npz").recordings()))
    steps = fit_recording(network, weights, recording, Preparation()).spikes
    run, _ = audit_run(network, steps)
    return weights, network, steps, run


def test_the_description_holds_the_ledger(official):
    _, network, steps, run = official
    ledger = simulate(network, steps).ledger
    assert run.totals == ledger.total()
    for layer in run.layers:
        assert layer.counts == ledger.total(layer.name)
        for step, counts in enumerate(layer.steps):
            assert counts == ledger.total(layer.name, step)


def test_heads_add_up(official):
    layers = [layer for layer in official[3].layers if layer.heads is not None]
    assert len(layers) == 6
    for layer in layers:
        assert sum(head.acs for head in layer.heads) == layer.counts.acs
        assert sum(head.masks for head in layer.heads) == layer.counts.masks
        assert len(layer.heads) == 4


def test_literal_additions_are_events_times_fan_out(official):
    """Counted again without the kernel: a linear layer's fan-out is its width."""
    for layer in official[3].synapses:
        if layer.geometry.window.kernel == 1 and layer.operand.is_binary:
            assert layer.counts.acs == int(layer.operand.events.sum()) * layer.geometry.n_out


@pytest.mark.parametrize("name", conventions())
def test_a_convention_is_the_literal_count_plus_its_causes(official, name):
    run = official[3]
    tally = conventions()[name].count(run)
    assert list(tally.charges) == [layer.name for layer in run.layers]
    for layer in run.layers:
        first = tally.charges[layer.name].parts[0]
        assert (first.cause, first.acs, first.macs) == ("literal", layer.counts.acs, layer.counts.macs)
    parts = tally.by_cause()
    assert set(parts) <= set(CAUSES)
    assert sum(part.acs for part in parts.values()) == pytest.approx(tally.acs)
    assert tally.acs >= 0
    assert min(charge.macs for charge in tally.charges.values()) >= 0


def test_a_trace_says_the_same_as_the_run(official, tmp_path):
    weights, network, steps, run = official
    probe = Probe([INPUT, *(p.name for p in network.populations())])
    result = simulate(network, steps, [probe])
    provenance = {"network": weights.header["family"], "hyper_parameters": weights.header["hyper_parameters"]}
    write_trace(tmp_path / "run.h5", Trace.collect(network, probe, result, provenance))
    again = describe_trace(read_trace(tmp_path / "run.h5"))
    assert again.totals == run.totals
    for name, convention in conventions().items():
        ours, theirs = convention.count(run), convention.count(again)
        assert (ours.acs, ours.macs) == (theirs.acs, theirs.macs), name
    assert [layer.heads for layer in again.layers] == [layer.heads for layer in run.layers]


def test_a_trace_without_a_network_is_refused(official, tmp_path):
    _, network, steps, _ = official
    probe = Probe([INPUT, *(p.name for p in network.populations())])
    trace = Trace.collect(network, probe, simulate(network, steps, [probe]), {"network": "unheard-of"})
    with pytest.raises(EvsimError, match="does not describe a network"):
        describe_trace(trace)


def test_the_rate_before_a_pool_is_lower_than_the_map_behind_it():
    """Section 3c of the note: dilation by a 3x3 window of stride 2 multiplies the density."""
    from evsim.loading.importing import load_network
    from evsim.loading.zoo import find_weights, zoo_folder
    from evsim.runs.preparation import prepare_input

    network, weights = load_network(find_weights("sdt-nmnist"))
    steps = prepare_input(network, weights, str(zoo_folder() / "nmnist_digit_3.h5"), Preparation())
    run, _ = audit_run(network, steps.spikes)
    layer = audit_runs.layer(run, "patch_embed.proj_conv3")
    assert layer.operand.density > 2 * layer.population_rate
    paper = conventions()["sdt-paper"].count(run)
    assert paper.by_cause()["pool position"].acs < 0
    claims = [claim.holds for claim in check_claims(run)]
    assert claims == [False, False, True, True]
    kinds = {place.kind for place in find_places(run)}
    assert kinds == {
        "event counts as input", "max-pool on membrane values", "average before the head", "awake without events",
    }  # fmt: skip


def test_inner_products_by_brute_force():
    for kernel, stride, padding, size in ((3, 1, 1, 7), (3, 2, 1, 8), (7, 2, 3, 9), (4, 4, 0, 8), (1, 1, 0, 5)):
        window = Window(size, size + 1, kernel, stride, padding)
        geometry = Synapses(window, 6, 4, groups=2)
        x = np.ones((1, size, size + 1, 6), np.float32)
        run = audit_runs.conv_run(x, 4, kernel, stride, padding, groups=2)
        assert geometry.inner_macs == audit_runs.layer(run, "conv").counts.acs
        assert geometry.dense_macs >= geometry.inner_macs
        assert density(run) <= 1


def test_the_dense_twin_and_its_bits(official):
    run = official[3]
    twin = dense_twin(run)
    assert all(twin[layer.name].macs == layer.geometry.inner_macs for layer in run.synapses)
    assert [matched_bits(n) for n in (1, 2, 3, 4, 7, 8, 10, 16)] == [1, 2, 2, 3, 3, 4, 4, 5]


def test_the_dense_twin_is_the_vanilla_transformer(official):
    """The same sum from the layers of a run and from the formula of the paper, borders taken as if they held values."""
    weights, _, _, run = official
    hp = weights.header["hyper_parameters"]
    sizes = ("height", "width", "in_channels", "n_channels", "depth", "n_classes", "mlp_ratio", "pooling_stat")
    formula = vanilla_transformer_macs(TransformerSize(**{name: hp[name] for name in sizes}))
    twin = dense_twin(run)
    attention = sum(cost.macs for name, cost in twin.items() if name.endswith("kv_sum"))
    assert sum(layer.geometry.dense_macs for layer in run.synapses) + attention == sum(formula.values())


@pytest.mark.parametrize("name", bundled_models())
def test_every_panel_adds_up(official, name):
    run, model = official[3], find_model(name)
    panel = energy_panel(run, model)
    spiking = panel.rows[0]
    assert spiking.total == pytest.approx(sum(value for value in spiking.parts.values() if value is not None))
    assert spiking.total > 0
    for row in panel.rows:
        assert row.assumptions
        if row.ratio is not None and row is not spiking:
            assert row.ratio == pytest.approx(row.total / spiking.total)
    if model.unverified:
        assert "unverified" in " ".join(spiking.assumptions)


def test_the_break_even_density_makes_both_cost_the_same():
    """Without membranes or biases priced, energy is proportional to density: s* / s is the ratio itself."""
    rng = np.random.default_rng(0)
    run = audit_runs.linear_run((rng.random((4, 10, 12)) < 0.3).astype(np.float32), 8)
    panel = energy_panel(run, find_model("pair_4.6_0.9"))
    dense = panel.rows[1]
    assert dense.break_even == pytest.approx(panel.density * dense.ratio)
    matched = panel.rows[2]
    assert matched.break_even == pytest.approx(matched_bits(4) / 4)


@pytest.mark.parametrize("name", format_names())
def test_a_recording_without_events_is_reported_too(name):
    """Zeros everywhere, no ratio of them, and no division by them."""
    run = audit_runs.linear_run(np.zeros((2, 3, 4), np.float32), 5)
    models = [find_model(model) for model in bundled_models()]
    report = Report("silence", audit_sheets(Audit([run, run], list(conventions().values()), models)), {"command": "-"})
    text = write_report(report, name)
    assert not re.search(r"\b(nan|inf)\b", text.lower())


def test_an_unknown_convention():
    with pytest.raises(EvsimError, match="--convention spreadsheet: unknown"):
        choose_conventions("spreadsheet")
    assert [c.NAME for c in choose_conventions("syops")] == ["literal", "syops"]
