"""SpikingResformer: the official code's own spikes, from its own checkpoints; and the published sizes."""

import json
import os
import re
import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import select_tensors
from evsim.checkpoints.weights import Weights
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError, RecordingError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks import recognise, sdt, spikingresformer
from evsim.networks.spikingresformer import build, read_hyper_parameters, tensor_shapes
from evsim.recordings.recording import FrameRecording
from evsim.runs.measures import peak_memory_bytes
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.verify import verify
from tests import twins
from tests.contract import random_spikes, same_spikes
from tests.random_resformer import firing_rates, n_parameters, published, random_image, random_tensors

needs_jit = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")

FIXTURES = {"resf_static_imagenetstem": 185_088, "resf_cifar_style": 1_757_184, "resf_dvsg_style_plif": 1_757_184}
"""Name and neuron-steps compared."""

OPTIONS = {"img_size": "32", "n_steps": "4"}


@pytest.fixture(scope="session")
def loaded(shared):
    """fixture name -> (network, weights, recordings, reference)"""

    def load(name):
        weights, _ = import_checkpoint(str(shared / f"fixtures/{name}.pth"), OPTIONS)
        network, reference = build_network(weights), read_reference(shared / f"fixtures/{name}.npz")
        preparation = Preparation(fit="on_off_sum" if "dvs" in name else None)
        samples = [fit_recording(network, weights, sample, preparation).spikes for sample in reference.recordings()]
        return network, weights, samples, reference

    return {name: load(name) for name in FIXTURES}


@needs_jit
@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize("name", FIXTURES)
def test_every_spike_equals_the_reference(loaded, name, order):
    network, _, samples, reference = loaded[name]
    verification = verify(network, samples, reference, order)
    assert set(reference.spikes) == {population.name for population in network.populations()}
    assert verification.samples == len(samples) == reference.logits.shape[0]
    assert verification.free.compared == verification.local.compared == FIXTURES[name]
    assert verification.free.differing == verification.local.differing == 0
    assert verification.logits_difference < 1e-4
    assert verification.agrees


@needs_jit
@pytest.mark.parametrize("name", FIXTURES)
def test_logits_of_each_step_equal_the_float64_reference(shared, loaded, name):
    network, _, samples, _ = loaded[name]
    with np.load(shared / f"fixtures/{name}.npz") as reference:
        expected = reference["logits_T_f64"]
    for index, sample in enumerate(samples):
        np.testing.assert_allclose(simulate(network, sample).logits_by_step, expected[:, index], atol=1e-5)


@needs_jit
@pytest.mark.parametrize("name", FIXTURES)
def test_additions_equal_the_official_synaptic_operations_layer_by_layer(shared, loaded, name):
    network, _, samples, _ = loaded[name]
    official = json.loads((shared / f"fixtures/{name}.json").read_text())["sops_per_image"]
    ledgers = [simulate(network, sample).ledger.by_handler() for sample in samples]
    found = {layer: sum(ledger[layer].acs for ledger in ledgers) / len(samples) for layer in official["per_layer"]}
    assert found == official["per_layer"]
    assert sum(found.values()) == official["total"]
    assert all(ledger["classifier"].macs == official["macs_classifier_all_steps"] for ledger in ledgers)


@needs_jit
def test_a_still_image_passes_the_stem_once(loaded):
    network, _, samples, _ = loaded["resf_static_imagenetstem"]
    rows = {(name, step): counts for name, step, counts in simulate(network, samples[0]).ledger.rows()}
    for step in range(1, 4):
        assert rows["prologue.0", step].macs == rows["prologue.2", step].comparisons == 0
    assert rows["prologue.0", 0].macs > 0
    assert rows["prologue.2", 0].comparisons > 0


@pytest.fixture(scope="session")
def small():
    """(tensors, hyper-parameters) of a network of a few thousand weights."""
    hp = published("dvsg", n_classes=5, img_size=16)
    hp = replace(hp, n_channels=(8, 12, 16), n_heads=(1, 3, 2), group_size=4)
    return random_tensors(hp), hp


@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize("kind", ["image", "counts", "silence between"])
@pytest.mark.parametrize("stem", ["3x3", "7x7"])
def test_the_ledger_equals_a_recount_from_the_recorded_spikes(small, stem, kind, order):
    hp = replace(small[1], stem=stem, height=16 if stem == "3x3" else 32, width=16)
    network, recording = build(random_tensors(hp), hp), random_image(hp)
    if kind != "image":
        recording = [
            random_spikes(np.random.default_rng(step), hp.height * 16 * 3, 0.2, "integer") for step in range(4)
        ]
    if kind == "silence between":
        recording[1] = recording[2] = Spikes.none()
    recorder = twins.Recorder()
    result = simulate(network, recording, [recorder], order)
    recount = twins.recount(network, recorder.sent, 4)
    assert {(name, step): counts for name, step, counts in result.ledger.rows()} == recount.rows
    for (name, step), spikes in recorder.sent.items():
        assert name == INPUT or same_spikes(spikes, recount.sent[name, step]), f"{name} at step {step}"
    np.testing.assert_allclose(result.logits_by_step, recount.logits_by_step(network, 4), atol=1e-5)


def read(tensors, options=OPTIONS):
    """What import_checkpoint does with tensors."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    hp = read_hyper_parameters(shapes, Choices("file.pth", {}, options))
    return select_tensors("file.pth", tensors, *tensor_shapes(hp))


def test_hyper_parameters_come_back_from_the_shapes(small):
    tensors, hp = small
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    choices = Choices("file.pth", {}, {"img_size": "16", "n_steps": "4"})
    assert recognise("file.pth", shapes) is spikingresformer
    assert read_hyper_parameters(shapes, choices) == hp


@pytest.mark.parametrize("missing", ["img_size", "n_steps"])
def test_what_tensors_cannot_tell_must_be_said(small, missing):
    options = {name: value for name, value in OPTIONS.items() if name != missing}
    with pytest.raises(CheckpointError, match=rf"neither tensors .* tell {missing} \(.*--set {missing}="):
        read(small[0], options)


def test_an_image_that_is_not_square_needs_the_size_of_the_attention_scale(small):
    with pytest.raises(CheckpointError, match=r"scale_size \(side of the square images .* c2"):
        read(small[0], OPTIONS | {"img_size": "32x48"})
    read(small[0], OPTIONS | {"img_size": "32x48", "scale_size": "32"})


@pytest.mark.parametrize(
    ("stem", "scale_size", "expected"),
    [("7x7", 224, 196), ("7x7", 288, 324), ("7x7", 128, 64), ("3x3", 32, 64), ("3x3", 64, 256)],
)
def test_the_attention_scale_counts_the_tokens_of_the_constructor(small, stem, scale_size, expected):
    hp = replace(small[1], stem=stem, scale_size=scale_size)
    assert {spikingresformer._n_scale_tokens(hp, s) for s in range(3)} == {expected}


def names_of(tensors):
    return [name for name in tensors if name != "classifier.weight"]  # any number of classes is a network


def test_a_tensor_of_another_shape_is_named(small):
    for name in names_of(small[0]):
        tensor = small[0][name]
        grown = np.zeros((tensor.shape[0] + 1, *tensor.shape[1:]) if tensor.ndim else 2, np.float32)
        with pytest.raises(CheckpointError, match=re.escape(name)):
            read(small[0] | {name: grown})


def test_a_missing_tensor_is_named(small):
    for name in (*names_of(small[0]), "classifier.weight"):
        with pytest.raises(CheckpointError, match=re.escape(name)):
            read({other: tensor for other, tensor in small[0].items() if other != name})


def test_an_added_tensor_is_named(small):
    with pytest.raises(CheckpointError, match=r"unknown layers\.0\.0\.W\.bias"):
        read(small[0] | {"layers.0.0.W.bias": np.zeros(16, np.float32)})


def test_counters_of_a_profiler_are_dropped(small):
    counters = {"total_ops": np.zeros(1), "layers.0.0.W.total_params": np.zeros(1)}
    tensors, dropped = read(small[0] | counters)
    assert list(tensors) == list(small[0])
    assert dropped == list(counters)


def test_a_checkpoint_of_another_family_is_refused(small):
    shapes = {name: tensor.shape for name, tensor in small[0].items()}
    with pytest.raises(CheckpointError, match=r"patch_embed\.proj_conv\.weight"):
        sdt.read_hyper_parameters(shapes, Choices("file.pth", {}, OPTIONS))
    with pytest.raises(CheckpointError, match=r"prologue\.0\.weight"):
        read({"patch_embed.proj_conv.weight": np.zeros((4, 2, 3, 3), np.float32)})


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, np.nan])
@pytest.mark.parametrize("name", ["layers.0.0.firing_rate_x", "layers.2.3.firing_rate_attn"])
def test_a_firing_rate_that_is_none_is_refused(small, name, rate):
    tensors, hp = small
    with pytest.raises(CheckpointError, match=rf"{re.escape(name)} is .* never trained"):
        build(tensors | {name: np.full(tensors[name].shape, rate, np.float32)}, hp)


@needs_jit
def test_firing_rates_may_be_stored_in_half_precision(small):
    tensors, hp = small
    rates = [name for name in tensors if "firing_rate" in name]
    rounded = {name: tensors[name].astype(np.float16) for name in rates}
    recording = random_image(hp)
    logits = [
        simulate(build(tensors | {name: rate.astype(kind) for name, rate in rounded.items()}, hp), recording).logits
        for kind in (np.float16, np.float64)
    ]
    np.testing.assert_array_equal(*logits)


def test_neurons_are_as_the_tensors_or_the_user_say(small):
    tensors, _ = small
    lif = {name: tensor for name, tensor in tensors.items() if not name.endswith(".w")}

    def hyper_parameters(held, **options):
        shapes = {name: tensor.shape for name, tensor in held.items()}
        return read_hyper_parameters(shapes, Choices("file.pth", {}, OPTIONS | options))

    assert hyper_parameters(tensors).neuron == "plif"
    assert hyper_parameters(lif).neuron == "lif"
    leakless = build(lif, hyper_parameters(lif, neuron="if")).populations()
    assert {(float(p.rate), float(p.leak)) for p in leakless} == {(1.0, 0.0)}
    for held, wrong in ((tensors, "lif"), (lif, "plif")):
        with pytest.raises(CheckpointError, match="neuron = "):
            hyper_parameters(held, neuron=wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"n_channels": []},
        {"n_heads": [1, 3]},
        {"patches": [4, 2, 0]},
        {"depths": [1, 2, -1]},
        {"depths": 3},
        {"n_channels": [8, 12, "16"]},
        {"patches": [1] * 101},
        {"group_size": 0},
        {"stem": ""},
        {"neuron": "none"},
    ],
)
def test_a_header_that_lies_is_refused(small, change):
    tensors, hp = small
    header = {"family": "spikingresformer", "hyper_parameters": json.loads(json.dumps(asdict(hp)))}
    assert build_network(Weights(tensors, header)).n_steps == 4
    header["hyper_parameters"] |= change
    with pytest.raises(CheckpointError):
        build_network(Weights(tensors, header))


def test_an_input_too_small_for_the_patches_is_refused(small):
    hp = replace(small[1], height=3)
    with pytest.raises(CheckpointError, match="stage 0 needs at least 4 rows"):
        build(small[0], hp)


def test_event_frames_without_the_sum_of_both_polarities_are_refused(loaded):
    network, weights, _, _ = loaded["resf_dvsg_style_plif"]
    with pytest.raises(RecordingError, match=r"2 channels but the network takes 3 .* on_off_sum"):
        fit_recording(network, weights, FrameRecording(np.zeros((4, 2, 32, 32), np.float32), ""), Preparation())


@pytest.mark.parametrize(
    ("size", "n_classes", "expected"),
    [
        ("ti", 1000, 11_180_992),
        ("s", 1000, 17_813_824),
        ("m", 1000, 35_601_472),
        ("l", 1000, 60_375_680),
        ("cifar", 10, 10_793_152),
        ("cifar", 100, 10_827_712),
        ("dvsg", 11, 2_709_830),
        ("s", 10, 17_306_944),
        ("s", 100, 17_353_024),
        ("s", 11, 17_307_456),
    ],
)
def test_published_sizes_have_the_published_numbers_of_parameters(size, n_classes, expected):
    assert n_parameters(published(size, n_classes)) == expected


@needs_jit
@pytest.mark.parametrize("size", ["ti", "l"])
def test_full_size_networks_run_an_image_at_realistic_rates(size, record_property):
    hp = published(size)
    network, image = build(random_tensors(hp), hp), random_image(hp)
    rates = firing_rates(network, image)
    assert len(rates) == 38
    assert min(rates.values()) > 0.05
    assert max(rates.values()) < 0.25
    begin = time.perf_counter()
    result = simulate(network, image)
    record_property("seconds", time.perf_counter() - begin)
    record_property("peak_memory_bytes", peak_memory_bytes())
    assert result.logits.shape == (1000,)
    assert np.isfinite(result.logits).all()
    assert result.ledger.total("prologue.0") != OpCounts()
